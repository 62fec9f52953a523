import type { SquadSet } from "../data/squad.ts";
import type { PackedTokens } from "../data/token-cache.ts";
import { trainFeatures, validationFeatures } from "../qa/features.ts";
import { buildTokenizer, checkVocabulary } from "../text/load-tokenizer.ts";
import type { TaskWishes } from "../train/task-named.ts";
import type { Dataset, TokenizeOptions } from "../train/task.ts";
import { lengthsOf, packedBatch } from "./packed-items.ts";
import { answerSpanLoss } from "./span-loss.ts";
import { predictSpans, type SpanQuestions } from "./span-predictions.ts";

/** How contexts are cut into windows, what their padding says in the loss, and how answers are made. */
export interface SpanSettings extends Pick<
  TaskWishes,
  "docStride" | "spanPadding" | "nBest" | "maxAnswerLength" | "nullThreshold"
> {
  readonly unanswerable: boolean;
}

/**
 * Questions to be trained on: an item is a window of a context. Its padding to `maxLength` takes part in the loss as `spanPadding`
 * says; the reference pads every window so far.
 */
export async function trainedSpans(
  name: string,
  set: SquadSet,
  files: TokenizeOptions,
  settings: SpanSettings,
): Promise<Dataset> {
  const { maxLength } = files;
  const stride = settings.docStride;
  const tokenizer = await openTokenizer(files);
  const { tokens, start, end } = await trainFeatures(set.examples, tokenizer, {
    maxLength,
    stride,
  });
  const lengths = lengthsOf(tokens);
  const pads = settings.spanPadding !== "none";
  return {
    ...common(name, set, tokens),
    digest(hash) {
      for (const numbers of [tokens.offsets, tokens.ids, start, end]) hash.update(numbers);
    },
    batch(items) {
      const packed = packedBatch(tokens, items);
      const at = (positions: Int32Array) => Int32Array.from(items, (i) => positions[i]!);
      const padding = Int32Array.from(items, (i) => maxLength - lengths[i]!);
      const batch = { ...packed, starts: at(start), ends: at(end), ...(pads ? { padding } : {}) };
      return {
        offsets: batch.offsets,
        tokens: batch.ids.length,
        loss: (run, model) => answerSpanLoss(model)(run, batch),
      };
    },
    async predict(backend, model, options) {
      const evaluated = await evaluatedSpans(name, set, files, settings);
      return evaluated.predict(backend, model, options);
    },
  };
}

/** Questions to be answered: an item is a window of a context, a row a question. */
export async function evaluatedSpans(
  name: string,
  set: SquadSet,
  files: TokenizeOptions,
  settings: SpanSettings,
): Promise<Dataset> {
  const tokenizer = await openTokenizer(files);
  const { maxLength } = files;
  const stride = settings.docStride;
  const features = await validationFeatures(set.examples, tokenizer, { maxLength, stride });
  const questions: SpanQuestions = { name, set, features, settings };
  return {
    ...common(name, set, features.tokens),
    digest: (hash) => void hash.update(features.tokens.offsets).update(features.tokens.ids),
    batch() {
      throw new Error(`internal: the ${name} split is not to be trained on`);
    },
    predict: (backend, model, options) => predictSpans(backend, model, questions, options),
  };
}

// --- internal ---

async function openTokenizer({ tokenizer: source, vocabSize, modelConfig }: TokenizeOptions) {
  const tokenizer = await buildTokenizer(source);
  checkVocabulary(tokenizer, vocabSize, modelConfig);
  return tokenizer;
}

function common(name: string, { examples, isLabelled, warnings }: SquadSet, tokens: PackedTokens) {
  // A context is one string, however many questions it has.
  const contexts = new Set(examples.map(({ context }) => context));
  const characters = [...contexts].reduce((sum, { length }) => sum + length, 0);
  return {
    name,
    rows: examples.length,
    lengths: lengthsOf(tokens),
    isLabelled,
    majority: undefined,
    warnings,
    bytes: 13 * tokens.ids.length + characters + 512 * examples.length,
    forward: ((run, model, items) =>
      void model.forward(run, packedBatch(tokens, items))) satisfies Dataset["forward"],
  };
}
