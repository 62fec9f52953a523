import type { ActivationKind, Dropout } from "./elementwise.ts";
import type { Buffer } from "./memory.ts";

/** The rows that a group of linear layers reads: x [rows, inputs]. */
export interface LinearsShape {
  readonly rows: number;
  readonly inputs: number;
}

/**
 * An adapter of a layer, or of a range of its outputs: scale * (dropout(x) A^T) diag(E) B^T (paper
 * eq. 3). Nothing is read of a triplet whose e is 0, as in `addLowRank`.
 */
export interface LinearIncrement {
  /** [rank, inputs] */
  readonly a: Buffer;
  /** [rank]; absent: all 1, as in LoRA. */
  readonly e: Buffer | undefined;
  /** [cols, rank] */
  readonly b: Buffer;
  readonly scale: number;
  readonly rank: number;
  /** On x, for this increment alone. */
  readonly dropout: Dropout | undefined;
  /** First output that it adds to; other than 0 in parts of fused layers. */
  readonly start: number;
  /** Outputs that it adds to. */
  readonly cols: number;
  /** [rows, rank] of master values: dropout(x) A^T, which forward sets and backward reads. */
  readonly h: Buffer;
}

/** One layer of a group in forward: y = f(z), z = x W^T + bias + increments. */
export interface LinearForward {
  /** [outputs, inputs] */
  readonly weight: Buffer;
  /** [outputs] */
  readonly bias: Buffer | undefined;
  readonly outputs: number;
  /** At most one per output. */
  readonly increments: readonly LinearIncrement[];
  /** f; absent: the identity, and then y is z. */
  readonly activation: ActivationKind | undefined;
  /** [rows, outputs], set. */
  readonly z: Buffer;
  /** [rows, outputs], set; may be z, whose values are then lost. */
  readonly y: Buffer;
}

/** An increment in backward; an absent gradient is not needed. */
export interface LinearIncrementBackward extends LinearIncrement {
  /** [rank, inputs], added to. */
  readonly da: Buffer | undefined;
  /** [rank], added to; absent without E. */
  readonly de: Buffer | undefined;
  /** [cols, rank], added to. */
  readonly db: Buffer | undefined;
}

/** One layer of a group in backward; an absent gradient is not needed. */
export interface LinearBackward {
  readonly weight: Buffer;
  readonly outputs: number;
  readonly increments: readonly LinearIncrementBackward[];
  readonly activation: ActivationKind | undefined;
  /** What forward set; read only if there is an activation, so it may have been freed. */
  readonly z: Buffer | undefined;
  /** [rows, outputs]: the gradient of y. */
  readonly dy: Buffer;
  /** [rows, outputs], set to the gradient of z; may be dy, and is dy without an activation. */
  readonly dz: Buffer;
  /** [outputs, inputs], added to. */
  readonly dweight: Buffer | undefined;
  /** [outputs], added to. */
  readonly dbias: Buffer | undefined;
}

/** A buffer that is set if `beta` is 0, and added to if it is 1. */
export interface Accumulator {
  readonly buffer: Buffer;
  readonly beta: 0 | 1;
}

/**
 * Linear layers that read the same rows: one call for query, key and value, and for any single
 * layer, adapted or not. `composedLinears` of core/backend makes both entries of a backend's other
 * entries; a backend with better kernels replaces them. Results must not depend on the grouping by
 * more than rounding.
 */
export interface LinearKernels {
  /** Sets z and y of each member, and h of its increments. */
  linears(x: Buffer, members: readonly LinearForward[], shape: LinearsShape): void;
  /**
   * Adds the gradients of each member's parameters, and sets or adds to dx [rows, inputs] the sum
   * over members of dz W + scale * dropout((dz B) diag(E) A). `x`: absent where no member has an
   * increment or a trained weight. `dx`: absent where it is not needed.
   */
  linearsBackward(
    x: Buffer | undefined,
    members: readonly LinearBackward[],
    dx: Accumulator | undefined,
    shape: LinearsShape,
  ): void;
}
