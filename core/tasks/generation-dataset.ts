import type { TokenizeOptions } from "../model/model-files.ts";
import { type GenerationModel, isGenerationModel, type Model } from "../model/plugin.ts";
import {
  generateSummaries,
  decodingOptions,
  type DecodingSettings,
} from "./generation-decoding.ts";
import {
  type GenerationExamples,
  pairsOf,
  sourcesOf,
  targetsOf,
  targetTokens,
} from "./generation-examples.ts";
import { generationLoss } from "./generation-loss.ts";
import { tokensOf } from "../data/token-cache.ts";
import { allocateDecodeStep } from "./generation-memory.ts";
import type { TaskOptions } from "./task-options.ts";
import type { Overview, PredictionSet, TrainingSet } from "./task.ts";
import { lengthsOf } from "./packed-features.ts";
import { truncatedLengths } from "./truncated-lengths.ts";

/** Settings of training and decoding. */
export type GenerationSettings = DecodingSettings & Pick<TaskOptions, "labelSmoothing">;

/** A split of texts and summaries as a data set; each text is one feature. */
export function generationDataset(
  set: GenerationExamples,
  files: TokenizeOptions,
  settings: GenerationSettings,
): TrainingSet & PredictionSet {
  const { name, examples, source, target, lengths, warnings } = set;
  const options = decodingOptions(files, settings);
  return {
    name,
    rows: examples.length,
    lengths,
    isLabelled: target !== undefined,
    majority: undefined,
    baseline: undefined,
    warnings,
    bytes: bytesOf(set),
    overview: (samples) => overviewOf(set, files.maxLength, settings.maxTargetLength, samples),
    digest(hash) {
      for (const tokens of [source, target]) {
        if (tokens) hash.update(tokens.offsets).update(tokens.ids);
      }
    },
    batch(indices) {
      const sources = sourcesOf(set, indices);
      const weight = targetTokens(set, indices);
      return {
        offsets: sources.offsets,
        weight,
        tokens: sources.ids.length + weight,
        loss(pass, model) {
          const generator = generatorOf(model);
          const batch = { ...sources, ...targetsOf(set, indices, generator.special) };
          return generationLoss(generator, { smoothing: settings.labelSmoothing })(pass, batch);
        },
      };
    },
    forward(pass, model, indices) {
      const generator = generatorOf(model);
      if (target) {
        const batch = pairsOf(set, indices, generator.special);
        pass.scope(() => generationLoss(generator, { smoothing: 0 })(pass, batch));
      }
      allocateDecodeStep(pass, generator, set, indices, options);
    },
    predict: (backend, model, request) =>
      generateSummaries(backend, generatorOf(model), { set, files, options }, request),
  };
}

// --- internal ---

function overviewOf(
  { examples, source, target, fullLengths }: GenerationExamples,
  maxLength: number,
  maxTargetLength: number,
  samples: number,
): Overview {
  const texts = { full: fullLengths?.source, kept: lengthsOf(source), limit: maxLength };
  const summaries = target && {
    full: fullLengths?.target,
    kept: lengthsOf(target),
    limit: maxTargetLength,
  };
  return {
    classes: undefined,
    lengths: [
      truncatedLengths("text", "max-length", texts),
      ...(summaries ? [truncatedLengths("summary", "max-target-length", summaries)] : []),
    ],
    samples: examples.slice(0, samples).map((_, i) => ({
      ids: tokensOf(source, i).ids,
      label: target && tokensOf(target, i).ids,
    })),
  };
}

/** Every family that declares the task "generation" builds models that can generate. */
function generatorOf(model: Model): GenerationModel {
  if (isGenerationModel(model)) return model;
  throw new Error("internal: a model that cannot generate was built for generation");
}

/** Bytes of tokens (5 each), of texts, and of a JavaScript object per example. */
function bytesOf({ source, target, examples }: GenerationExamples): number {
  const tokens = source.ids.length + (target?.ids.length ?? 0);
  const characters = examples.reduce(
    (n, { text, summary = "" }) => n + text.length + summary.length,
    0,
  );
  return 5 * tokens + characters + 256 * examples.length;
}
