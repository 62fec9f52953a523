import type { SummaryExample, SummarySet } from "../data/summaries.ts";
import { encodeTexts, type LengthFlag, summaryInputs } from "../data/summary-features.ts";
import { cachedTokens, type PackedTokens, tokenCacheKey, tokensOf } from "../data/token-cache.ts";
import { errors } from "../errors.ts";
import { packSequences, type TokenBatch } from "../nn/packed-batch.ts";
import { packTargets } from "../nn/source-target-batch.ts";
import type { SpecialIds } from "../plugin.ts";
import { buildTokenizer, checkVocabulary, tokenizerFingerprint } from "../text/load-tokenizer.ts";
import type { TextInput } from "../text/tokenizer.ts";
import type { TaskWishes } from "../train/task-named.ts";
import type { TokenizeOptions } from "../train/task.ts";
import type { GenerationBatch } from "./generation-loss.ts";
import { lengthsOf } from "./packed-items.ts";

/** A split's texts and summaries, and their tokens. */
export interface GenerationExamples {
  /** The split's name, "validation". */
  readonly name: string;
  readonly examples: readonly SummaryExample[];
  /** n texts. */
  readonly source: PackedTokens;
  /** n summaries: the labels. Undefined where any example has none. */
  readonly target: PackedTokens | undefined;
  /** [n] tokens of a text and its summary. */
  readonly lengths: Int32Array;
  readonly warnings: readonly string[];
}

/**
 * Tokenises a split, from the token cache where the same texts were seen with the same tokenizer. Throws E_FLAG where a length holds no
 * more than the special tokens, or where a summary may be longer than the model can write.
 */
export async function tokenizeSummaries(
  name: string,
  { examples, warnings }: SummarySet,
  files: TokenizeOptions,
  { sourcePrefix, maxTargetLength }: Pick<TaskWishes, "sourcePrefix" | "maxTargetLength">,
): Promise<GenerationExamples> {
  checkTargetLength(maxTargetLength, files);
  const inputs = summaryInputs(examples, sourcePrefix ?? "");
  const source = await tokensFor(inputs.sources, files, files.maxLength, "max-length");
  const target =
    inputs.targets &&
    (await tokensFor(inputs.targets, files, maxTargetLength, "max-target-length"));
  const [texts, summaries] = [source, target].map((cached) => cached && lengthsOf(cached.tokens));
  const uncached = source.warning ?? target?.warning;
  return {
    name,
    examples,
    source: source.tokens,
    target: target?.tokens,
    lengths: Int32Array.from(texts ?? [], (length, i) => length + (summaries?.[i] ?? 0)),
    warnings: uncached === undefined ? warnings : [...warnings, uncached],
  };
}

/** The packed texts of some examples. */
export function sourcesOf({ source }: GenerationExamples, items: ArrayLike<number>): TokenBatch {
  return packSequences(rowsOf(source, items));
}

/** The packed texts and summaries of some examples, as a model with these special ids is trained on them. */
export function pairsOf(
  set: GenerationExamples,
  items: ArrayLike<number>,
  special: SpecialIds,
): GenerationBatch {
  const { name, target } = set;
  if (!target) throw new Error(`internal: split ${name} has no summaries to be trained on`);
  return { ...sourcesOf(set, items), ...packTargets(rowsOf(target, items), special) };
}

// --- internal ---

const rowsOf = (tokens: PackedTokens, items: ArrayLike<number>) =>
  Array.from(items, (i) => tokensOf(tokens, i).ids);

async function tokensFor(
  inputs: readonly TextInput[],
  { tokenizer: source, vocabSize, modelConfig }: TokenizeOptions,
  maxLength: number,
  flag: LengthFlag,
) {
  const tokenizer = tokenizerFingerprint(source);
  const key = tokenCacheKey({ inputs, tokenizer, options: { maxLength, vocabSize } });
  return cachedTokens(key, async () => {
    const built = await buildTokenizer(source);
    checkVocabulary(built, vocabSize, modelConfig);
    return encodeTexts(inputs, built, { maxLength, flag });
  });
}

function checkTargetLength(length: number, { maxPositions }: TokenizeOptions): void {
  if (length <= maxPositions) return;
  const rule = `must be at most ${maxPositions} for this model, got ${length}`;
  throw errors.flag("max-target-length", rule);
}
