import { expect, test } from "bun:test";
import { lengthStats } from "../../../core/data/length-stats.ts";

test.each([
  [[], { median: 0, p95: 0, max: 0 }],
  [[7], { median: 7, p95: 7, max: 7 }],
  [[9, 1, 5, 3], { median: 3, p95: 9, max: 9 }],
  [Array.from({ length: 100 }, (_, i) => 100 - i), { median: 50, p95: 95, max: 100 }],
])("of %j", (lengths, stats) => {
  expect(lengthStats(lengths)).toEqual(stats);
});
