import { EigenvalueDecomposition } from "ml-matrix";
import { normals } from "../../rng.ts";
import { addScaled, combination, dot } from "./vectors.ts";

/** Multiplies vectors, [v] of [c], by a symmetric positive semidefinite matrix C [c, c]. */
export type SymmetricProduct = (vectors: readonly Float64Array[]) => readonly Float64Array[];

/** The largest eigenvalues, [k], descending, and their eigenvectors, [k] of [c]. */
export interface TopEigenpairs {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** When an eigenpair counts as converged, and where the search starts. */
export interface EigenOptions {
  /** k <= c. */
  readonly count: number;
  /** Linearly independent vectors that span the first subspace, [v >= k] of [c]. */
  readonly start: readonly Float64Array[];
  /** Largest residual ||C v - value v||, relative to the pair's own value. */
  readonly tolerance: number;
  /** Largest residual relative to the largest value: the rounding error of the products. */
  readonly rounding: number;
  /** Limit on calls of the product; the pairs are then returned unconverged. */
  readonly maxProducts?: number;
}

/** Orthonormal vectors V with their images CV under C, and VᵀCV, [v][v]. */
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
 * Computes the largest eigenpairs of a matrix given by its products. Signs are arbitrary; equal
 * products give equal bits. Vectors beyond C's rank are orthonormal vectors of its null space.
 *
 * Rayleigh-Ritz on a growing subspace, extended by the residuals of the unconverged pairs: a block
 * Krylov method that spends no products on converged pairs.
 */
export function topEigenpairs(product: SymmetricProduct, options: EigenOptions): TopEigenpairs {
  const { count, start, maxProducts = Infinity } = options;
  const maxSize = MAX_GROWTH * count;
  let subspace: Subspace = { basis: [], images: [], projected: [] };
  let fresh = orthonormalized(start, []);
  for (let products = 1; ; products++) {
    extend(subspace, fresh, product(fresh));
    const pairs = ritzPairs(subspace, count);
    const rough = products < maxProducts ? unconverged(pairs, options) : [];
    if (subspace.basis.length > maxSize)
      subspace = restarted(ritzPairs(subspace, Math.max(count, start.length)));
    fresh = orthonormalized(rough, subspace.basis);
    if (fresh.length === 0) return topOf(pairs);
  }
}

/** Draws from N(0, 1), [count] of [columns], by a fixed seed. */
export function randomVectors(count: number, columns: number): Float64Array[] {
  const draws = normals(count * columns, 1, 0, 0);
  return Array.from(
    { length: count },
    (_, i) => new Float64Array(draws.subarray(i * columns, (i + 1) * columns)),
  );
}

// --- internal ---

/** Largest subspace, per pair: beyond it the small eigenproblem costs as much as the products. */
const MAX_GROWTH = 24;

/** The residuals that are still too large, scaled to length 1. */
function unconverged(
  pairs: readonly RitzPair[],
  { tolerance, rounding }: Pick<EigenOptions, "tolerance" | "rounding">,
): Float64Array[] {
  const largest = pairs[0]?.value ?? 0;
  return pairs.flatMap(({ value, residual }) => {
    const norm = Math.sqrt(dot(residual, residual));
    if (norm <= Math.max(tolerance * value, rounding * largest)) return [];
    return [residual.map((x) => x / norm)];
  });
}

function topOf(pairs: readonly RitzPair[]): TopEigenpairs {
  return {
    values: Float64Array.from(pairs, ({ value }) => value),
    vectors: pairs.map(({ vector }) => vector),
  };
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
