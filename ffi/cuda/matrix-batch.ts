import type { Svd } from "../../core/jacobi-svd.ts";
import { lengthOf, type Matrix, transposed } from "../../core/matrix.ts";

/** Square matrices in one block, as a batched call of cuSOLVER takes them: all of one size. */
export interface MatrixBatch {
  readonly size: number;
  readonly count: number;
  /** [count, size, size], each matrix column by column. */
  readonly values: Float64Array;
}

/** What a batched call leaves: column-major U and V [count, size, size], s [count, size]. */
export interface BatchResult {
  readonly u: Float64Array;
  readonly s: Float64Array;
  readonly v: Float64Array;
}

/**
 * Packs square matrices of any sizes. A smaller M becomes diag(M, d I) with d twice M's norm: its
 * largest singular values are then d, and no vector of theirs mixes with M's, not even with those of
 * its singular values that are 0.
 */
export function packBatch(matrices: readonly Matrix[]): MatrixBatch {
  const size = Math.max(0, ...matrices.map(({ rows }) => rows));
  const values = new Float64Array(matrices.length * size * size);
  for (const [k, { rows, values: own }] of matrices.entries()) {
    const block = values.subarray(k * size * size, (k + 1) * size * size);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < rows; j++) block[i + j * size] = own[i * rows + j]!;
    }
    const filler = 2 * lengthOf(own) || 1;
    for (let i = rows; i < size; i++) block[i + i * size] = filler;
  }
  return { size, count: matrices.length, values };
}

/** The k-th matrix's decomposition, of [rows, rows]. */
export function unpackSvd(
  { u, s, v }: BatchResult,
  { size }: MatrixBatch,
  k: number,
  rows: number,
): Svd {
  const first = size - rows; // after the filler's
  const columns = (of: Float64Array): Matrix => {
    const values = new Float64Array(rows * rows);
    for (let j = 0; j < rows; j++) {
      const from = (k * size + first + j) * size;
      values.set(of.subarray(from, from + rows), j * rows);
    }
    return { rows, cols: rows, values };
  };
  return {
    u: transposed(columns(u)),
    s: s.slice(k * size + first, (k + 1) * size),
    v: columns(v),
  };
}
