import type { Model, SequenceHeadKind } from "../model/plugin.ts";
import { crossEntropy, meanSquaredError } from "../ops/losses.ts";
import type { BatchLoss } from "./batch.ts";

/**
 * Mean cross entropy over classes, or mean squared error of scores, of a model with one output row
 * per sequence.
 */
export function sequenceLoss(model: Model, task: SequenceHeadKind): BatchLoss {
  return (pass, batch) => {
    const logits = model.forward(pass, batch);
    if (task === "classification") {
      return crossEntropy(pass, { logits }, { labels: pass.integers(batch.labels) });
    }
    const target = pass.allocateMaster(batch.labels.length);
    pass.backend.upload(target, batch.labels);
    return meanSquaredError(pass, { prediction: logits }, { target });
  };
}
