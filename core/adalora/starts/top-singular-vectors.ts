import type { Backend } from "../../backend.ts";
import { gramProduct } from "./gram-product.ts";
import { singleGramProduct } from "./single-gram-product.ts";
import { randomVectors, topEigenpairs } from "./top-eigenpairs.ts";

/** The largest singular values, [k], descending, and their right singular vectors, [k] of [c]. */
export interface TopSingularVectors {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/**
 * Computes the k <= c largest singular values of M and their right singular vectors, in f64.
 * rows: [n], M's rows, [c] each. Signs are arbitrary; the same rows give the same bits.
 *
 * They come from the eigenpairs of MᵀM. An f32 `backend` computes starting vectors, which saves
 * half of the f64 products; its products take a twentieth of their time.
 */
export function topSingularVectors(
  rows: readonly Float64Array[],
  k: number,
  backend?: Backend,
): TopSingularVectors {
  const columns = rows[0]?.length ?? 0;
  const random = randomVectors(Math.min(columns, 2 * k), columns);
  const isRough = backend?.master === "f32" && rows.length * columns >= MIN_ELEMENTS;
  const start = isRough ? roughVectors(backend, rows, k, random) : random;
  const product = (vectors: readonly Float64Array[]) => gramProduct(rows, vectors);
  const tolerance = isRough ? SINGLE_TOLERANCE : TOLERANCE;
  const options = { count: k, start, tolerance, rounding: ROUNDING };
  const { values, vectors } = topEigenpairs(product, options);
  return { values: values.map((value) => Math.sqrt(Math.max(0, value))), vectors };
}

// --- internal ---

const TOLERANCE = 1e-8;
const ROUNDING = 1e-13;
/** With an f32 backend: the rounding of its activations moves the vectors by more than this. */
const SINGLE_TOLERANCE = 1e-7;
const rough = { tolerance: 1e-6, rounding: 1e-7, maxProducts: 12 };
/** Smaller matrices do not repay the upload. */
const MIN_ELEMENTS = 2 ** 16;

/** The vectors to f32 accuracy; the random ones if f32 overflows. */
function roughVectors(
  backend: Backend,
  rows: readonly Float64Array[],
  count: number,
  random: readonly Float64Array[],
): readonly Float64Array[] {
  using product = singleGramProduct(backend, rows);
  const { vectors } = topEigenpairs(product.of, { count, start: random, ...rough });
  return vectors.every((vector) => vector.every(Number.isFinite)) ? vectors : random;
}
