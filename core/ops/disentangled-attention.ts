import type { Buffer } from "../backend.ts";
import type { DisentangledInputs, DisentangledShape } from "../kernels/attention.ts";
import { errors, invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { type InputsOf, defineOp } from "../op.ts";
import type { PaddingRows } from "./padding-rows.ts";

const INPUTS = {
  q: "required",
  k: "required",
  v: "required",
  posKey: "optional",
  posQuery: "optional",
} as const;

interface Attrs {
  readonly shape: DisentangledShape;
  /** Rows below the packed ones, each standing for the padding of a sequence. */
  readonly padding?: PaddingRows | undefined;
}

/**
 * Attention with content-to-position and position-to-content terms (He et al. 2021, eq. 4) over
 * packed sequences; `DisentangledShape` has the formula. q, k, v: [N, H * D]; posKey, posQuery:
 * [S, H * D]; out: as q, which has [B] rows when the queries are first tokens only (then without
 * padding rows).
 *
 * A padding row attends with the weights of `padding.mix`: out = mix [P, N + P] times v, or zeros
 * without a mix. No other row attends to a padding row.
 * Saves what the backend chooses (`disentangledSaved`): probabilities, n * n per sequence and head,
 * or less with `out`; nothing of [S] width.
 */
export const disentangledAttention = defineOp({
  name: "disentangledAttention",
  inputs: INPUTS,

  forward(pass, { q, k, v, posKey, posQuery }, { shape, padding }: Attrs, recording) {
    const { packing, heads, headDim } = shape;
    checkShapes({ q, k, v, posKey, posQuery }, shape, padding);
    const inputs = {
      q: q.buffer,
      k: k.buffer,
      v: v.buffer,
      posKey: posKey?.buffer,
      posQuery: posQuery?.buffer,
    };
    const out = pass.allocate(q.buffer.length);
    const { dtype, length, readsOut } = pass.backend.disentangledSaved(shape);
    const saved = recording ? pass.tape.allocate(dtype, length) : undefined;
    pass.backend.disentangledAttention(inputs, { out, saved }, shape);
    if (padding) attendPadding(pass, v.buffer, out, padding, packing.tokens, heads * headDim);
    const forward = { saved, out: readsOut ? out : undefined };
    const content = [inputs.q, inputs.k, inputs.v, inputs.posKey, inputs.posQuery];
    const geometry = [packing.offsets, packing.positions, shape.relative, padding?.mix];
    const keep = saved ? [...content, saved, forward.out, ...geometry] : [];
    return { shape: q.shape, out, saved: { inputs, forward }, keep };
  },

  backward(pass, dout, { inputs, forward: { saved, out } }, sinks, { shape, padding }) {
    if (!saved) return;
    const width = shape.heads * shape.headDim;
    const grads = {
      q: pass.allocate(inputs.q.length),
      k: pass.allocate(inputs.k.length),
      v: pass.allocate(inputs.v.length),
      posKey: inputs.posKey && pass.allocate(inputs.posKey.length),
      posQuery: inputs.posQuery && pass.allocate(inputs.posQuery.length),
    };
    pass.backend.disentangledAttentionBackward(dout, inputs, { saved, out }, grads, shape);
    if (padding) attendPaddingBackward(pass, dout, grads, padding, shape.packing.tokens, width);
    for (const name of ["q", "k", "v", "posKey", "posQuery"] as const) {
      const gradient = grads[name];
      if (gradient && sinks[name].needed) sinks[name].give(gradient);
    }
  },
});

function checkShapes(
  { q, k, v, posKey, posQuery }: InputsOf<typeof INPUTS>,
  { packing, queries, heads, headDim, relativeRows }: DisentangledShape,
  padding: PaddingRows | undefined,
): void {
  const [rows, cols] = [packing.tokens + (padding?.count ?? 0), heads * headDim];
  const queryRows = queries === "first" ? packing.sequences : rows;
  invariant(queryRows === rows || !padding, "padding rows need the queries of all tokens");
  for (const [x, expected] of [
    [q, queryRows],
    [k, rows],
    [v, rows],
  ] as const) {
    if (x.shape[0] !== expected || x.shape[1] !== cols) {
      const rule = `q must be [${queryRows}, ${cols}], k and v [${rows}, ${cols}]`;
      throw errors.shape("disentangledAttention", rule, { q, k, v });
    }
  }
  for (const [name, x] of Object.entries({ posKey, posQuery })) {
    if (x && (x.shape[0] !== relativeRows || x.shape[1] !== cols)) {
      const rule = `${name} must be [${relativeRows}, ${cols}]`;
      throw errors.shape("disentangledAttention", rule, { [name]: x });
    }
  }
}

/** Sets the padding rows of `out`, below the packed ones. */
function attendPadding(
  pass: ForwardPass,
  v: Buffer,
  out: Buffer,
  { count, mix }: PaddingRows,
  tokens: number,
  cols: number,
): void {
  const rows = pass.backend.view(out, tokens * cols, count * cols);
  if (mix) pass.backend.gemm(mix, v, rows, { m: count, n: cols, k: tokens + count });
  else pass.backend.zero(rows);
}

/**
 * Completes the gradients, of which the kernel has set the packed rows: zeros for the padding rows,
 * then the padding rows' share in the gradient of every v.
 */
function attendPaddingBackward(
  pass: ForwardPass,
  dout: Buffer,
  { q, k, v }: DisentangledInputs,
  { count, mix }: PaddingRows,
  tokens: number,
  cols: number,
): void {
  const tail = (buffer: Buffer) => pass.backend.view(buffer, tokens * cols, count * cols);
  for (const gradient of [q, k, v]) pass.backend.zero(tail(gradient));
  const shape = { m: tokens + count, n: cols, k: count, transA: true, beta: 1 as const };
  if (mix) pass.backend.gemm(mix, tail(dout), v, shape);
}
