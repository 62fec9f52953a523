import type { ForwardPass } from "../forward-pass.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { Tensor } from "../tensor.ts";

/** What the trainer needs of a batch: its weight among the micro-batches of a step. */
export interface WeightedBatch extends Pick<TokenBatch, "offsets"> {
  /** The number of terms that the loss averages over; default: the number of sequences. */
  readonly weight?: number;
}

/** Packed rows with the labels of their sequences. */
export interface LabelledBatch extends TokenBatch {
  /** [B] class indices, or scores. */
  readonly labels: ArrayLike<number>;
}

/** Builds a batch's mean loss, [1]. */
export type BatchLoss<Batch extends WeightedBatch = LabelledBatch> = (
  pass: ForwardPass,
  batch: Batch,
) => Tensor;
