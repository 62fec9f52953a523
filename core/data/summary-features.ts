import { errors } from "../errors.ts";
import type { TextInput, Tokenizer } from "../text/tokenizer.ts";
import type { SummaryExample } from "./summaries.ts";
import { packEncoded, type TokenTable } from "./token-cache.ts";

/** Texts and summaries as tokenizer inputs. */
interface SummaryInputs {
  readonly sources: readonly TextInput[];
  /** Absent when any example has no summary. */
  readonly targets?: readonly TextInput[];
}

/** Prepends `prefix`, which multi-task models expect, to every text. */
export function summaryInputs(examples: readonly SummaryExample[], prefix = ""): SummaryInputs {
  const sources = examples.map(({ text }) => ({ text: prefix + text }));
  const targets = examples.flatMap(({ summary }) =>
    summary === undefined ? [] : [{ text: summary }],
  );
  return targets.length === examples.length ? { sources, targets } : { sources };
}

/** The flag that limits the tokens of a text or a summary. */
export type LengthFlag = "max-length" | "max-target-length";

/**
 * Tokens of texts, special ones included and truncated, like `preprocess_function` of
 * run_summarization without padding; a column has the lengths before truncation. Throws E_FLAG when not even the special tokens fit.
 */
export async function encodeTexts(
  inputs: readonly TextInput[],
  tokenizer: Tokenizer,
  { maxLength, flag }: { readonly maxLength: number; readonly flag: LengthFlag },
): Promise<TokenTable> {
  const special = tokenizer.specialCount.single;
  if (maxLength > special) return packEncoded(await tokenizer.encode(inputs, { maxLength }));
  const rule = `must be above ${special}, the special tokens around a text, got ${maxLength}`;
  throw errors.flag(flag, rule);
}
