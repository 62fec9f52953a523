import type { AttentionKernels } from "../../kernels/attention.ts";
import { floats, integers } from "./buffer.ts";

/** Attention to rows that each query selects. */
export const chosenRowsKernels: Pick<AttentionKernels, "attendChosenRows"> = {
  attendChosenRows(inputs, result, shape) {
    const [q, k, v] = [floats(inputs.q), floats(inputs.k), floats(inputs.v)];
    const [index, out] = [integers(inputs.index), floats(result)];
    const { rows, count, heads, headDim, scale } = shape;
    const width = heads * headDim;
    for (let r = 0; r < rows; r++) {
      const chosen = Array.from(index.subarray(r * count, (r + 1) * count));
      for (let column = 0; column < width; column += headDim) {
        const at = r * width + column;
        const query = q.subarray(at, at + headDim);
        const scores = chosen.map(
          (row) => query.reduce((sum, x, d) => sum + x * k[row * width + column + d]!, 0) / scale,
        );
        const top = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - top));
        const total = weights.reduce((a, b) => a + b, 0);
        for (let d = 0; d < headDim; d++) {
          const value = (j: number) => v[chosen[j]! * width + column + d]!;
          out[at + d] = weights.reduce((sum, w, j) => sum + (w / total) * value(j), 0);
        }
      }
    }
  },
};
