import type { PackedTargets } from "../nn/source-target-batch.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { GenerationModel } from "../model/plugin.ts";
import type { BatchLoss } from "./batch.ts";

/** Packed sources and targets, and what each target row is to say. */
export interface GenerationBatch extends TokenBatch, PackedTargets {}

/** Cross entropy over the vocabulary, the mean over the labels that count; `smoothing` spreads that share of each over all words. */
export function generationLoss(
  model: GenerationModel,
  { smoothing }: { readonly smoothing: number },
): BatchLoss<GenerationBatch> {
  return (pass, batch) => {
    const hidden = model.decode(pass, batch.target, model.encode(pass, batch));
    return model.loss(pass, hidden, { labels: batch.labels, smoothing });
  };
}
