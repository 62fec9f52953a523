import { sequenceBatch, type SequenceExamples } from "./sequence-examples.ts";
import { sequenceLoss } from "./sequence-loss.ts";
import {
  baselineMetrics,
  majorityShare,
  outputWidth,
  predictSequences,
  type SequenceSplit,
} from "./sequence-predictions.ts";
import type { PredictionSet, TrainingSet } from "./task.ts";

/** A split with one output per row as a data set. */
export function sequenceDataset(
  set: SequenceExamples,
  task: Pick<SequenceSplit, "glue" | "kind" | "isWhole">,
): TrainingSet & PredictionSet {
  const { name, examples, tokens, lengths, labels, warnings } = set;
  return {
    name,
    rows: examples.length,
    lengths,
    isLabelled: labels !== undefined,
    majority: labels && majorityShare(labels, task.kind),
    get baseline() {
      return labels && baselineMetrics(labels, task, outputWidth(task.kind, set.labelNames));
    },
    warnings,
    bytes: bytesOf(set),
    digest(hash) {
      hash.update(tokens.offsets);
      hash.update(tokens.ids);
      if (labels) hash.update(labels);
    },
    batch(indices) {
      const batch = sequenceBatch(set, indices);
      const { offsets, ids } = batch;
      return {
        offsets,
        tokens: ids.length,
        loss: (pass, model) => sequenceLoss(model, task.kind)(pass, batch),
      };
    },
    forward: (pass, model, indices) => void model.forward(pass, sequenceBatch(set, indices)),
    predict: (backend, model, options) =>
      predictSequences(backend, model, { ...task, set }, options),
  };
}

// --- internal ---

/** Bytes of tokens (5 each), of texts, and of a JavaScript object per example. */
function bytesOf({ tokens, examples }: SequenceExamples): number {
  const characters = examples.reduce((n, { text, pair = "" }) => n + text.length + pair.length, 0);
  return 5 * tokens.ids.length + characters + 256 * examples.length;
}
