import type { SummaryExample, SummarySet } from "../data/summaries.ts";
import { encodeTexts, type LengthFlag, summaryInputs } from "../data/summary-features.ts";
import { type PackedTokens, tokensOf } from "../data/token-cache.ts";
import { errors } from "../errors.ts";
import { packSequences, type TokenBatch } from "../nn/packed-batch.ts";
import { type PackedTargets, packTargets } from "../nn/source-target-batch.ts";
import type { SpecialIds } from "../model/plugin.ts";
import type { TextInput } from "../text/tokenizer.ts";
import type { TaskOptions } from "./task-options.ts";
import type { GenerationBatch } from "./generation-loss.ts";
import { modelTokens } from "./model-tokens.ts";
import { lengthsOf } from "./packed-features.ts";
import type { TokenizeOptions } from "../model/model-files.ts";

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

type LengthOptions = Pick<TaskOptions, "maxTargetLength" | "minTargetLength">;

/**
 * Tokenises a split, from the token cache where the same texts were seen with the same tokenizer. Throws E_FLAG where a length holds no
 * more than the special tokens, or where a summary may be longer than the model can write.
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
  const told = [source.warning ?? target?.warning, texts && cutWarning(name, texts, files)];
  return {
    name,
    examples,
    source: source.tokens,
    target: target?.tokens,
    lengths: Int32Array.from(texts ?? [], (length, i) => length + (summaries?.[i] ?? 0)),
    warnings: [...warnings, ...told.filter((one) => one !== undefined)],
  };
}

/** The packed texts of some examples. */
export function sourcesOf({ source }: GenerationExamples, indices: ArrayLike<number>): TokenBatch {
  return packSequences(rowsOf(source, indices));
}

/** The packed texts and summaries of some examples, as a model with these special ids is trained on them. */
export function pairsOf(
  set: GenerationExamples,
  indices: ArrayLike<number>,
  special: SpecialIds,
): GenerationBatch {
  return { ...sourcesOf(set, indices), ...targetsOf(set, indices, special) };
}

/** The packed summaries of some examples, and what each of their rows is to say. */
export function targetsOf(
  set: GenerationExamples,
  indices: ArrayLike<number>,
  special: SpecialIds,
): PackedTargets {
  return packTargets(rowsOf(summariesOf(set), indices), special);
}

/** Tokens of some examples' summaries: what their loss is the mean over. */
export function targetTokens(set: GenerationExamples, indices: ArrayLike<number>): number {
  const { offsets } = summariesOf(set);
  return Array.from(indices).reduce((sum, i) => sum + offsets[i + 1]! - offsets[i]!, 0);
}

// --- internal ---

function summariesOf({ name, target }: GenerationExamples): PackedTokens {
  if (target) return target;
  throw new Error(`internal: split ${name} has no summaries to be trained on`);
}

const rowsOf = (tokens: PackedTokens, indices: ArrayLike<number>) =>
  Array.from(indices, (i) => tokensOf(tokens, i).ids);

const tokensFor = (
  inputs: readonly TextInput[],
  files: TokenizeOptions,
  maxLength: number,
  flag: LengthFlag,
) =>
  modelTokens(files, { inputs, options: { maxLength } }, (tokenizer) =>
    encodeTexts(inputs, tokenizer, { maxLength, flag }),
  );

/** Texts of which a model sees the beginning are usual, as long as they are the few long ones. */
function cutWarning(
  name: string,
  lengths: Int32Array,
  { maxLength, maxPositions }: TokenizeOptions,
): string | undefined {
  const full = lengths.reduce((n, length) => n + (length === maxLength ? 1 : 0), 0);
  if (2 * full <= lengths.length || maxLength === maxPositions) return undefined;
  const many = `${full} of the ${lengths.length} texts of ${name}`;
  return `${many} end at --max-length ${maxLength}: the model could read ${maxPositions} tokens`;
}

function checkTargetLengths(
  { maxTargetLength: most, minTargetLength: fewest }: LengthOptions,
  { maxPositions }: TokenizeOptions,
): void {
  if (most > maxPositions) {
    const rule = `must be at most ${maxPositions} for this model, got ${most}`;
    throw errors.flag("max-target-length", rule);
  }
  if (fewest === null || fewest <= most) return;
  const rule = `must be at most --max-target-length, which is ${most}, got ${fewest}`;
  throw errors.flag("min-target-length", rule);
}
