import { dot, lengthOf, type Matrix, transposed } from "./matrix.ts";

/** M = U diag(s) V: U [m, k] with orthonormal columns, s [k] descending, V [k, n] with orthonormal rows. */
export interface Svd {
  readonly u: Matrix;
  readonly s: Float64Array;
  readonly v: Matrix;
}

/** Computes the singular value decompositions of many small matrices. */
export type Decompose = (matrices: readonly Matrix[]) => readonly Svd[];

/**
 * Computes the singular value decomposition of a small matrix by one-sided Jacobi rotations of its
 * shorter side. The same matrix gives the same bits.
 */
export function jacobiSvd(m: Matrix): Svd {
  if (m.rows < m.cols) {
    const { u, s, v } = jacobiSvd(transposed(m));
    return { u: transposed(v), s, v: transposed(u) };
  }
  const columns = columnsOf(m);
  const rotations = columnsOf(identity(m.cols));
  for (let sweep = 0; sweep < MAX_SWEEPS && rotateAll(columns, rotations); sweep++);
  const norms = columns.map((column) => lengthOf(column));
  const order = [...norms.keys()].toSorted((i, j) => norms[j]! - norms[i]! || i - j);
  const largest = norms[order[0] ?? 0] ?? 0;
  const u: Float64Array[] = [];
  for (const i of order) {
    const norm = norms[i]!;
    const isNull = norm <= largest * 1e-15;
    u.push(isNull ? completing(u, m.rows) : columns[i]!.map((x) => x / norm));
  }
  return {
    u: transposed(rowsToMatrix(u, m.rows)),
    s: Float64Array.from(order, (i) => norms[i]!),
    v: rowsToMatrix(
      order.map((i) => rotations[i]!),
      m.cols,
    ),
  };
}

/** Decomposes matrices one by one, on the CPU. */
export const decomposeOnCpu: Decompose = (matrices) => matrices.map((matrix) => jacobiSvd(matrix));

// --- internal ---

/** Jacobi converges quadratically: 6 to 10 sweeps reach the rounding error. */
const MAX_SWEEPS = 60;

/** Makes each pair of columns orthogonal in turn; whether any was not yet. */
function rotateAll(columns: readonly Float64Array[], rotations: readonly Float64Array[]): boolean {
  let rotated = false;
  for (let i = 0; i < columns.length; i++) {
    for (let j = i + 1; j < columns.length; j++) {
      const [x, y] = [columns[i]!, columns[j]!];
      const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
      if (Math.abs(xy) <= 1e-16 * Math.sqrt(xx * yy)) continue;
      rotated = true;
      const zeta = (yy - xx) / (2 * xy);
      const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const c = 1 / Math.hypot(1, t);
      rotate(x, y, c, c * t);
      rotate(rotations[i]!, rotations[j]!, c, c * t);
    }
  }
  return rotated;
}

function rotate(x: Float64Array, y: Float64Array, c: number, s: number) {
  for (let i = 0; i < x.length; i++) {
    const [xi, yi] = [x[i]!, y[i]!];
    x[i] = c * xi - s * yi;
    y[i] = s * xi + c * yi;
  }
}

/** A unit vector orthogonal to orthonormal vectors of [size]: the best of the unit vectors, projected. */
function completing(vectors: readonly Float64Array[], size: number): Float64Array {
  let best = new Float64Array(size);
  let bestNorm = 0;
  for (let i = 0; i < size && bestNorm < 0.5; i++) {
    const rest = new Float64Array(size);
    rest[i] = 1;
    for (let pass = 0; pass < 2; pass++) {
      for (const vector of vectors) {
        const along = dot(rest, vector);
        for (let k = 0; k < size; k++) rest[k] = rest[k]! - along * vector[k]!;
      }
    }
    const norm = lengthOf(rest);
    if (norm > bestNorm) [best, bestNorm] = [rest.map((x) => x / norm), norm];
  }
  return best;
}

const columnsOf = (m: Matrix) => {
  const { rows, values } = transposed(m);
  return Array.from({ length: rows }, (_, i) => values.slice(i * m.rows, (i + 1) * m.rows));
};

function identity(size: number): Matrix {
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i++) values[i * size + i] = 1;
  return { rows: size, cols: size, values };
}

function rowsToMatrix(rows: readonly Float64Array[], cols: number): Matrix {
  const values = new Float64Array(rows.length * cols);
  for (const [i, row] of rows.entries()) values.set(row, i * cols);
  return { rows: rows.length, cols, values };
}
