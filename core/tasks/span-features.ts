import type { SquadExample } from "../data/squad-question.ts";
import type { TokenTable } from "../data/token-cache.ts";
import { invariant } from "../errors.ts";
import {
  type TrainFeatures,
  trainFeatures,
  type ValidationFeatures,
  validationFeatures,
} from "../qa/features.ts";
import type { TextInput, Tokenizer } from "../text/tokenizer.ts";
import { modelTokens } from "./model-tokens.ts";
import type { TokenizeOptions } from "../model/model-files.ts";

export interface FeatureOptions extends Pick<
  TokenizeOptions,
  "tokenizer" | "maxLength" | "vocabSize" | "modelConfig"
> {
  /** Tokens of a context that neighbouring windows share. */
  readonly stride: number;
}

/** Windows, and why they are not in the token cache, where they should be. */
export interface CachedFeatures<Features> {
  readonly features: Features;
  readonly warnings: readonly string[];
}

/** Windows to be trained on, from the token cache where the same questions were seen with the same tokenizer and sizes. */
export async function cachedTrainFeatures(
  examples: readonly SquadExample[],
  options: FeatureOptions,
): Promise<CachedFeatures<TrainFeatures>> {
  const inputs = [...textsOf(examples), ...firstAnswersOf(examples)];
  const { tokens, warnings } = await cached("train", inputs, options, async (tokenizer) => {
    const made = await trainFeatures(examples, tokenizer, options);
    return { ...made.tokens, columns: [made.exampleOf, made.start, made.end] };
  });
  const [exampleOf, start, end] = tokens.columns;
  invariant(exampleOf && start && end, "windows without their answers");
  return { features: { tokens, exampleOf, start, end }, warnings };
}

/** Windows to be answered from, from the token cache as those to be trained on. */
export async function cachedValidationFeatures(
  examples: readonly SquadExample[],
  options: FeatureOptions,
): Promise<CachedFeatures<ValidationFeatures>> {
  const inputs = textsOf(examples);
  const { tokens, warnings } = await cached("validation", inputs, options, async (tokenizer) => {
    const made = await validationFeatures(examples, tokenizer, options);
    const { exampleOf, contextFirst, contextEnd, textStart, textEnd } = made;
    return { ...made.tokens, columns: [exampleOf, contextFirst, contextEnd, textStart, textEnd] };
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

/** What windows to be trained on depend on besides their texts. */
const firstAnswersOf = (examples: readonly SquadExample[]): readonly TextInput[] =>
  examples.map(({ answers: [first] = [] }) => ({
    text: first?.text ?? "",
    pair: `${first?.start}`,
  }));
