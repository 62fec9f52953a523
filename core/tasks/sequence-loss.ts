import type { Model, SequenceTask } from "../plugin.ts";
import { crossEntropy, meanSquaredError } from "../ops/losses.ts";
import type { LossOf } from "../train/trainer.ts";

/** Cross entropy over classes, or the mean squared error of one score, of a model that gives one row per sequence. */
export function sequenceLoss(model: Model, task: SequenceTask): LossOf {
  return (run, batch) => {
    const logits = model.forward(run, batch);
    if (task === "classification") {
      return crossEntropy(run, [logits], { labels: run.integers(batch.labels) });
    }
    const target = run.allocateMaster(batch.labels.length);
    run.backend.upload(target, batch.labels);
    return meanSquaredError(run, [logits], { target });
  };
}
