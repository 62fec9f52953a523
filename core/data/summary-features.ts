import { errors } from "../errors.ts";
import type { TextInput, Tokenizer } from "../text/tokenizer.ts";
import type { SummaryExample } from "./summaries.ts";
import { packTokens, type PackedTokens } from "./token-cache.ts";

/** The reference's label of a position that takes no part in the loss. */
export const ignoredLabel = -100;

export interface SummaryFeatureOptions {
  /** Tokens of a text and of a summary, special ones included; longer ones are cut. */
  readonly maxSourceLength: number;
  readonly maxTargetLength: number;
  /** Put before every text: what a model that knows many tasks expects. */
  readonly prefix?: string;
}

/** A text and its summary as the model reads them. */
export interface SummaryFeatures {
  /** n texts. */
  readonly source: PackedTokens;
  /** n summaries: the labels. Absent where an example has none. */
  readonly target?: PackedTokens;
}

/** The tokens of texts and summaries: `preprocess_function` of run_summarization, without padding. */
export async function summaryFeatures(
  examples: readonly SummaryExample[],
  tokenizer: Tokenizer,
  { maxSourceLength, maxTargetLength, prefix = "" }: SummaryFeatureOptions,
): Promise<SummaryFeatures> {
  const encode = async (inputs: readonly TextInput[], maxLength: number) => {
    checkRoom(tokenizer, maxLength);
    return packTokens(await tokenizer.encode(inputs, { maxLength }));
  };
  const source = await encode(
    examples.map(({ text }) => ({ text: prefix + text })),
    maxSourceLength,
  );
  const summaries = examples.flatMap(({ summary }) =>
    summary === undefined ? [] : [{ text: summary }],
  );
  if (summaries.length < examples.length) return { source };
  return { source, target: await encode(summaries, maxTargetLength) };
}

/**
 * What the decoder reads while it learns to write each label: the token before it, `startId` before the first.
 * labels: sequences one after the other; an ignored label is read as `padId`, as in `shift_tokens_right`.
 * Returns as many ids.
 */
export function decoderInputs(
  { ids, offsets }: Pick<PackedTokens, "ids" | "offsets">,
  { startId, padId }: { readonly startId: number; readonly padId: number },
): Int32Array {
  const inputs = new Int32Array(ids.length);
  for (let at = 1; at < ids.length; at++) {
    const before = ids[at - 1]!;
    inputs[at] = before === ignoredLabel ? padId : before;
  }
  for (let i = 0; i + 1 < offsets.length; i++) {
    if (offsets[i]! < offsets[i + 1]!) inputs[offsets[i]!] = startId;
  }
  return inputs;
}

function checkRoom(tokenizer: Tokenizer, maxLength: number): void {
  const special = tokenizer.specialCount.single;
  if (maxLength > special) return;
  throw errors.tokenize(
    "a text must have room for more than its special tokens",
    `a length of ${maxLength}, ${special} special tokens`,
    "raise --max-length or --max-target-length",
  );
}
