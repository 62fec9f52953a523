import { type Batch, batchesOf } from "../data/batching.ts";

export interface OrderOptions {
  readonly batchSize: number;
  /** Micro-batches of one optimizer step. */
  readonly gradAccum: number;
  readonly seed: number;
  readonly bucketed: boolean;
}

/** Which examples each optimizer step sees: a function of the step alone, so that a resumed run goes on as it would have. */
export function trainingOrder(lengths: ArrayLike<number>, options: OrderOptions) {
  const { gradAccum } = options;
  const batchesPerEpoch = Math.ceil(lengths.length / options.batchSize);
  const stepsPerEpoch = Math.ceil(batchesPerEpoch / gradAccum);
  let cached: { epoch: number; batches: readonly Batch[] } | undefined;
  return (step: number): readonly Batch[] => {
    const epoch = Math.floor(step / stepsPerEpoch);
    if (cached?.epoch !== epoch)
      cached = { epoch, batches: batchesOf(lengths, { ...options, epoch }) };
    const first = (step % stepsPerEpoch) * gradAccum;
    return cached.batches.slice(first, first + gradAccum);
  };
}
