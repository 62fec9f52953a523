import { porterStem } from "./porter.ts";

const stems = new Map<string, string>();
/** Cache limit: more distinct words than any language's vocabulary are noise. */
const maxStems = 500_000;

/**
 * Tokenises a text as `rouge_score` does: lower-case runs of a-z and digits; everything else,
 * accented letters included, separates words. With `stem`, words of more than 3 characters are
 * stemmed.
 */
export function rougeTokens(text: string, stem: boolean): string[] {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return stem ? words.map((word) => (word.length > 3 ? stemOf(word) : word)) : words;
}

// --- internal ---

function stemOf(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  if (stems.size >= maxStems) stems.clear();
  const stem = porterStem(word);
  stems.set(word, stem);
  return stem;
}
