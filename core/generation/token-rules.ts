import type { GenerationOptions } from "./options.ts";

/**
 * The tokens that must follow a hypothesis of `length` tokens, each with log-probability 0;
 * undefined where the choice is free.
 */
export function forcedIds(
  length: number,
  { maxLength, forcedBosId, forcedEosIds }: GenerationOptions,
): readonly number[] | undefined {
  if (length === maxLength - 1 && forcedEosIds.length > 0) return forcedEosIds;
  return length === 1 && forcedBosId !== null ? [forcedBosId] : undefined;
}

/**
 * Tokens that must not follow a hypothesis: end tokens below the minimum length, and tokens that
 * would repeat one of its n-grams.
 */
export function bannedIds(
  tokens: readonly number[],
  { minLength, endIds, noRepeatNgramSize }: GenerationOptions,
): readonly number[] {
  const early = tokens.length < minLength ? endIds : [];
  return [...early, ...repeatedNgramEnds(tokens, noRepeatNgramSize)];
}

/** The token that followed each earlier occurrence of the last `size - 1` tokens. */
function repeatedNgramEnds(tokens: readonly number[], size: number): number[] {
  const found: number[] = [];
  if (size === 0 || tokens.length < size) return found;
  const suffix = tokens.length - (size - 1);
  for (let start = 0; start + size <= tokens.length; start++) {
    let same = 0;
    while (same < size - 1 && tokens[start + same] === tokens[suffix + same]) same++;
    const next = tokens[start + size - 1];
    if (same === size - 1 && next !== undefined) found.push(next);
  }
  return found;
}
