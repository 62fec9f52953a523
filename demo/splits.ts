import { randomInts } from "../core/data/shuffle.ts";
import type { RandomInt } from "../core/data/shuffle.ts";
import type { Row } from "./rows.ts";

/** Number of rows of each split by name, in the order of drawing. */
export type Sizes = Readonly<Record<string, number>>;

/**
 * Draws splits, a function of seed and sizes alone. No story appears twice, so splits don't
 * overlap.
 */
export function drawSplits(
  drawRow: (draw: RandomInt) => Row,
  { seed, sizes }: { seed: number; sizes: Sizes },
): Record<string, Row[]> {
  const usedStories = new Set<string>();
  const splits = Object.entries(sizes).map(([name, size], stream) => {
    const draw = randomInts(seed, 0, stream);
    const rows: Row[] = [];
    while (rows.length < size) {
      const row = drawRow(draw);
      if (usedStories.has(row.story)) continue;
      usedStories.add(row.story);
      rows.push(row);
    }
    return [name, rows] as const;
  });
  return Object.fromEntries(splits);
}

/** Formats rows as tab-separated values, with GLUE's columns for sentence pairs. */
export function toTsv(rows: readonly Row[]): string {
  const lines = rows.map(({ story, sentence, label }) => `${story}\t${sentence}\t${label}\n`);
  return `sentence1\tsentence2\tlabel\n${lines.join("")}`;
}
