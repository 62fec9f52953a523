import { EigenvalueDecomposition } from "ml-matrix";
import { normals } from "../../rng.ts";
import { gramProduct } from "./gram-product.ts";
import { addScaled, combination, dot } from "./vectors.ts";

/** The largest singular values, [k], descending, and their right singular vectors, [k] of [c]. */
export interface TopSingularVectors {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** Orthonormal vectors V with their images CV under C = MᵀM, and VᵀCV, [v][v]. */
interface Subspace {
  readonly basis: Float64Array[];
  readonly images: Float64Array[];
  readonly projected: number[][];
}

/** The subspace's approximation of an eigenpair of C; residual = C vector - value vector. */
interface RitzPair {
  readonly value: number;
  readonly vector: Float64Array;
  readonly image: Float64Array;
  readonly residual: Float64Array;
}

/**
 * Computes the k <= c largest singular values of M and their right singular vectors.
 * rows: [n], M's rows, [c] each. Signs are arbitrary; the same rows give the same bits.
 *
 * Rayleigh-Ritz for the eigenpairs of MᵀM on a growing subspace, which starts as a random block and
 * is extended by the residuals of the pairs that have not converged: a block Krylov method that
 * stops multiplying for pairs that are done. Vectors past M's rank are orthonormal, from its null
 * space.
 */
export function topSingularVectors(rows: readonly Float64Array[], k: number): TopSingularVectors {
  const columns = rows[0]?.length ?? 0;
  const block = Math.min(columns, 2 * k);
  let subspace: Subspace = { basis: [], images: [], projected: [] };
  let fresh = orthonormalized(randomBlock(block, columns), []);
  for (;;) {
    extend(subspace, fresh, gramProduct(rows, fresh));
    const pairs = ritzPairs(subspace, k);
    const rough = unconverged(pairs);
    if (subspace.basis.length > MAX_BLOCKS * block)
      subspace = restarted(ritzPairs(subspace, block));
    fresh = orthonormalized(rough, subspace.basis);
    if (fresh.length === 0) return topOf(pairs);
  }
}

const MAX_BLOCKS = 12; // beyond, the small eigenproblem costs as much as the products
// A residual's bounds: relative to its eigenvalue, and to the largest one (what f64 products
// leave).
const TOLERANCE = 1e-8;
const ROUNDING = 1e-13;

/** The residuals that are still too large, scaled to length 1. */
function unconverged(pairs: readonly RitzPair[]): Float64Array[] {
  const largest = pairs[0]?.value ?? 0;
  return pairs.flatMap(({ value, residual }) => {
    const norm = Math.sqrt(dot(residual, residual));
    if (norm <= Math.max(TOLERANCE * value, ROUNDING * largest)) return [];
    return [residual.map((x) => x / norm)];
  });
}

function topOf(pairs: readonly RitzPair[]): TopSingularVectors {
  return {
    values: Float64Array.from(pairs, ({ value }) => Math.sqrt(Math.max(0, value))),
    vectors: pairs.map(({ vector }) => vector),
  };
}

/** Draws from N(0, 1), by a fixed seed. */
function randomBlock(count: number, columns: number): Float64Array[] {
  const draws = normals(count * columns, 1, 0, 0);
  return Array.from({ length: count }, (_, i) =>
    Float64Array.from(draws.subarray(i * columns, (i + 1) * columns)),
  );
}

function extend(
  { basis, images, projected }: Subspace,
  fresh: readonly Float64Array[],
  freshImages: readonly Float64Array[],
): void {
  for (const [i, vector] of fresh.entries()) {
    const image = freshImages[i]!;
    basis.push(vector);
    images.push(image);
    const row = basis.map((other) => dot(other, image));
    row.slice(0, -1).forEach((value, j) => projected[j]!.push(value));
    projected.push(row);
  }
}

/** The largest `count` Ritz pairs, descending. */
function ritzPairs({ basis, images, projected }: Subspace, count: number): RitzPair[] {
  const solved = new EigenvalueDecomposition(projected, { assumeSymmetric: true });
  const { eigenvectorMatrix, realEigenvalues } = solved;
  const size = basis.length; // eigenvalues ascend
  return Array.from({ length: count }, (_, i) => {
    const coefficients = eigenvectorMatrix.getColumn(size - 1 - i);
    const value = realEigenvalues[size - 1 - i]!;
    const vector = combination(basis, coefficients);
    const image = combination(images, coefficients);
    return { value, vector, image, residual: image.map((x, j) => x - value * vector[j]!) };
  });
}

/** The subspace of these pairs alone. */
function restarted(pairs: readonly RitzPair[]): Subspace {
  return {
    basis: pairs.map(({ vector }) => vector),
    images: pairs.map(({ image }) => image),
    projected: pairs.map(({ value }, i) => pairs.map((_, j) => (i === j ? value : 0))),
  };
}

/** Makes vectors orthonormal to the basis and to each other; drops those in the others' span. */
function orthonormalized(
  vectors: readonly Float64Array[],
  basis: readonly Float64Array[],
): Float64Array[] {
  const out: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    const before = dot(rest, rest);
    // Twice is enough: the second pass removes what rounding left (Kahan and Parlett).
    for (let pass = 0; pass < 2; pass++)
      for (const other of [...basis, ...out]) addScaled(rest, other, -dot(rest, other));
    const after = dot(rest, rest);
    if (after > 1e-20 * before) out.push(rest.map((x) => x / Math.sqrt(after)));
  }
  return out;
}
