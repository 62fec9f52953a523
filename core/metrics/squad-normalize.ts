import { splitWords } from "../text/white-space.ts";

const punctuation = /[!-/:-@[-`{-~]/g;

// Python's \b: letters and numbers of any script are word characters, marks are not.
const article = /(?<![\p{L}\p{N}])(?:an?|the)(?![\p{L}\p{N}])/gu;

/**
 * An answer's words as the official scripts compare them: lower case, without ASCII punctuation and
 * articles. Joined by spaces they are what `normalize_answer` returns.
 */
export function answerWords(text: string): string[] {
  return splitWords(text.toLowerCase().replace(punctuation, "").replace(article, " "));
}
