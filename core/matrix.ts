/** A matrix [rows, cols] in f64, row by row. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

/** Largest |entry| of MᵀM - I: how far the columns of M are from orthonormal. */
export function orthogonalityResidual({ rows, cols, values }: Matrix): number {
  let largest = 0;
  for (let i = 0; i < cols; i++) {
    for (let j = i; j < cols; j++) {
      let sum = i === j ? -1 : 0;
      for (let row = 0; row < rows; row++) {
        sum += values[row * cols + i]! * values[row * cols + j]!;
      }
      largest = Math.max(largest, Math.abs(sum));
    }
  }
  return largest;
}

/** The transposed matrix, a copy. */
export function transposed({ rows, cols, values }: Matrix): Matrix {
  const out = new Float64Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j * rows + i] = values[i * cols + j]!;
  }
  return { rows: cols, cols: rows, values: out };
}

/** The product of [m, k] and [k, n]. */
export function product(x: Matrix, y: Matrix): Matrix {
  const out = new Float64Array(x.rows * y.cols);
  for (let i = 0; i < x.rows; i++) {
    for (let k = 0; k < x.cols; k++) {
      const factor = x.values[i * x.cols + k]!;
      if (factor === 0) continue;
      for (let j = 0; j < y.cols; j++) {
        out[i * y.cols + j] = out[i * y.cols + j]! + factor * y.values[k * y.cols + j]!;
      }
    }
  }
  return { rows: x.rows, cols: y.cols, values: out };
}

/** The inner product of two vectors. */
export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/** The Euclidean norm of a vector. */
export const lengthOf = (x: Float64Array) => Math.sqrt(dot(x, x));
