import { type Batch, chunksOf, trainingBatches } from "../data/batching.ts";

/** Options that determine the order of training examples. */
export interface OrderOptions {
  readonly batchSize: number;
  /** Batches per optimizer step. */
  readonly gradAccum: number;
  /**
   * Examples computed at once: batches are split into micro-batches of this size at most, which
   * changes no step's examples; null: whole batches.
   */
  readonly microBatch?: number | null;
  readonly seed: number;
  /** Batches examples of similar length. */
  readonly bucketed: boolean;
}

/**
 * Returns a function from optimizer step to its micro-batches of example indices. It depends on the
 * step alone, so a resumed run sees the same batches as an uninterrupted one.
 */
export function trainingOrder(lengths: ArrayLike<number>, options: OrderOptions) {
  const { gradAccum, batchSize } = options;
  const microBatch = options.microBatch ?? batchSize;
  const batchesPerEpoch = Math.ceil(lengths.length / batchSize);
  const stepsPerEpoch = Math.ceil(batchesPerEpoch / gradAccum);
  let cached: { epoch: number; batches: readonly Batch[] } | undefined;
  return (step: number): readonly Batch[] => {
    const epoch = Math.floor(step / stepsPerEpoch);
    if (cached?.epoch !== epoch)
      cached = { epoch, batches: trainingBatches(lengths, { ...options, epoch }) };
    const first = (step % stepsPerEpoch) * gradAccum;
    const batches = cached.batches.slice(first, first + gradAccum);
    return batches.flatMap((batch) => chunksOf(batch, microBatch));
  };
}
