import { excerpt } from "./excerpt.ts";

/** The candidate closest to a mistyped word; undefined when none is close. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/**
 * The fewest insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}

/** "did you mean "label"? " for the candidates closest to mistyped words; "" where none is close. */
export function guessText(words: readonly string[], candidates: readonly string[]): string {
  const sameWord = (word: string) =>
    candidates.find((one) => one.trim().toLowerCase() === word.trim().toLowerCase());
  const guesses = words.flatMap((word) => sameWord(word) ?? nearest(word, candidates) ?? []);
  const shown = [...new Set(guesses)].map((guess) => excerpt(guess));
  return shown.length === 0 ? "" : `did you mean ${shown.join(" and ")}? `;
}
