import type { SummaryExample, SummarySet } from "../data/summaries.ts";
import { encodeTexts, type LengthFlag, summaryInputs } from "../data/summary-features.ts";
import { type PackedTokens, tokensOf } from "../data/token-cache.ts";
import { errors } from "../errors.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { SpecialIds } from "../model/plugin.ts";
import { packSequences, type TokenBatch } from "../nn/packed-batch.ts";
import { type PackedTargets, packTargets } from "../nn/source-target-batch.ts";
import type { TextInput } from "../text/tokenizer.ts";
import type { GenerationBatch } from "./generation-loss.ts";
import { textTokens } from "./model-tokens.ts";
import { lengthsOf } from "./packed-features.ts";
import type { TaskOptions } from "./task-options.ts";

/** A split's texts and summaries, and their tokens. */
export interface GenerationExamples {
  /** The split's name, "validation". */
  readonly name: string;
  readonly examples: readonly SummaryExample[];
  /** n texts. */
  readonly source: PackedTokens;
  /** n summaries: the labels. Undefined if any example lacks one. */
  readonly target: PackedTokens | undefined;
  /** [n] tokens of each text, and of each summary, before truncation. */
  readonly fullLengths?: {
    readonly source: Int32Array | undefined;
    readonly target: Int32Array | undefined;
  };
  /** [n] tokens of each text and its summary together. */
  readonly lengths: Int32Array;
  readonly warnings: readonly string[];
}

type LengthOptions = Pick<TaskOptions, "maxTargetLength" | "minTargetLength">;

/**
 * Tokenises a split, or reads its tokens from the cache if the texts, tokenizer and lengths are
 * unchanged. Throws E_FLAG for a length without room beside the special tokens, and for a target
 * length above the model's positions.
 */
export async function tokenizeSummaries(
  name: string,
  { examples, warnings }: SummarySet,
  files: TokenizeOptions,
  { sourcePrefix, ...lengths }: LengthOptions & Pick<TaskOptions, "sourcePrefix">,
): Promise<GenerationExamples> {
  const { maxTargetLength } = lengths;
  checkTargetLengths(lengths, files);
  const inputs = summaryInputs(examples, sourcePrefix ?? "");
  const source = await tokensFor(inputs.sources, files, files.maxLength, "max-length");
  const target =
    inputs.targets &&
    (await tokensFor(inputs.targets, files, maxTargetLength, "max-target-length"));
  const [texts, summaries] = [source, target].map((cached) => cached && lengthsOf(cached.tokens));
  const added = [source.warning ?? target?.warning, texts && truncationWarning(name, texts, files)];
  return {
    name,
    examples,
    source: source.tokens,
    target: target?.tokens,
    fullLengths: { source: source.tokens.columns[0], target: target?.tokens.columns[0] },
    lengths: Int32Array.from(texts ?? [], (length, i) => length + (summaries?.[i] ?? 0)),
    warnings: [...warnings, ...added.filter((one) => one !== undefined)],
  };
}

/** The packed texts of some examples. */
export function sourcesOf({ source }: GenerationExamples, indices: ArrayLike<number>): TokenBatch {
  return packSequences(rowsOf(source, indices));
}

/**
 * The packed texts and summaries of some examples; special: the special ids of the trained model.
 */
export function pairsOf(
  set: GenerationExamples,
  indices: ArrayLike<number>,
  special: SpecialIds,
): GenerationBatch {
  return { ...sourcesOf(set, indices), ...targetsOf(set, indices, special) };
}

/** The packed summaries of some examples, and the label of each row. */
export function targetsOf(
  set: GenerationExamples,
  indices: ArrayLike<number>,
  special: SpecialIds,
): PackedTargets {
  return packTargets(rowsOf(summariesOf(set), indices), special);
}

/** The number of target tokens of some examples, over which their loss is averaged. */
export function targetTokens(set: GenerationExamples, indices: ArrayLike<number>): number {
  const { offsets } = summariesOf(set);
  return Array.from(indices).reduce((sum, i) => sum + offsets[i + 1]! - offsets[i]!, 0);
}

// --- internal ---

function summariesOf({ name, target }: GenerationExamples): PackedTokens {
  if (target) return target;
  throw new Error(`internal: split ${name} has no summaries to train on`);
}

const rowsOf = (tokens: PackedTokens, indices: ArrayLike<number>) =>
  Array.from(indices, (i) => tokensOf(tokens, i).ids);

const tokensFor = (
  inputs: readonly TextInput[],
  files: TokenizeOptions,
  maxLength: number,
  flag: LengthFlag,
) =>
  textTokens(files, { inputs, maxLength }, (tokenizer) =>
    encodeTexts(inputs, tokenizer, { maxLength, flag }),
  );

/** Warns if most texts are truncated below what the model could read; a few long ones are usual. */
function truncationWarning(
  name: string,
  lengths: Int32Array,
  { maxLength, maxPositions, untokenized = false }: TokenizeOptions,
): string | undefined {
  if (untokenized) return undefined;
  const truncated = lengths.reduce((n, length) => n + (length === maxLength ? 1 : 0), 0);
  if (2 * truncated <= lengths.length || maxLength === maxPositions) return undefined;
  const count = `${truncated} of the ${lengths.length} texts of ${name}`;
  return `${count} reach --max-length ${maxLength}: the model can read ${maxPositions} tokens`;
}

function checkTargetLengths(
  { maxTargetLength, minTargetLength }: LengthOptions,
  { maxPositions }: TokenizeOptions,
): void {
  if (maxTargetLength > maxPositions) {
    const rule = `must be at most ${maxPositions} for this model, got ${maxTargetLength}`;
    throw errors.flag("max-target-length", rule);
  }
  if (minTargetLength === null || minTargetLength <= maxTargetLength) return;
  const rule = `must be at most --max-target-length, which is ${maxTargetLength}, got ${minTargetLength}`;
  throw errors.flag("min-target-length", rule);
}
