import {
  type CachedTokens,
  cachedTokens,
  type PackedTokens,
  type TokenCacheKey,
  tokenCacheKey,
  type TokenTable,
} from "../data/token-cache.ts";
import { buildTokenizer, checkVocabulary, tokenizerFingerprint } from "../text/load-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { TokenizeOptions } from "../model/model-files.ts";

/**
 * Tokens that a model reads: from the token cache where the same texts were seen with the same tokenizer and options, else made by
 * `build` with the model's own tokenizer. Throws E_FILE where that gives ids for which the model has no embedding.
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
