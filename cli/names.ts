import type { SettingTable } from "../core/config/setting.ts";

/**
 * The kebab-case spelling of a name: "targetRank", "target_rank" and "target-rank" are the same.
 */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`).replaceAll("_", "-");
}

/** Maps every name of a table's settings, in kebab-case, to the setting's key. */
export function spellings<Key extends string>(
  table: Readonly<Record<Key, SettingTable[string]>>,
): Map<string, Key> {
  const names = new Map<string, Key>();
  for (const key in table) {
    for (const name of [kebab(key), ...table[key].aliases]) names.set(name, key);
  }
  return names;
}

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
