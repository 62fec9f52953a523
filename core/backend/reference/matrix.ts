import type { MatrixKernels } from "../../kernels/matrix.ts";
import { floats } from "./buffer.ts";
import { elementwiseKernels } from "./elementwise.ts";

/** Matrix products and their companions. */
export const matrixKernels: MatrixKernels = {
  gemm(aBuffer, bBuffer, cBuffer, shape) {
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = shape;
    const [a, b, c] = [floats(aBuffer), floats(bBuffer), floats(cBuffer)];
    const [aRow, aStep] = transA ? [1, lda] : [lda, 1];
    const [bColumn, bStep] = transB ? [ldb, 1] : [1, ldb];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const sum = stridedDot(a, i * aRow, aStep, b, j * bColumn, bStep, k);
        c[i * ldc + j] = sum + (beta ? c[i * ldc + j]! : 0);
      }
    }
  },

  addLowRank(yBuffer, { rank, transposed, scale, ...of }, bias, shape, activated) {
    const { rows, cols, stride = cols } = shape;
    const [y, h, factor] = [floats(yBuffer), floats(of.h), floats(of.factor)];
    const [e, offset] = [of.e && floats(of.e), bias && floats(bias)];
    const [column, step] = transposed ? [rank, 1] : [1, cols];
    const left = new Float64Array(rank);
    for (let r = 0; r < rows; r++) {
      for (let i = 0; i < rank; i++) left[i] = h[r * rank + i]! * (e?.[i] ?? 1) * scale;
      for (let c = 0; c < cols; c++) {
        y[r * stride + c]! += keptDot(left, e, factor, c * column, step, offset?.[c] ?? 0);
      }
    }
    if (activated) elementwiseKernels.activate(activated.kind, yBuffer, activated.buffer);
  },

  addFactorGradient(dyBuffer, { rank, transposed, scale, ...of }, gradBuffer, shape) {
    const { rows, cols, stride = cols } = shape;
    const [dy, h, grad] = [floats(dyBuffer), floats(of.h), floats(gradBuffer)];
    const e = of.e && floats(of.e);
    const column = new Float64Array(rows);
    for (let i = 0; i < rank; i++) {
      if (e?.[i] === 0) continue;
      for (let r = 0; r < rows; r++) column[r] = h[r * rank + i]! * (e?.[i] ?? 1) * scale;
      for (let c = 0; c < cols; c++) {
        const sum = stridedDot(column, 0, 1, dy, c, stride, rows);
        grad[transposed ? c * rank + i : i * cols + c]! += sum;
      }
    }
  },

  addBias(yBuffer, biasBuffer, rows, cols) {
    const [y, bias] = [floats(yBuffer), floats(biasBuffer)];
    for (let i = 0; i < rows * cols; i++) y[i]! += bias[i % cols]!;
  },

  addColumnSums(xBuffer, sumBuffer, rows, cols) {
    const [x, sum] = [floats(xBuffer), floats(sumBuffer)];
    for (let i = 0; i < rows * cols; i++) sum[i % cols]! += x[i]!;
  },

  addColumnDots(xBuffer, yBuffer, factor, dotsBuffer, rows, cols) {
    const [x, y, dots] = [floats(xBuffer), floats(yBuffer), floats(dotsBuffer)];
    for (let c = 0; c < cols; c++) {
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += x[r * cols + c]! * y[r * cols + c]!;
      dots[c]! += factor * sum;
    }
  },
};

// --- internal ---

/**
 * The sum of k products of elements at `aStart` and `bStart`, a step apart. A function of its own,
 * since the engine compiles a short one that is called often sooner and better than a loop in a
 * loop: products take a third to two thirds of the time.
 */
function stridedDot(
  a: Float64Array,
  aStart: number,
  aStep: number,
  b: Float64Array,
  bStart: number,
  bStep: number,
  k: number,
): number {
  let sum = 0;
  for (let p = 0; p < k; p++) sum += a[aStart + p * aStep]! * b[bStart + p * bStep]!;
  return sum;
}

/** `first` plus the products of the triplets whose e is not 0; without e, of all. */
function keptDot(
  left: Float64Array,
  e: Float64Array | undefined,
  factor: Float64Array,
  start: number,
  step: number,
  first: number,
): number {
  let sum = first;
  for (let i = 0; i < left.length; i++) {
    if (e?.[i] !== 0) sum += left[i]! * factor[start + i * step]!;
  }
  return sum;
}
