import type { ForwardPass } from "../forward-pass.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { Tensor } from "../tensor.ts";

/** What the trainer itself needs to know of a batch: what it counts beside others of a step, its sequences unless it says otherwise. */
export interface WeightedBatch extends Pick<TokenBatch, "offsets"> {
  /** What the batch's loss is the mean over, where that is not its sequences. */
  readonly weight?: number;
}

/** Packed rows with the numbers that the loss compares them to. */
export interface LabelledBatch extends TokenBatch {
  /** [B] classes as whole numbers, or scores. */
  readonly labels: ArrayLike<number>;
}

/** Builds the loss of a batch, [1], the mean over its rows. */
export type BatchLoss<Batch extends WeightedBatch = LabelledBatch> = (
  pass: ForwardPass,
  batch: Batch,
) => Tensor;
