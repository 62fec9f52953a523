import {
  type CachedTokens,
  cachedTokens,
  type PackedTokens,
  type TokenCacheKey,
  tokenCacheKey,
  type TokenTable,
} from "../data/token-cache.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import { buildTokenizer, checkVocabulary, tokenizerFingerprint } from "../text/load-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

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
