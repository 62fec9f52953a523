import type { Backend } from "../../backend.ts";
import { floats, integers } from "./buffer.ts";
import { elementwise } from "./elementwise.ts";

type Matrix = Pick<
  Backend,
  | "gemm"
  | "addLowRank"
  | "addFactorGradient"
  | "addBias"
  | "addColumnSums"
  | "addColumnDots"
  | "gatherRows"
  | "scatterAddRows"
  | "unfold"
  | "foldAdd"
>;

export const matrix: Matrix = {
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

  addLowRank(yBuffer, { rank, transposed, scale, ...of }, bias, { rows, cols }, activated) {
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
        y[r * cols + c]! += sum;
      }
    }
    if (activated) elementwise.activate(activated.kind, yBuffer, activated.buffer);
  },

  addFactorGradient(dyBuffer, { rank, transposed, scale, ...of }, gradBuffer, { rows, cols }) {
    const [dy, h, grad] = [floats(dyBuffer), floats(of.h), floats(gradBuffer)];
    const e = of.e && floats(of.e);
    for (let i = 0; i < rank; i++) {
      if (e?.[i] === 0) continue;
      for (let c = 0; c < cols; c++) {
        let sum = 0;
        for (let r = 0; r < rows; r++)
          sum += h[r * rank + i]! * (e?.[i] ?? 1) * scale * dy[r * cols + c]!;
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

  gatherRows(tableBuffer, idsBuffer, yBuffer, { rows, cols, add }) {
    const [table, ids, y] = [floats(tableBuffer), integers(idsBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        y[r * cols + c] = table[ids[r]! * cols + c]! + (add ? y[r * cols + c]! : 0);
      }
    }
  },

  scatterAddRows(dyBuffer, idsBuffer, tableBuffer, rows, cols) {
    const [dy, ids, table] = [floats(dyBuffer), integers(idsBuffer), floats(tableBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) table[ids[r]! * cols + c]! += dy[r * cols + c]!;
    }
  },

  unfold(xBuffer, neighboursBuffer, yBuffer, { rows, cols, width }) {
    const [x, neighbours, y] = [floats(xBuffer), integers(neighboursBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        for (let t = 0; t < width; t++) {
          const from = neighbours[r * width + t]!;
          y[(r * cols + c) * width + t] = from < 0 ? 0 : x[from * cols + c]!;
        }
      }
    }
  },

  foldAdd(dyBuffer, neighboursBuffer, dxBuffer, { rows, cols, width }) {
    const [dy, neighbours, dx] = [floats(dyBuffer), integers(neighboursBuffer), floats(dxBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        for (let t = 0; t < width; t++) {
          const to = neighbours[r * width + t]!;
          if (to >= 0) dx[to * cols + c]! += dy[(r * cols + c) * width + t]!;
        }
      }
    }
  },
};
