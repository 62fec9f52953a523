import {
  type AttentionKernels,
  type DisentangledShape,
  saveProbabilities,
} from "../../kernels/attention.ts";
import { floats, integers } from "./buffer.ts";
import { dropoutFactor } from "./elementwise.ts";

type Attention = Pick<
  AttentionKernels,
  "disentangledSaved" | "disentangledAttention" | "disentangledAttentionBackward"
>;

interface Block {
  readonly head: number;
  /** First row and number of rows of the sequence's keys. */
  readonly start: number;
  readonly n: number;
  /** First row and number of rows of the sequence's queries. */
  readonly queryStart: number;
  readonly queries: number;
  /** Offset of its [queries, n] probabilities. */
  readonly probsOffset: number;
}

/** Calls `visit` for each sequence and head. */
function eachBlock(shape: DisentangledShape, visit: (block: Block) => void): void {
  const offsets = shape.packing.hostOffsets;
  const first = shape.queries === "first";
  let probsOffset = 0;
  for (let b = 0; b < shape.packing.sequences; b++) {
    const start = offsets[b]!;
    const n = offsets[b + 1]! - start;
    const queries = first ? Math.min(n, 1) : n;
    for (let head = 0; head < shape.heads; head++, probsOffset += queries * n)
      visit({ start, n, queryStart: first ? b : start, queries, head, probsOffset });
  }
}

/** The row of posKey/posQuery for query row i and key row j (rows of the packed batch). */
function relativeRow(shape: DisentangledShape): (i: number, j: number) => number {
  if (!shape.relative) return () => -1;
  const relative = integers(shape.relative);
  const positions = integers(shape.packing.positions);
  const { span } = shape.packing;
  return (i, j) => relative[positions[i]! - positions[j]! + span - 1]!;
}

function softmaxInPlace(row: Float64Array): void {
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let j = 0; j < row.length; j++) {
    row[j] = Math.exp(row[j]! - top);
    sum += row[j]!;
  }
  for (let j = 0; j < row.length; j++) row[j]! /= sum;
}

/** Disentangled attention, with the scores of one query at a time. */
export const disentangledAttentionKernels: Attention = {
  disentangledSaved: saveProbabilities("f64"),

  disentangledAttention(inputs, results, shape) {
    const [q, k, v] = [floats(inputs.q), floats(inputs.k), floats(inputs.v)];
    const { posKey, posQuery } = inputs;
    const [pk, pq] = [posKey && floats(posKey), posQuery && floats(posQuery)];
    const out = floats(results.out);
    const { heads, headDim: D, scale, dropout } = shape;
    const width = heads * D;
    const row = relativeRow(shape);
    const dot = (a: Float64Array, i: number, b: Float64Array, j: number, head: number) => {
      let sum = 0;
      for (let d = 0; d < D; d++)
        sum += a[i * width + head * D + d]! * b[j * width + head * D + d]!;
      return sum;
    };
    out.fill(0);
    eachBlock(shape, ({ start, n, queryStart, queries, head, probsOffset }) => {
      for (let i = 0; i < queries; i++) {
        const scores = new Float64Array(n);
        for (let j = 0; j < n; j++) {
          const t = row(start + i, start + j);
          let score = dot(q, queryStart + i, k, start + j, head);
          if (pk) score += dot(q, queryStart + i, pk, t, head);
          if (pq) score += dot(k, start + j, pq, t, head);
          scores[j] = score / scale;
        }
        softmaxInPlace(scores);
        if (results.saved) floats(results.saved).set(scores, probsOffset + i * n);
        for (let j = 0; j < n; j++) {
          const kept = dropout
            ? dropoutFactor(head * shape.packing.tokens + start + i, j, dropout)
            : 1;
          for (let d = 0; d < D; d++) {
            out[(queryStart + i) * width + head * D + d]! +=
              scores[j]! * kept * v[(start + j) * width + head * D + d]!;
          }
        }
      }
    });
  },

  disentangledAttentionBackward(doutBuffer, inputs, { saved }, grads, shape) {
    const dout = floats(doutBuffer);
    const [q, k, v] = [floats(inputs.q), floats(inputs.k), floats(inputs.v)];
    const [pk, pq] = [
      inputs.posKey && floats(inputs.posKey),
      inputs.posQuery && floats(inputs.posQuery),
    ];
    const [dq, dk, dv] = [floats(grads.q), floats(grads.k), floats(grads.v)];
    const [dpk, dpq] = [
      grads.posKey && floats(grads.posKey),
      grads.posQuery && floats(grads.posQuery),
    ];
    for (const grad of [dq, dk, dv, dpk, dpq]) grad?.fill(0);
    const probs = floats(saved);
    const { heads, headDim: D, scale, dropout } = shape;
    const width = heads * D;
    const row = relativeRow(shape);
    eachBlock(shape, ({ start, n, queryStart, queries, head, probsOffset }) => {
      for (let i = 0; i < queries; i++) {
        const ri = (queryStart + i) * width + head * D;
        const dprobs = new Float64Array(n);
        let inner = 0;
        for (let j = 0; j < n; j++) {
          const rj = (start + j) * width + head * D;
          const kept = dropout
            ? dropoutFactor(head * shape.packing.tokens + start + i, j, dropout)
            : 1;
          const p = probs[probsOffset + i * n + j]!;
          let sum = 0;
          for (let d = 0; d < D; d++) {
            sum += dout[ri + d]! * v[rj + d]!;
            dv[rj + d]! += p * kept * dout[ri + d]!;
          }
          dprobs[j] = sum * kept;
          inner += dprobs[j]! * p;
        }
        for (let j = 0; j < n; j++) {
          const rj = (start + j) * width + head * D;
          const rt = row(start + i, start + j) * width + head * D;
          const ds = (probs[probsOffset + i * n + j]! * (dprobs[j]! - inner)) / scale;
          for (let d = 0; d < D; d++) {
            dq[ri + d]! += ds * (k[rj + d]! + (pk ? pk[rt + d]! : 0));
            dk[rj + d]! += ds * (q[ri + d]! + (pq ? pq[rt + d]! : 0));
            if (dpk) dpk[rt + d]! += ds * q[ri + d]!;
            if (dpq) dpq[rt + d]! += ds * k[rj + d]!;
          }
        }
      }
    });
  },
};
