import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";

/**
 * A slot of an encoded input: a special token, or all tokens of the first (0) or second (1) text.
 */
export type TemplatePart =
  | { readonly special: number; readonly typeId: number }
  | { readonly text: 0 | 1; readonly typeId: number };

/** The templates of a single text and of a pair. */
export interface Templates {
  readonly single: readonly TemplatePart[];
  readonly pair: readonly TemplatePart[];
}

/**
 * Derives the templates from how the tokenizer encodes a sample, which works for every family's
 * post-processor. Throws E_FILE, naming `where`, when the sample gives no tokens, or a special token
 * an id that is not below `vocabSize`.
 */
export async function probeTemplates(
  native: NativeTokenizer,
  vocabSize: number,
  where: string,
): Promise<Templates> {
  const single = await probe(native, where);
  const pair = await probe(native, where, sample);
  for (const part of [...single, ...pair]) {
    if ("special" in part && part.special >= vocabSize) {
      const rule = `the tokenizer adds the token ${part.special}, which its vocabulary lacks`;
      throw errors.file(where, rule);
    }
  }
  return { single, pair };
}

/** The number of special tokens in a template. */
export function specialCount(template: readonly TemplatePart[]): number {
  return template.filter((part) => "special" in part).length;
}

const sample = "a";

async function encodeSample(native: NativeTokenizer, where: string, pair: string | undefined) {
  try {
    return await native.encode(sample, pair);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw errors.file(where, `the tokenizer fails: ${cutText(reason, 200)}`, undefined, cause);
  }
}

async function probe(
  native: NativeTokenizer,
  where: string,
  pair?: string,
): Promise<TemplatePart[]> {
  const encoding = await encodeSample(native, where, pair);
  const sequences = encoding.getSequenceIds();
  const types = encoding.getTypeIds();
  const template: TemplatePart[] = [];
  let texts = 0;
  for (const [i, id] of encoding.getIds().entries()) {
    const text = sequences[i];
    const typeId = types[i] ?? 0;
    if (text === null || text === undefined) template.push({ special: id, typeId });
    else if (text !== sequences[i - 1]) {
      template.push({ text: text === 0 ? 0 : 1, typeId });
      texts++;
    }
  }
  if (texts !== (pair === undefined ? 1 : 2)) {
    throw errors.file(where, `the tokenizer gives no tokens for the text "${sample}"`);
  }
  return template;
}
