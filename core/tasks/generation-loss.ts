import type { PackedTargets } from "../nn/source-target-batch.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { GenerationModel } from "../plugin.ts";
import type { LossOf } from "../train/trainer.ts";

/** Packed sources and targets, and what each target row is to say. */
export interface GenerationBatch extends TokenBatch, PackedTargets {}

/** Cross entropy over the vocabulary, the mean over the labels that count; `smoothing` spreads that share of each over all words. */
export function generationLoss(
  model: GenerationModel,
  { smoothing }: { readonly smoothing: number },
): LossOf<GenerationBatch> {
  return (run, batch) => {
    const hidden = model.decode(run, batch.target, model.encode(run, batch));
    return model.loss(run, hidden, { labels: batch.labels, smoothing });
  };
}
