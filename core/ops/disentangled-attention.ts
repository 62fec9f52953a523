import { type Buffer, type DisentangledShape, probabilities } from "../backend.ts";
import { errors, invariant } from "../errors.ts";
import type { PaddingRows } from "../nn/padding-rows.ts";
import { defineOp } from "../op.ts";
import type { Run } from "../run.ts";
import type { Tensor } from "../tensor.ts";

type Inputs = readonly [
  q: Tensor,
  k: Tensor,
  v: Tensor,
  posKey: Tensor | undefined,
  posQuery: Tensor | undefined,
];

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

  forward(run, [q, k, v, posKey, posQuery]: Inputs, { shape, padding }: Attrs, recording) {
    const { packing, heads, headDim, relativeRows } = shape;
    const [rows, cols] = [packing.tokens + (padding?.count ?? 0), heads * headDim];
    const asking = shape.queries === "first" ? packing.sequences : rows;
    invariant(asking === rows || !padding, "rows of padding ask beside all tokens");
    for (const [x, due] of [
      [q, asking],
      [k, rows],
      [v, rows],
    ] as const) {
      if (x.shape[0] !== due || x.shape[1] !== cols) {
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
    const out = run.allocate(asking * cols);
    const probs = recording ? run.allocate(probabilities(shape)) : undefined;
    run.backend.disentangledAttention(
      q.buffer,
      k.buffer,
      v.buffer,
      posKey?.buffer,
      posQuery?.buffer,
      out,
      probs,
      shape,
    );
    if (padding) attendPadding(run, v.buffer, out, padding, packing.tokens, cols);
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

  backward(run, dout, { inputs, probs }, sinks, { shape, padding }) {
    if (!probs) return;
    const width = shape.heads * shape.headDim;
    const dq = run.allocate(inputs.q.length);
    const dk = run.allocate(inputs.k.length);
    const dv = run.allocate(inputs.v.length);
    const dposKey = inputs.posKey && run.allocate(shape.relativeRows * width);
    const dposQuery = inputs.posQuery && run.allocate(shape.relativeRows * width);
    const grads = { dq, dk, dv, dposKey, dposQuery };
    run.backend.disentangledAttentionBackward(dout, inputs, probs, grads, shape);
    if (padding) attendPaddingBackward(run, dout, grads, padding, shape.packing.tokens, width);
    [dq, dk, dv, dposKey, dposQuery].forEach((gradient, i) => {
      if (gradient && sinks[i]?.needed) sinks[i].give(gradient);
    });
  },
});

function attendPadding(
  run: Run,
  v: Buffer,
  out: Buffer,
  { count, mix }: PaddingRows,
  tokens: number,
  cols: number,
): void {
  const rows = run.backend.view(out, tokens * cols, count * cols);
  if (mix) run.backend.gemm(mix, v, rows, { m: count, n: cols, k: tokens + count });
  else run.backend.zero(rows);
}

/** The kernel has set the packed rows' gradients; the padding rows' follow, and what they owe to every v. */
function attendPaddingBackward(
  run: Run,
  dout: Buffer,
  { dq, dk, dv }: { dq: Buffer; dk: Buffer; dv: Buffer },
  { count, mix }: PaddingRows,
  tokens: number,
  cols: number,
): void {
  const tail = (buffer: Buffer) => run.backend.view(buffer, tokens * cols, count * cols);
  for (const gradient of [dq, dk, dv]) run.backend.zero(tail(gradient));
  const shape = { m: tokens + count, n: cols, k: count, transA: true, beta: 1 as const };
  if (mix) run.backend.gemm(mix, tail(dout), dv, shape);
}
