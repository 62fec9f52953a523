import type { SquadSet } from "../data/squad.ts";
import { type PackedTokens, tokensOf } from "../data/token-cache.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import { lengthsOf, packedBatch } from "./packed-features.ts";
import { cachedTrainFeatures, cachedValidationFeatures } from "./span-features.ts";
import { answerSpanLoss } from "./span-loss.ts";
import { predictSpans, type SpanQuestions } from "./span-predictions.ts";
import type { TaskOptions } from "./task-options.ts";
import type { Dataset, Overview, PredictionSet, TrainingSet } from "./task.ts";

/** How contexts are split into windows, what padding attends to, and how answers are extracted. */
export interface SpanSettings extends Pick<
  TaskOptions,
  "docStride" | "spanPadding" | "nBest" | "maxAnswerLength" | "nullThreshold"
> {
  readonly unanswerable: boolean;
}

/**
 * Questions as a training set; each window of a context is one feature. Unless `spanPadding` is
 * "none", the loss counts padding up to `maxLength`, as in the reference, which pads every window
 * to it.
 */
export async function spanTrainingSet(
  name: string,
  set: SquadSet,
  files: TokenizeOptions,
  settings: SpanSettings,
): Promise<TrainingSet> {
  const { maxLength } = files;
  const sizes = { ...files, stride: settings.docStride };
  const { features, warnings } = await cachedTrainFeatures(set.examples, sizes);
  const { tokens, start, end } = features;
  const lengths = lengthsOf(tokens);
  const countsPadding = settings.spanPadding !== "none";
  return {
    ...common(name, set, features, maxLength),
    warnings: [...set.warnings, ...warnings],
    digest(hash) {
      for (const numbers of [tokens.offsets, tokens.ids, start, end]) hash.update(numbers);
    },
    batch(indices) {
      const packed = packedBatch(tokens, indices);
      const at = (positions: Int32Array) => Int32Array.from(indices, (i) => positions[i]!);
      const padding = Int32Array.from(indices, (i) => maxLength - lengths[i]!);
      const batch = {
        ...packed,
        starts: at(start),
        ends: at(end),
        ...(countsPadding ? { padding } : {}),
      };
      return {
        offsets: batch.offsets,
        tokens: batch.ids.length,
        loss: (pass, model) => answerSpanLoss(model)(pass, batch),
      };
    },
  };
}

/**
 * Questions as a prediction set; each window of a context is one feature, each question one row.
 */
export async function spanPredictionSet(
  name: string,
  set: SquadSet,
  files: TokenizeOptions,
  settings: SpanSettings,
): Promise<PredictionSet> {
  const sizes = { ...files, stride: settings.docStride };
  const { features, warnings } = await cachedValidationFeatures(set.examples, sizes);
  const questions: SpanQuestions = { name, set, features, settings };
  return {
    ...common(name, set, features, files.maxLength),
    warnings: [...set.warnings, ...warnings],
    forward: (pass, model, indices) =>
      void model.forward(pass, packedBatch(features.tokens, indices)),
    predict: (backend, model, options) => predictSpans(backend, model, questions, options),
  };
}

// --- internal ---

interface SpanFeatures {
  readonly tokens: PackedTokens;
  /** [F], the index of each window's example. */
  readonly exampleOf: Int32Array;
}

function overviewOf(
  examples: SquadSet["examples"],
  { tokens, exampleOf }: SpanFeatures,
  maxLength: number,
  samples: number,
): Overview {
  const windows = new Int32Array(examples.length);
  for (const example of exampleOf) windows[example]!++;
  const shown = Array.from(exampleOf.subarray(0, samples));
  return {
    classes: undefined,
    lengths: [
      {
        of: "window",
        flag: "max-length",
        limit: maxLength,
        tokens: lengthsOf(tokens),
        tooLong: windows.filter((count) => count > 1).length,
      },
    ],
    samples: shown.map((example, i) => {
      const answers = examples[example]?.answers;
      const label = answers && (answers[0]?.text ?? "no answer");
      return { ids: tokensOf(tokens, i).ids, label };
    }),
  };
}

function common(
  name: string,
  { examples, isLabelled }: SquadSet,
  features: SpanFeatures,
  maxLength: number,
): Omit<Dataset, "warnings"> {
  const { tokens } = features;
  // Questions on the same context share its string.
  const contexts = new Set(examples.map(({ context }) => context));
  const characters = [...contexts].reduce((sum, { length }) => sum + length, 0);
  return {
    name,
    rows: examples.length,
    lengths: lengthsOf(tokens),
    isLabelled,
    majority: undefined,
    baseline: undefined,
    overview: (samples) => overviewOf(examples, features, maxLength, samples),
    bytes: 13 * tokens.ids.length + characters + 512 * examples.length,
  };
}
