import {
  type CachedTokens,
  cachedTokens,
  type PackedTokens,
  type TokenCacheKey,
  tokenCacheKey,
  type TokenTable,
} from "../data/token-cache.ts";
import { errors } from "../errors.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import { buildTokenizer, checkVocabulary, tokenizerFingerprint } from "../text/load-tokenizer.ts";
import type { TextInput, Tokenizer } from "../text/tokenizer.ts";

/**
 * A model's input tokens: from the token cache if inputs, tokenizer and options are unchanged, else
 * built by `build` with the model's own tokenizer. Throws E_FILE if the tokenizer has ids outside
 * the model's vocabulary.
 */
export function modelTokens(
  {
    tokenizer: source,
    vocabSize,
    modelConfig,
  }: Pick<TokenizeOptions, "tokenizer" | "vocabSize" | "modelConfig">,
  { inputs, options }: Omit<TokenCacheKey, "tokenizer">,
  build: (tokenizer: Tokenizer) => Promise<PackedTokens & Partial<TokenTable>>,
): Promise<CachedTokens> {
  const tokenizer = tokenizerFingerprint(source);
  const key = tokenCacheKey({ inputs, tokenizer, options: { ...options, vocabSize } });
  return cachedTokens(key, async () => {
    const built = await buildTokenizer(source);
    checkVocabulary(built, vocabSize, modelConfig);
    return build(built);
  });
}

/**
 * The tokens of texts, truncated to `maxLength`, with a column of their lengths before that. With
 * `untokenized` every text has `maxLength` made-up ids, which are not cached. Throws E_TOKENIZE for
 * a text without tokens.
 */
export async function textTokens(
  files: TokenizeOptions,
  { inputs, maxLength }: { readonly inputs: readonly TextInput[]; readonly maxLength: number },
  build: (tokenizer: Tokenizer) => Promise<TokenTable>,
): Promise<CachedTokens> {
  if (files.untokenized === true) {
    const tokens = longestTokens(inputs.length, maxLength, files.vocabSize);
    return { tokens, fromCache: false };
  }
  const options = { maxLength, fullLengths: true };
  const cached = await modelTokens(files, { inputs, options }, build);
  checkTokens(cached.tokens);
  return cached;
}

// --- internal ---

/** A model would take the rows of another text for those of one that has none. */
function checkTokens({ offsets }: PackedTokens): void {
  const row = offsets.findIndex((start, i) => start === offsets[i + 1]);
  if (row < 0) return;
  const got = `none in row ${row}, counted from 0`;
  const hint = "this tokenizer adds no special tokens: remove the rows without text";
  throw errors.tokenize("every text needs a token", got, hint);
}

/** Ids are spread over the vocabulary, as the memory that a step needs depends on them. */
function longestTokens(count: number, length: number, vocabSize: number): TokenTable {
  return {
    ids: Int32Array.from({ length: count * length }, (_, i) => (i * 7919) % vocabSize),
    typeIds: new Uint8Array(count * length),
    offsets: Int32Array.from({ length: count + 1 }, (_, i) => i * length),
    columns: [new Int32Array(count).fill(length)],
  };
}
