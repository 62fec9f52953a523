import { expect, test } from "bun:test";
import { baselineLines, metricLines } from "../../cli/metrics-text.ts";

test("metrics are aligned lines; a metric with an interval shows it", () => {
  const metrics = { validation: { rouge1: 41.23456, loss: 1.5 }, test: { rouge1: 40 } };
  const intervals = { validation: { rouge1: { low: 39.801, high: 42.496 } } };
  expect(metricLines(metrics, 0.5, intervals)).toEqual([
    "validation rouge1                 41.2346 (39.80-42.50)",
    "validation loss                   1.5000",
    "test rouge1                       40.0000",
    "majority class                    0.5000",
  ]);
});

test("a baseline names its prediction and metric; an undefined one says so", () => {
  expect(baselineLines({ accuracy: 0.5, f1: 0.75 }, true)).toEqual([
    "majority class f1                 0.7500",
  ]);
  expect(baselineLines({ matthews_correlation: 0 }, true)).toEqual([
    "majority class matthews_correlation 0.0000",
  ]);
  expect(baselineLines({ pearson: NaN }, false)).toEqual([
    "mean score pearson                undefined",
  ]);
  expect(baselineLines(undefined, false)).toEqual([]);
});
