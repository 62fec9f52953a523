import { type Buffer, type DisentangledShape, probabilities } from "../backend.ts";
import { errors, invariant } from "../errors.ts";
import type { PaddingRows } from "./padding-rows.ts";
import { defineOp } from "../op.ts";
import type { ForwardPass } from "../forward-pass.ts";

interface Attrs {
  readonly shape: DisentangledShape;
  /** Rows below the packed ones, each standing for the padding of a sequence. */
  readonly padding?: PaddingRows | undefined;
}

/**
 * Attention with content-to-position and position-to-content terms (He et al. 2021, eq. 4) over packed sequences; the
 * formula is at `DisentangledShape`. q, k, v: [N, H * D]; posKey, posQuery: [S, H * D]; out: as q, which has [B] rows where
 * first tokens alone ask (then without padding rows).
 * A padding row sees what `padding.mix` says: mix [P, N + P] times v, or zeros without it; nobody sees a padding row otherwise.
 * Saves the probabilities of each sequence, nothing of [S] width.
 */
export const disentangledAttention = defineOp({
  name: "disentangledAttention",
  inputs: {
    q: "required",
    k: "required",
    v: "required",
    posKey: "optional",
    posQuery: "optional",
  },

  forward(pass, { q, k, v, posKey, posQuery }, { shape, padding }: Attrs, recording) {
    const { packing, heads, headDim, relativeRows } = shape;
    const [rows, cols] = [packing.tokens + (padding?.count ?? 0), heads * headDim];
    const asking = shape.queries === "first" ? packing.sequences : rows;
    invariant(asking === rows || !padding, "rows of padding ask beside all tokens");
    for (const [x, expected] of [
      [q, asking],
      [k, rows],
      [v, rows],
    ] as const) {
      if (x.shape[0] !== expected || x.shape[1] !== cols) {
        const rule = `q must be [${asking}, ${cols}], k and v [${rows}, ${cols}]`;
        throw errors.shape("disentangledAttention", rule, { q, k, v });
      }
    }
    for (const p of [posKey, posQuery]) {
      if (p && (p.shape[0] !== relativeRows || p.shape[1] !== cols)) {
        throw errors.shape(
          "disentangledAttention",
          `positions must be [${relativeRows}, ${cols}]`,
          { p },
        );
      }
    }
    const out = pass.allocate(asking * cols);
    const probs = recording ? pass.allocate(probabilities(shape)) : undefined;
    pass.backend.disentangledAttention(
      q.buffer,
      k.buffer,
      v.buffer,
      posKey?.buffer,
      posQuery?.buffer,
      out,
      probs,
      shape,
    );
    if (padding) attendPadding(pass, v.buffer, out, padding, packing.tokens, cols);
    const inputs = {
      q: q.buffer,
      k: k.buffer,
      v: v.buffer,
      posKey: posKey?.buffer,
      posQuery: posQuery?.buffer,
    };
    const tables = [posKey, posQuery].flatMap((p) => (p ? [p.buffer] : []));
    const geometry = [
      packing.offsets,
      packing.positions,
      ...(shape.relative ? [shape.relative] : []),
      ...(padding?.mix ? [padding.mix] : []),
    ];
    const keep = probs ? [q.buffer, k.buffer, v.buffer, probs, ...tables, ...geometry] : [];
    return { shape: q.shape, out, saved: { inputs, probs }, keep };
  },

  backward(pass, dout, { inputs, probs }, sinks, { shape, padding }) {
    if (!probs) return;
    const width = shape.heads * shape.headDim;
    const grads = {
      dq: pass.allocate(inputs.q.length),
      dk: pass.allocate(inputs.k.length),
      dv: pass.allocate(inputs.v.length),
      dposKey: inputs.posKey && pass.allocate(shape.relativeRows * width),
      dposQuery: inputs.posQuery && pass.allocate(shape.relativeRows * width),
    };
    pass.backend.disentangledAttentionBackward(dout, inputs, probs, grads, shape);
    if (padding) attendPaddingBackward(pass, dout, grads, padding, shape.packing.tokens, width);
    if (sinks.q.needed) sinks.q.give(grads.dq);
    if (sinks.k.needed) sinks.k.give(grads.dk);
    if (sinks.v.needed) sinks.v.give(grads.dv);
    if (grads.dposKey && sinks.posKey.needed) sinks.posKey.give(grads.dposKey);
    if (grads.dposQuery && sinks.posQuery.needed) sinks.posQuery.give(grads.dposQuery);
  },
});

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

/** The kernel has set the packed rows' gradients; the padding rows' follow, and what they owe to every v. */
function attendPaddingBackward(
  pass: ForwardPass,
  dout: Buffer,
  { dq, dk, dv }: { dq: Buffer; dk: Buffer; dv: Buffer },
  { count, mix }: PaddingRows,
  tokens: number,
  cols: number,
): void {
  const tail = (buffer: Buffer) => pass.backend.view(buffer, tokens * cols, count * cols);
  for (const gradient of [dq, dk, dv]) pass.backend.zero(tail(gradient));
  const shape = { m: tokens + count, n: cols, k: count, transA: true, beta: 1 as const };
  if (mix) pass.backend.gemm(mix, tail(dout), dv, shape);
}
