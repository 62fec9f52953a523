import { countClasses } from "../data/class-names.ts";
import { tokensOf } from "../data/token-cache.ts";
import { sequenceBatch, type SequenceExamples } from "./sequence-examples.ts";
import { sequenceLoss } from "./sequence-loss.ts";
import {
  baselineMetrics,
  majorityShare,
  outputWidth,
  predictSequences,
  type SequenceSplit,
} from "./sequence-predictions.ts";
import type { Overview, PredictionSet, TrainingSet } from "./task.ts";
import { truncatedLengths } from "./truncated-lengths.ts";

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
    textsPerRow: examples.some(({ pair }) => pair !== undefined) ? 2 : 1,
    majority: labels && majorityShare(labels, task.kind),
    get baseline() {
      return labels && baselineMetrics(labels, task, outputWidth(task.kind, set.labelNames));
    },
    warnings,
    bytes: bytesOf(set),
    overview: (samples) => overviewOf(set, samples),
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

function overviewOf(set: SequenceExamples, samples: number): Overview {
  const { examples, tokens, lengths, fullLengths, maxLength, labels, labelNames } = set;
  const limit = maxLength ?? Math.max(0, ...lengths);
  return {
    classes: labelNames && labels && countClasses(labelNames, labels),
    lengths: [truncatedLengths("text", "max-length", { full: fullLengths, kept: lengths, limit })],
    samples: examples.slice(0, samples).map(({ label }, i) => ({
      ids: tokensOf(tokens, i).ids,
      label: label === undefined ? label : (labelNames?.[label] ?? String(label)),
    })),
  };
}

/** Bytes of tokens (5 each), of texts, and of a JavaScript object per example. */
function bytesOf({ tokens, examples }: SequenceExamples): number {
  const characters = examples.reduce((n, { text, pair = "" }) => n + text.length + pair.length, 0);
  return 5 * tokens.ids.length + characters + 256 * examples.length;
}
