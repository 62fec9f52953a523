import type { DisentangledShape } from "../backend.ts";
import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

type Inputs = readonly [
  q: Tensor,
  k: Tensor,
  v: Tensor,
  posKey: Tensor | undefined,
  posQuery: Tensor | undefined,
];

/**
 * Attention with content-to-position and position-to-content terms (He et al. 2021, eq. 4) over packed sequences; the
 * formula is at `DisentangledShape`. q, k, v: [N, H * D]; posKey, posQuery: [S, H * D]; out: [N, H * D].
 * Saves the probabilities of each sequence (sum of n^2 * H numbers), nothing of [S] width.
 */
export const disentangledAttention = defineOp({
  name: "disentangledAttention",

  forward(
    run,
    [q, k, v, posKey, posQuery]: Inputs,
    { shape }: { shape: DisentangledShape },
    recording,
  ) {
    const { packing, heads, headDim, relativeRows } = shape;
    const [rows, cols] = [packing.tokens, heads * headDim];
    for (const x of [q, k, v]) {
      if (x.shape[0] !== rows || x.shape[1] !== cols) {
        throw errors.shape("disentangledAttention", `q, k and v must be [${rows}, ${cols}]`, {
          q,
          k,
          v,
        });
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
    const out = run.allocate(rows * cols);
    const probs = recording
      ? run.allocate(heads * sumOfSquaredLengths(packing.hostOffsets))
      : undefined;
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
    ];
    const keep = probs ? [q.buffer, k.buffer, v.buffer, probs, ...tables, ...geometry] : [];
    return { shape: q.shape, out, saved: { inputs, probs }, keep };
  },

  backward(run, dout, { inputs, probs }, sinks, { shape }) {
    if (!probs) return;
    const width = shape.heads * shape.headDim;
    const dq = run.allocate(inputs.q.length);
    const dk = run.allocate(inputs.k.length);
    const dv = run.allocate(inputs.v.length);
    const dposKey = inputs.posKey && run.allocate(shape.relativeRows * width);
    const dposQuery = inputs.posQuery && run.allocate(shape.relativeRows * width);
    const grads = { dq, dk, dv, dposKey, dposQuery };
    run.backend.disentangledAttentionBackward(dout, inputs, probs, grads, shape);
    [dq, dk, dv, dposKey, dposQuery].forEach((gradient, i) => {
      if (gradient && sinks[i]?.needed) sinks[i].give(gradient);
    });
  },
});

function sumOfSquaredLengths(offsets: Int32Array): number {
  let sum = 0;
  for (let b = 1; b < offsets.length; b++) sum += (offsets[b]! - offsets[b - 1]!) ** 2;
  return sum;
}
