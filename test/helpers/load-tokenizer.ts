import { buildTokenizer, readTokenizer } from "../../core/text/load-tokenizer.ts";
import type { TokenizerFamily } from "../../core/text/tokenizer-family.ts";
import type { Tokenizer } from "../../core/text/tokenizer.ts";

/** Reads and builds the tokenizer of a checkpoint's folder. */
export async function loadTokenizer(dir: string, family: TokenizerFamily): Promise<Tokenizer> {
  return buildTokenizer(readTokenizer(dir, family));
}
