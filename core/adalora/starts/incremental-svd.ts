import type { Backend } from "../../backend.ts";
import { invariant } from "../../errors.ts";
import { type TopSingularVectors, topSingularVectors } from "./top-singular-vectors.ts";
import { dot } from "./vectors.ts";

/**
 * Principal components of rows that arrive in batches, in f64: PEFT's `IncrementalPCA`, and EVA's
 * test of convergence (Paischer et al., arXiv:2410.07170).
 *
 * An update is the SVD of the rows that stand for all so far (Ross et al., "Incremental Learning
 * for Robust Visual Tracking"):
 *
 *   S V                                      what the components keep of earlier rows
 *   X - mean(X)                              the batch, centred on its own mean
 *   sqrt(seen n / (seen + n)) (m - mean(X))  the distance between its mean and theirs
 *
 * PEFT approximates the SVD by `torch.svd_lowrank`; here it is exact.
 */
export class IncrementalSvd {
  readonly #k: number;
  readonly #features: number;
  readonly #backend: Backend | undefined;
  /** Rows so far, their mean, and the sum of their squares. */
  #seen = 0;
  #mean: Float64Array;
  #energy = 0;
  #state: TopSingularVectors | undefined;
  #previous: TopSingularVectors | undefined;

  /**
   * components: k <= features; features: columns of every batch. A `backend` speeds up the updates
   * (see `topSingularVectors`).
   */
  constructor(components: number, features: number, backend?: Backend) {
    invariant(components >= 1 && components <= features, `1 to ${features} components`);
    this.#k = components;
    this.#features = features;
    this.#backend = backend;
    this.#mean = new Float64Array(features);
  }

  /**
   * Right singular vectors, [k] of [features]; none before the first update. Orthonormal, and the
   * entry of largest magnitude is positive.
   */
  get components(): readonly Float64Array[] {
    return this.#state?.vectors ?? [];
  }

  /** [k], descending. */
  get singularValues(): Float64Array {
    return this.#state?.values ?? new Float64Array();
  }

  /**
   * Takes in `count` rows, [count, features]. Skips a batch with fewer rows than components, as
   * PEFT does, and returns false.
   */
  update(rows: Float32Array | Float64Array, count: number): boolean {
    invariant(rows.length >= count * this.#features, `${count} rows of ${this.#features}`);
    if (count < this.#k) return false;
    const mean = meanOf(rows, count, this.#features);
    const energy = sumOfSquares(rows, count * this.#features);
    invariant(Number.isFinite(energy), "activations are finite");
    const stacked = [...this.#earlier(mean, count), ...centred(rows, count, mean)];
    this.#previous = this.#state;
    this.#state = withFixedSigns(topSingularVectors(stacked, this.#k, this.#backend));
    const total = this.#seen + count;
    this.#mean = this.#mean.map((m, c) => (m * this.#seen + mean[c]! * count) / total);
    this.#seen = total;
    this.#energy += energy;
    return true;
  }

  /**
   * Whether each component's cosine similarity before and after the last update is at least tau;
   * false before two updates. A component without variance passes: its direction is rounding noise.
   */
  converged(tau: number): boolean {
    const [now, before] = [this.#state, this.#previous];
    if (!now || !before) return false;
    // f32 activations resolve about 1e-7 of a row's length.
    const noise = 1e-6 * Math.sqrt(this.#energy);
    return now.vectors.every(
      (vector, i) => now.values[i]! <= noise || dot(vector, before.vectors[i]!) >= tau,
    );
  }

  /** The rows that stand for earlier batches. */
  #earlier(mean: Float64Array, count: number): Float64Array[] {
    if (!this.#state) return [];
    const { values, vectors } = this.#state;
    const kept = vectors.map((vector, i) => vector.map((x) => x * values[i]!));
    const weight = Math.sqrt((this.#seen * count) / (this.#seen + count));
    return [...kept, this.#mean.map((m, c) => weight * (m - mean[c]!))];
  }
}

function meanOf(rows: ArrayLike<number>, count: number, features: number): Float64Array {
  const mean = new Float64Array(features);
  for (let r = 0; r < count; r++)
    for (let c = 0; c < features; c++) mean[c]! += rows[r * features + c]!;
  return mean.map((sum) => sum / count);
}

function sumOfSquares(values: ArrayLike<number>, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += values[i]! ** 2;
  return sum;
}

function centred(rows: ArrayLike<number>, count: number, mean: Float64Array): Float64Array[] {
  return Array.from({ length: count }, (_, r) => {
    const row = new Float64Array(mean.length);
    for (let c = 0; c < row.length; c++) row[c] = rows[r * row.length + c]! - mean[c]!;
    return row;
  });
}

/** PEFT's sign convention: a vector's entry of largest magnitude is positive. */
function withFixedSigns({ values, vectors }: TopSingularVectors): TopSingularVectors {
  const fixed = vectors.map((vector) => {
    const largest = vector.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    return largest < 0 ? vector.map((x) => -x) : vector;
  });
  return { values, vectors: fixed };
}
