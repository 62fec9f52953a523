import type { AttentionKernels, AttentionShape } from "../../kernels/attention.ts";
import { floats } from "./buffer.ts";
import { dropoutFactor } from "./elementwise.ts";

type MultiHead = Pick<AttentionKernels, "attention" | "attentionBackward">;

/** A query of one head and its keys, as offsets in elements. */
interface Query {
  /** Offset in q and its gradient. */
  readonly at: number;
  /** Offset in out and its gradient. */
  readonly outAt: number;
  /** Offset in k, v and their gradients, for key j of the sequence. */
  readonly keyAt: (j: number) => number;
  /** The query attends to the keys [from, to). */
  readonly from: number;
  readonly to: number;
  /** Index in logSumExp, and the row of its dropout mask. */
  readonly row: number;
}

function eachQuery(shape: AttentionShape, visit: (query: Query) => void): void {
  const { queries, keys, heads, keyHeads = heads, headDim, causal, window = Infinity } = shape;
  const [queryStride, keyStride] = [
    shape.rowStride ?? heads * headDim,
    shape.rowStride ?? keyHeads * headDim,
  ];
  for (let b = 0; b < queries.sequences; b++) {
    const [start, end] = [queries.hostOffsets[b]!, queries.hostOffsets[b + 1]!];
    const [keyStart, keyEnd] = [keys.hostOffsets[b]!, keys.hostOffsets[b + 1]!];
    for (let head = 0; head < heads; head++) {
      const keyHead = Math.floor((head * keyHeads) / heads);
      for (let i = start; i < end; i++) {
        const last = causal ? Math.max(0, keyEnd - keyStart - (end - 1 - i)) : keyEnd - keyStart;
        visit({
          at: i * queryStride + head * headDim,
          outAt: (i * heads + head) * headDim,
          keyAt: (j) => (keyStart + j) * keyStride + keyHead * headDim,
          from: Math.max(0, i - start - window),
          to: Math.min(last, i - start + window + 1),
          row: head * queries.tokens + i,
        });
      }
    }
  }
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a[i + d]! * b[j + d]!;
  return sum;
}

/** y[j ..] += factor * x[i ..] */
function addScaled(
  y: Float64Array,
  j: number,
  x: Float64Array,
  i: number,
  factor: number,
  length: number,
): void {
  for (let d = 0; d < length; d++) y[j + d]! += factor * x[i + d]!;
}

/** Zeroes the gradients' own columns, which may be a part of a matrix. */
function zeroGradients(
  { dq, dk, dv }: Readonly<Record<"dq" | "dk" | "dv", Float64Array>>,
  { queries, keys, heads, keyHeads = heads, headDim, rowStride }: AttentionShape,
): void {
  const zero = (grad: Float64Array, rows: number, width: number) => {
    const stride = rowStride ?? width;
    for (let r = 0; r < rows; r++) grad.fill(0, r * stride, r * stride + width);
  };
  zero(dq, queries.tokens, heads * headDim);
  zero(dk, keys.tokens, keyHeads * headDim);
  zero(dv, keys.tokens, keyHeads * headDim);
}

/** Multi-head attention, one query of one head at a time. */
export const attentionKernels: MultiHead = {
  attention(inputs, results, shape) {
    const [q, k, v] = [floats(inputs.q), floats(inputs.k), floats(inputs.v)];
    const out = floats(results.out);
    const { headDim, scale, dropout } = shape;
    out.fill(0);
    eachQuery(shape, ({ at, outAt, keyAt, from, to, row }) => {
      const scores = Float64Array.from(
        { length: to - from },
        (_, j) => dot(q, at, k, keyAt(from + j), headDim) / scale,
      );
      const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
      const sum = scores.reduce((total, score) => total + Math.exp(score - top), 0);
      if (results.logSumExp) floats(results.logSumExp)[row] = top + Math.log(sum);
      scores.forEach((score, s) => {
        const j = from + s;
        const kept = dropout ? dropoutFactor(row, j, dropout) : 1;
        addScaled(out, outAt, v, keyAt(j), (Math.exp(score - top) / sum) * kept, headDim);
      });
    });
  },

  attentionBackward(doutBuffer, inputs, grads, shape) {
    const [dout, out] = [floats(doutBuffer), floats(inputs.out)];
    const [q, k, v] = [floats(inputs.q), floats(inputs.k), floats(inputs.v)];
    const [dq, dk, dv] = [floats(grads.q), floats(grads.k), floats(grads.v)];
    const logSumExp = floats(inputs.logSumExp);
    const { headDim, scale, dropout } = shape;
    zeroGradients({ dq, dk, dv }, shape);
    eachQuery(shape, ({ at, outAt, keyAt, from, to, row }) => {
      const inner = dot(dout, outAt, out, outAt, headDim);
      for (let j = from; j < to; j++) {
        const key = keyAt(j);
        const p = Math.exp(dot(q, at, k, key, headDim) / scale - logSumExp[row]!);
        const kept = dropout ? dropoutFactor(row, j, dropout) : 1;
        addScaled(dv, key, dout, outAt, p * kept, headDim);
        const ds = (p * (dot(dout, outAt, v, key, headDim) * kept - inner)) / scale;
        addScaled(dq, at, k, key, ds, headDim);
        addScaled(dk, key, q, at, ds, headDim);
      }
    });
  },
};
