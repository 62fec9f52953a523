import { expect, test } from "bun:test";
import { peakResidentMemory } from "../../core/process-memory.ts";
import { compareCosts, comparisonLines } from "../../cli/predicted-text.ts";

test("predicted and actual costs stand side by side; time only if it was predicted", () => {
  const actual = { memory: 1.5 * 2 ** 30, seconds: 125 };
  const memory = compareCosts({ memory: 2 ** 31 }, actual);
  expect(memory).toEqual({ memory: { predicted: 2 ** 31, actual: 1.5 * 2 ** 30 } });
  expect(comparisonLines(memory)).toEqual([
    "peak memory                       1.5 GiB, 2.0 GiB predicted",
  ]);
  expect(comparisonLines(compareCosts({ memory: 2 ** 31, seconds: 100 }, actual))[1]).toBe(
    "time                              2 min 5 s, 1 min 40 s predicted",
  );
});

test("the peak is of this process, in bytes", () => {
  expect(peakResidentMemory()).toBeWithin(2 ** 25, 2 ** 36);
  expect(peakResidentMemory()).toBeGreaterThanOrEqual(0.9 * process.memoryUsage.rss());
});
