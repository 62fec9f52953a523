import type { GenerationOptions } from "./options.ts";

/** The only tokens that may follow a text of `length` tokens, where that is settled beforehand; each with a log-probability of 0. */
export function forcedIds(
  length: number,
  { maxLength, forcedBosId, forcedEosIds }: GenerationOptions,
): readonly number[] | undefined {
  if (length === maxLength - 1 && forcedEosIds.length > 0) return forcedEosIds;
  return length === 1 && forcedBosId !== null ? [forcedBosId] : undefined;
}

/** Tokens that must not follow a text: an end that comes too early, and what would complete a run of tokens that the text has. */
export function bannedIds(
  text: readonly number[],
  { minLength, endIds, noRepeatNgramSize }: GenerationOptions,
): readonly number[] {
  const early = text.length < minLength ? endIds : [];
  return [...early, ...completions(text, noRepeatNgramSize)];
}

/** What followed, each time that the text had the `size - 1` tokens that it ends with. */
function completions(text: readonly number[], size: number): number[] {
  const found: number[] = [];
  if (size === 0 || text.length < size) return found;
  const beginning = text.length - (size - 1);
  for (let at = 0; at + size <= text.length; at++) {
    let same = 0;
    while (same < size - 1 && text[at + same] === text[beginning + same]) same++;
    const next = text[at + size - 1];
    if (same === size - 1 && next !== undefined) found.push(next);
  }
  return found;
}
