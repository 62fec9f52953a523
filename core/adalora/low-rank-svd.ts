/** A matrix [rows, cols] in f64, row by row. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

/** M = U diag(s) V: U [m, k] with orthonormal columns, s [k] descending, V [k, n] with orthonormal rows. */
export interface Svd {
  readonly u: Matrix;
  readonly s: Float64Array;
  readonly v: Matrix;
}

/**
 * Computes the singular value decomposition of a product B A, [m, r] [r, n], without forming it:
 * QR of B and of Aᵀ, then the SVD of the small matrix between them. k = min(m, n, r), also where
 * the product has a lower rank. The same factors give the same bits.
 */
export function svdOfProduct(b: Matrix, a: Matrix): Svd {
  const left = qr(b);
  const right = qr(transposed(a));
  const core = svd(product(left.r, transposed(right.r)));
  return {
    u: product(left.q, core.u),
    s: core.s,
    v: product(core.v, transposed(right.q)),
  };
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

// --- internal ---

/**
 * Householder QR of [m, n]: Q [m, k] with orthonormal columns, R [k, n] upper triangular,
 * k = min(m, n).
 */
function qr({ rows, cols, values }: Matrix): { q: Matrix; r: Matrix } {
  const k = Math.min(rows, cols);
  const work = values.slice();
  const reflectors: Float64Array[] = [];
  for (let step = 0; step < k; step++) {
    const v = reflector(work, rows, cols, step);
    reflectors.push(v);
    reflect(work, rows, cols, v, step);
  }
  const r = new Float64Array(k * cols);
  for (let i = 0; i < k; i++) {
    for (let j = i; j < cols; j++) r[i * cols + j] = work[i * cols + j]!;
  }
  const q = new Float64Array(rows * k);
  for (let i = 0; i < k; i++) q[i * k + i] = 1;
  for (let step = k - 1; step >= 0; step--) reflect(q, rows, k, reflectors[step]!, step);
  return { q: { rows, cols: k, values: q }, r: { rows: k, cols, values: r } };
}

/** The unit vector v, zero above `step`, whose reflection clears the column below its diagonal. */
function reflector(work: Float64Array, rows: number, cols: number, step: number): Float64Array {
  const v = new Float64Array(rows);
  for (let i = step; i < rows; i++) v[i] = work[i * cols + step]!;
  const norm = lengthOf(v);
  if (norm === 0) return v; // nothing to clear: the reflection by 0 is the identity
  v[step] = v[step]! + (v[step]! < 0 ? -norm : norm);
  const length = lengthOf(v);
  return v.map((x) => x / length);
}

/** Replaces M by (I - 2 v vᵀ) M; v is zero above `first`. */
function reflect(m: Float64Array, rows: number, cols: number, v: Float64Array, first: number) {
  for (let j = 0; j < cols; j++) {
    let sum = 0;
    for (let i = first; i < rows; i++) sum += v[i]! * m[i * cols + j]!;
    if (sum === 0) continue;
    for (let i = first; i < rows; i++) m[i * cols + j] = m[i * cols + j]! - 2 * sum * v[i]!;
  }
}

/** The SVD of a small matrix, by one-sided Jacobi rotations of its shorter side. */
function svd(m: Matrix): Svd {
  if (m.rows < m.cols) {
    const { u, s, v } = svd(transposed(m));
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

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

const lengthOf = (x: Float64Array) => Math.sqrt(dot(x, x));

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
