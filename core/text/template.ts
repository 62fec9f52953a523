import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { errors } from "../errors.ts";

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
 * post-processor. Throws E_FILE, naming `where`, when the sample gives no tokens.
 */
export async function probeTemplates(native: NativeTokenizer, where: string): Promise<Templates> {
  const [single, pair] = await Promise.all([probe(native, where), probe(native, where, sample)]);
  return { single, pair };
}

/** The number of special tokens in a template. */
export function specialCount(template: readonly TemplatePart[]): number {
  return template.filter((part) => "special" in part).length;
}

const sample = "a";

async function probe(
  native: NativeTokenizer,
  where: string,
  pair?: string,
): Promise<TemplatePart[]> {
  const encoding = await native.encode(sample, pair);
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
