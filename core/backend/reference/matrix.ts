import type { MatrixKernels } from "../../kernels/matrix.ts";
import { floats } from "./buffer.ts";
import { elementwiseKernels } from "./elementwise.ts";

/** Matrix products and their companions. */
export const matrixKernels: MatrixKernels = {
  gemm(aBuffer, bBuffer, cBuffer, shape) {
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = shape;
    const [a, b, c] = [floats(aBuffer), floats(bBuffer), floats(cBuffer)];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          sum += a[transA ? p * lda + i : i * lda + p]! * b[transB ? j * ldb + p : p * ldb + j]!;
        }
        c[i * ldc + j] = sum + (beta ? c[i * ldc + j]! : 0);
      }
    }
  },

  addLowRank(yBuffer, { rank, transposed, scale, ...of }, bias, shape, activated) {
    const { rows, cols, stride = cols } = shape;
    const [y, h, factor] = [floats(yBuffer), floats(of.h), floats(of.factor)];
    const [e, offset] = [of.e && floats(of.e), bias && floats(bias)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        let sum = offset?.[c] ?? 0;
        for (let i = 0; i < rank; i++) {
          if (e?.[i] === 0) continue;
          const left = h[r * rank + i]! * (e?.[i] ?? 1) * scale;
          sum += left * factor[transposed ? c * rank + i : i * cols + c]!;
        }
        y[r * stride + c]! += sum;
      }
    }
    if (activated) elementwiseKernels.activate(activated.kind, yBuffer, activated.buffer);
  },

  addFactorGradient(dyBuffer, { rank, transposed, scale, ...of }, gradBuffer, shape) {
    const { rows, cols, stride = cols } = shape;
    const [dy, h, grad] = [floats(dyBuffer), floats(of.h), floats(gradBuffer)];
    const e = of.e && floats(of.e);
    for (let i = 0; i < rank; i++) {
      if (e?.[i] === 0) continue;
      for (let c = 0; c < cols; c++) {
        let sum = 0;
        for (let r = 0; r < rows; r++)
          sum += h[r * rank + i]! * (e?.[i] ?? 1) * scale * dy[r * stride + c]!;
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
