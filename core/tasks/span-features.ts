import type { SquadExample } from "../data/squad-question.ts";
import type { TokenTable } from "../data/token-cache.ts";
import { invariant } from "../errors.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import {
  type TrainFeatures,
  trainFeatures,
  type ValidationFeatures,
  validationFeatures,
} from "../qa/features.ts";
import type { TextInput, Tokenizer } from "../text/tokenizer.ts";
import { modelTokens } from "./model-tokens.ts";

/** How questions and contexts are tokenised into windows. */
export interface FeatureOptions extends Pick<
  TokenizeOptions,
  "tokenizer" | "maxLength" | "vocabSize" | "modelConfig"
> {
  /** Context tokens shared by adjacent windows. */
  readonly stride: number;
}

/** Windows, and a warning if they could not be cached. */
export interface CachedFeatures<Features> {
  readonly features: Features;
  readonly warnings: readonly string[];
}

/**
 * Training windows, from the token cache if questions, answers, tokenizer and sizes are unchanged.
 */
export async function cachedTrainFeatures(
  examples: readonly SquadExample[],
  options: FeatureOptions,
): Promise<CachedFeatures<TrainFeatures>> {
  const inputs = [...textsOf(examples), ...firstAnswersOf(examples)];
  const { tokens, warnings } = await cached("train", inputs, options, async (tokenizer) => {
    const built = await trainFeatures(examples, tokenizer, options);
    return { ...built.tokens, columns: [built.exampleOf, built.start, built.end] };
  });
  const [exampleOf, start, end] = tokens.columns;
  invariant(exampleOf && start && end, "windows without their answers");
  return { features: { tokens, exampleOf, start, end }, warnings };
}

/** Validation windows, from the token cache if questions, tokenizer and sizes are unchanged. */
export async function cachedValidationFeatures(
  examples: readonly SquadExample[],
  options: FeatureOptions,
): Promise<CachedFeatures<ValidationFeatures>> {
  const inputs = textsOf(examples);
  const { tokens, warnings } = await cached("validation", inputs, options, async (tokenizer) => {
    const built = await validationFeatures(examples, tokenizer, options);
    const { exampleOf, contextFirst, contextEnd, textStart, textEnd } = built;
    return { ...built.tokens, columns: [exampleOf, contextFirst, contextEnd, textStart, textEnd] };
  });
  const [exampleOf, contextFirst, contextEnd, textStart, textEnd] = tokens.columns;
  invariant(
    exampleOf && contextFirst && contextEnd && textStart && textEnd,
    "windows without texts",
  );
  const features = { tokens, exampleOf, contextFirst, contextEnd, textStart, textEnd };
  return { features, warnings };
}

// --- internal ---

async function cached(
  windows: "train" | "validation",
  inputs: readonly TextInput[],
  { maxLength, stride, ...files }: FeatureOptions,
  build: (tokenizer: Tokenizer) => Promise<TokenTable>,
) {
  const key = { inputs, options: { windows, maxLength, stride } };
  const { tokens, warning } = await modelTokens(files, key, build);
  return { tokens, warnings: warning === undefined ? [] : [warning] };
}

const textsOf = (examples: readonly SquadExample[]): readonly TextInput[] =>
  examples.map(({ question, context }) => ({ text: question, pair: context }));

/** The answers that training windows depend on, as part of the cache key. */
const firstAnswersOf = (examples: readonly SquadExample[]): readonly TextInput[] =>
  examples.map(({ answers: [first] = [] }) => ({
    text: first?.text ?? "",
    pair: `${first?.start}`,
  }));
