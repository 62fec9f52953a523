import type { GenerationModel } from "../model/plugin.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import type { PackedTargets } from "../nn/source-target-batch.ts";
import type { BatchLoss } from "./batch.ts";

/** Packed sources and targets, and the label of each target row. */
export interface GenerationBatch extends TokenBatch, PackedTargets {}

/** Mean cross entropy over the target tokens; smoothing: label smoothing over the vocabulary. */
export function generationLoss(
  model: GenerationModel,
  { smoothing }: { readonly smoothing: number },
): BatchLoss<GenerationBatch> {
  return (pass, batch) => {
    const hidden = model.decode(pass, batch.target, model.encode(pass, batch));
    return model.loss(pass, hidden, { labels: batch.labels, smoothing });
  };
}
