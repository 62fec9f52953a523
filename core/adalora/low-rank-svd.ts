import { type Decompose, jacobiSvd, type Svd } from "../jacobi-svd.ts";
import { lengthOf, type Matrix, product, transposed } from "../matrix.ts";

/** The factors of a product B A: B [m, r], A [r, n]. */
export interface Factors {
  readonly b: Matrix;
  readonly a: Matrix;
}

/**
 * Computes the singular value decomposition of a product B A without forming it: QR of B and of Aᵀ,
 * then the SVD of the small matrix between them. k = min(m, n, r), also where the product has a
 * lower rank. The same factors give the same bits, and the signs do not depend on how the small
 * matrix is decomposed.
 */
export function svdOfProduct(factors: Factors): Svd {
  const sides = sidesOf(factors);
  return around(sides, jacobiSvd(coreBetween(sides)));
}

/** The small matrix R_B R_Aᵀ between the QR factors of B and Aᵀ: it has B A's singular values. */
export const coreOf = (factors: Factors): Matrix => coreBetween(sidesOf(factors));

/**
 * Returns a function that computes the SVD of an item's product. It holds one item's factors at a
 * time: those of all modules of a large model do not fit into memory. With `decompose`, all small
 * matrices go to it in one call before, so that QR is computed twice.
 */
export function svdsOfProducts<T>(
  items: readonly T[],
  factorsOf: (item: T) => Factors,
  decompose?: Decompose,
): (item: T) => Svd {
  if (decompose === undefined) return (item) => svdOfProduct(factorsOf(item));
  const cores = decompose(items.map((item) => coreOf(factorsOf(item))));
  const decomposed = new Map(items.map((item, i) => [item, cores[i]!]));
  return (item) => around(sidesOf(factorsOf(item)), decomposed.get(item)!);
}

// --- internal ---

/** The QR decompositions of B and of Aᵀ. */
interface Sides {
  readonly left: Qr;
  readonly right: Qr;
}

/** Q [m, k] with orthonormal columns, computed on demand; R [k, n] upper triangular. */
interface Qr {
  readonly q: () => Matrix;
  readonly r: Matrix;
}

const sidesOf = ({ b, a }: Factors): Sides => ({ left: qr(b), right: qr(transposed(a)) });

const coreBetween = ({ left, right }: Sides) => product(left.r, transposed(right.r));

function around({ left, right }: Sides, core: Svd): Svd {
  const { u, s, v } = core;
  return withSigns({ u: product(left.q(), u), s, v: product(v, transposed(right.q())) });
}

/**
 * Chooses the signs of the pairs of singular vectors, which are free: in each row of V, the first
 * entry of at least half the largest magnitude is positive. (The largest itself may have an equal,
 * and rounding would choose between the two.)
 */
function withSigns({ u, s, v }: Svd): Svd {
  const signs = s.map((_, k) => {
    const row = v.values.subarray(k * v.cols, (k + 1) * v.cols);
    const half = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 2;
    return row.find((x) => Math.abs(x) >= half)! < 0 ? -1 : 1;
  });
  return {
    u: { ...u, values: u.values.map((x, i) => x * signs[i % u.cols]!) },
    s,
    v: { ...v, values: v.values.map((x, i) => x * signs[Math.floor(i / v.cols)]!) },
  };
}

/** Householder QR of [m, n]; k = min(m, n). */
function qr({ rows, cols, values }: Matrix): Qr {
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
  function q(): Matrix {
    const unit = new Float64Array(rows * k);
    for (let i = 0; i < k; i++) unit[i * k + i] = 1;
    for (let step = k - 1; step >= 0; step--) reflect(unit, rows, k, reflectors[step]!, step);
    return { rows, cols: k, values: unit };
  }
  return { q, r: { rows: k, cols, values: r } };
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
