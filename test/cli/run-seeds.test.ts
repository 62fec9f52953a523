import { expect, test } from "bun:test";
import { seedsText } from "../../cli/run-seeds.ts";
import { meanAndDeviation } from "../../core/metrics/mean-and-deviation.ts";
import { fakeOutput } from "./fake-output.ts";

test("the deviation is that of a sample", () => {
  expect(meanAndDeviation([1, 3])).toEqual({ mean: 2, deviation: Math.sqrt(2) });
  expect(meanAndDeviation([5])).toEqual({ mean: 5, deviation: 0 });
});

test("the page of several seeds says what its numbers are, and where the files are", () => {
  const summary = { "validation accuracy": { mean: 0.60254, deviation: 0.00212 } };
  const run = { task: "rte", method: "adalora", out: "runs/x" } as const;
  expect(seedsText(run, [1, 2], summary, fakeOutput())).toBe(
    [
      "rte: adalora, mean and standard deviation over seeds 1, 2",
      "validation accuracy               0.6025 ± 0.0021",
      "files in runs/x",
    ].join("\n\n"),
  );
  expect(seedsText(run, [1], {}, fakeOutput())).toEndWith("over seeds 1\n\nfiles in runs/x");
});
