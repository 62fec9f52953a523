import { porterStem } from "./porter.ts";

const stems = new Map<string, string>();
// Words of a summary's language: more than this are not words but noise.
const mostStems = 500_000;

/**
 * A text's words as `rouge_score` has them: lower case, runs of the letters a to z and of digits; whatever else,
 * accented letters too, separates words. With `stem`, words of more than 3 characters lose their endings.
 */
export function rougeTokens(text: string, stem: boolean): string[] {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return stem ? words.map((word) => (word.length > 3 ? stemOf(word) : word)) : words;
}

function stemOf(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  if (stems.size >= mostStems) stems.clear();
  const stem = porterStem(word);
  stems.set(word, stem);
  return stem;
}
