import type { Buffer } from "./memory.ts";

/** The settings of one optimizer update. */
export interface AdamWStep {
  /**
   * "adamw": torch's (decay first, eps outside the bias-corrected root). "adamw-hf": transformers'
   * (eps before bias correction, decay last).
   */
  readonly variant: "adamw" | "adamw-hf";
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** The number of this update, from 1, for the bias correction. */
  readonly t: number;
}

/** Moving averages of one factor: sensitivity (paper eq. 9) and uncertainty (eq. 10). */
export interface Averages {
  readonly sensitivity: Buffer;
  readonly uncertainty: Buffer;
}

/** A parameter's averages and the coefficients of their update. */
export interface Importance extends Averages {
  readonly beta1: number;
  readonly beta2: number;
}

/**
 * The triplets of one adapter: A [rank, inFeatures], E [rank] (absent for LoRA's doublets),
 * B [outFeatures, rank].
 */
export interface Triplets {
  readonly a: Averages;
  readonly e: Averages | undefined;
  readonly b: Averages;
  /** [rank] */
  readonly scores: Buffer;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** A matrix [rows, cols] whose rows, or columns, are kept (1) or zeroed (0). */
export interface MaskedMatrix {
  readonly param: Buffer;
  /** [rows], or [cols] when `columns`. */
  readonly kept: Buffer;
  readonly rows: number;
  readonly cols: number;
  readonly columns: boolean;
}

/**
 * A matrix that is regularised to have orthonormal rows (factor [rank, width]) or columns (factor
 * [width, rank]).
 */
export interface OrthogonalFactor {
  readonly factor: Buffer;
  /** Shaped as the factor; absent if the factor is not trained. */
  readonly grad: Buffer | undefined;
  readonly rank: number;
  readonly width: number;
  readonly columns: boolean;
}

/**
 * The optimizer and AdaLoRA's budget allocation. All buffers are in the master dtype. A backend may
 * keep what it makes of a list of adapters, matrices or factors: a list that is passed again must be
 * unchanged, its buffers too.
 */
export interface TrainingKernels {
  /** sum[0] = sum of squares of x. */
  sumOfSquares(x: Buffer, sum: Buffer): void;
  /**
   * norm[0] = sqrt(sumOfSquares[0]); with maxNorm > 0, grad *= min(1, maxNorm / (norm + 1e-6)), as
   * torch's clip_grad_norm_.
   */
  clipByNorm(grad: Buffer, sumOfSquares: Buffer, maxNorm: number, norm: Buffer): void;
  /**
   * Updates param, m and v from grad. With `importance`, then updates the averages from the new
   * param, with I = |param * grad|:
   *   sensitivity = beta1 * sensitivity + (1 - beta1) * I
   *   uncertainty = beta2 * uncertainty + (1 - beta2) * |I - sensitivity|, with the new sensitivity
   */
  adamw(
    param: Buffer,
    grad: Buffer,
    m: Buffer,
    v: Buffer,
    step: AdamWStep,
    importance?: Importance,
  ): void;
  /**
   * For each adapter, sets scores[i] = s(E_i) + mean over columns of s(A_i) + mean over rows of
   * s(B_i), without the first term if there is no E. s is sensitivity times uncertainty (paper eq.
   * 9-11), or sensitivity alone without `uncertainty`.
   */
  tripletScores(adapters: readonly Triplets[], uncertainty: boolean): void;
  /**
   * Sets threshold[0] to the (length - budget)-th smallest score, and kept[i] to 1 where the score
   * is above it, else 0. With budget = length all are kept and threshold[0] is NaN.
   *
   * With `costs`, whole numbers up to 2^24, score i counts costs[i] times, in the length too: the
   * scores above the threshold are the highest whose costs add up to at most the budget.
   */
  keepTop(scores: Buffer, budget: number, kept: Buffer, threshold: Buffer, costs?: Buffer): void;
  /** For each matrix, param[r, c] *= kept[r], or *= kept[c] when `columns`. */
  applyMask(matrices: readonly MaskedMatrix[]): void;
  /**
   * For each factor, with P's rows the vectors that should be orthonormal and M = P P^T - I:
   * norm[0] += weight * ||M||_F; grad += gradWeight * weight * d||M||_F / dP where grad is given.
   */
  orthogonality(
    factors: readonly OrthogonalFactor[],
    norm: Buffer,
    weights: { readonly weight: number; readonly gradWeight: number },
  ): void;
}
