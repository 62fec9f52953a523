import { type GenerationModel, isGenerationModel, type Model } from "../plugin.ts";
import type { TaskWishes } from "../train/task-named.ts";
import type { PredictionSet, TokenizeOptions, TrainingSet } from "../train/task.ts";
import {
  type GenerationExamples,
  pairsOf,
  sourcesOf,
  targetsOf,
  targetTokens,
} from "./generation-examples.ts";
import { generationLoss } from "./generation-loss.ts";
import { lastStep } from "./generation-needs.ts";
import { writeSummaries, writingOptions, type WritingWishes } from "./generation-writing.ts";

/** How a model is trained to write, and how it writes. */
export type GenerationWishes = WritingWishes & Pick<TaskWishes, "labelSmoothing">;

/** What a run sees of a split of texts and their summaries: an item is a text. */
export function generationDataset(
  set: GenerationExamples,
  files: TokenizeOptions,
  wishes: GenerationWishes,
): TrainingSet & PredictionSet {
  const { name, examples, source, target, lengths, warnings } = set;
  const options = writingOptions(files, wishes);
  return {
    name,
    rows: examples.length,
    lengths,
    isLabelled: target !== undefined,
    majority: undefined,
    warnings,
    bytes: bytesOf(set),
    digest(hash) {
      for (const tokens of [source, target]) {
        if (tokens) hash.update(tokens.offsets).update(tokens.ids);
      }
    },
    batch(items) {
      const sources = sourcesOf(set, items);
      const weight = targetTokens(set, items);
      return {
        offsets: sources.offsets,
        weight,
        tokens: sources.ids.length + weight,
        loss(run, model) {
          const writer = writerOf(model);
          const batch = { ...sources, ...targetsOf(set, items, writer.special) };
          return generationLoss(writer, { smoothing: wishes.labelSmoothing })(run, batch);
        },
      };
    },
    forward(run, model, items) {
      const writer = writerOf(model);
      if (target) {
        const batch = pairsOf(set, items, writer.special);
        run.scope(() => generationLoss(writer, { smoothing: 0 })(run, batch));
      }
      lastStep(run, writer, set, items, options);
    },
    predict: (backend, model, wanted) =>
      writeSummaries(backend, writerOf(model), set, files, options, wanted),
  };
}

// --- internal ---

/** A family that declares the task builds models for it that can write. */
function writerOf(model: Model): GenerationModel {
  if (isGenerationModel(model)) return model;
  throw new Error("internal: a model that cannot write was built for generation");
}

/** Tokens, and texts with what a JavaScript object costs. */
function bytesOf({ source, target, examples }: GenerationExamples): number {
  const tokens = source.ids.length + (target?.ids.length ?? 0);
  const characters = examples.reduce(
    (n, { text, summary = "" }) => n + text.length + summary.length,
    0,
  );
  return 5 * tokens + characters + 256 * examples.length;
}
