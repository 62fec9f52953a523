import { randomInts } from "../core/data/shuffle.ts";
import type { RandomInt } from "../core/data/shuffle.ts";
import type { Row } from "./rows.ts";

/** Rows of each split, by name, in order. */
export type Sizes = Readonly<Record<string, number>>;

/** Splits of drawn rows, a function of seed and sizes alone. No story is told twice, so that no split knows another's. */
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

/** Rows as a file of tab-separated values, with the columns that a sentence pair has in GLUE. */
export function toTsv(rows: readonly Row[]): string {
  const lines = rows.map(({ story, sentence, label }) => `${story}\t${sentence}\t${label}\n`);
  return `sentence1\tsentence2\tlabel\n${lines.join("")}`;
}
