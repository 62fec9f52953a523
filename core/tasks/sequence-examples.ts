import type { Example, ExampleSet } from "../data/examples.ts";
import { packEncoded, type PackedTokens } from "../data/token-cache.ts";
import { errors } from "../errors.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { LabelledBatch } from "./batch.ts";
import { textTokens } from "./model-tokens.ts";
import { lengthsOf, packedBatch } from "./packed-features.ts";

/** A split's examples and their tokens. */
export interface SequenceExamples {
  /** The split's name, "validation_matched". */
  readonly name: string;
  readonly examples: readonly Example[];
  readonly tokens: PackedTokens;
  /** [n] tokens of each example. */
  readonly lengths: Int32Array;
  /** [n] tokens before truncation; undefined where nothing is truncated. */
  readonly fullLengths?: Int32Array | undefined;
  /** The most tokens of an example; undefined where nothing is truncated. */
  readonly maxLength?: number;
  /** [n]; undefined if any row lacks a label, as in a test split. */
  readonly labels: Float64Array | undefined;
  readonly labelNames: readonly string[] | undefined;
  readonly warnings: readonly string[];
}

/**
 * Tokenises a split, or reads its tokens from the cache if texts, tokenizer and length are
 * unchanged. Throws E_FLAG if the length has no room beside the special tokens.
 */
export async function tokenizeExamples(
  name: string,
  { examples, labelNames, warnings }: ExampleSet,
  options: TokenizeOptions,
): Promise<SequenceExamples> {
  const { maxLength } = options;
  const texts = { inputs: examples, maxLength };
  const cached = await textTokens(options, texts, async (tokenizer) => {
    checkRoom(tokenizer, maxLength, examples);
    return packEncoded(await tokenizer.encode(examples, { maxLength }));
  });
  const { tokens } = cached;
  const labels = examples.map(({ label }) => label);
  return {
    name,
    examples,
    tokens,
    lengths: lengthsOf(tokens),
    fullLengths: tokens.columns[0],
    maxLength,
    labels: labels.every((label) => label !== undefined) ? Float64Array.from(labels) : undefined,
    labelNames,
    warnings: cached.warning === undefined ? warnings : [...warnings, cached.warning],
  };
}

/** The packed batch of some examples. Rows without a label get 0: valid for prediction only. */
export function sequenceBatch(
  { tokens, labels }: Pick<SequenceExamples, "tokens" | "labels">,
  indices: ArrayLike<number>,
): LabelledBatch {
  const packed = packedBatch(tokens, indices);
  return { ...packed, labels: Float64Array.from(indices, (i) => labels?.[i] ?? 0) };
}

// --- internal ---

function checkRoom(
  { specialCount }: Tokenizer,
  maxLength: number,
  examples: readonly Example[],
): void {
  const isPair = examples.some(({ pair }) => pair !== undefined);
  const special = isPair ? specialCount.pair : specialCount.single;
  if (maxLength > special) return;
  const around = isPair ? "a pair of texts" : "a text";
  throw errors.flag(
    "max-length",
    `must be above ${special}, the special tokens around ${around}, got ${maxLength}`,
  );
}
