import { expect, test } from "bun:test";
import { compareArms } from "../../../cli/compare/comparison.ts";
import { comparisonReport } from "../../../cli/compare/comparison-report.ts";
import { comparisonText } from "../../../cli/compare/comparison-text.ts";
import { fakeOutput } from "../fake-output.ts";

const runs = (values: readonly number[]) =>
  values.map((value, i) => ({
    seed: i + 1,
    value,
    parameters: 331_776,
    seconds: 90 + i,
    memory: 2 ** 30,
  }));

const subject = { task: "rte", metric: "accuracy", isHigherBetter: true, rank: 2, matrices: 72 };

/** An arm with a run for each value, of seeds from 1 on. */
const arm = (name: string, values: readonly number[], hasOtherSize = false) => ({
  name,
  about: name,
  lr: 1e-3,
  tried: [],
  startParameters: 331_776,
  scale: 4,
  isCut: false,
  hasOtherSize,
  runs: runs(values),
});

test("the page of a comparison", () => {
  const arms = [
    { name: "lora", values: [0.7, 0.72, 0.71], lr: 1e-3, start: 331_776 },
    { name: "adalora", values: [0.72, 0.72, 0.7], lr: 2e-3, start: 663_840 },
    { name: "uniform", values: [], lr: null, start: 663_840 },
  ].map(({ name, values, lr, start }) => {
    const tried =
      lr === null
        ? []
        : [
            { lr, value: 0.69 },
            { lr: 0.1, value: null },
          ];
    const sizes = { startParameters: start, scale: 4, isCut: false, hasOtherSize: false };
    return { name, about: name, lr, tried, ...sizes, runs: runs(values) };
  });
  const failures = [{ run: "uniform, seed 1", error: "out of memory" }];
  const comparison = compareArms({ ...subject, seeds: [1, 2, 3] }, arms, failures);
  expect(comparisonText(comparison, "runs/x", fakeOutput())).toMatchInlineSnapshot(`
    "rte: accuracy over 3 seeds

    final rank 2 in each of 72 matrices, or as many parameters

    method        mean ± std  median                  difference  wins-ties-losses
    lora     0.7100 ± 0.0100  0.7100                           -                 -
    adalora  0.7133 ± 0.0115  0.7200  +0.0033 [-0.0346, +0.0413]             1-1-1
    uniform                -       -                           -                 -

    difference: mean over the seeds of both, minus lora with the same seed, with its 95% interval
    (bootstrap; Student's t below five seeds), not corrected for the number of arms;
    wins: seeds with a higher value than lora

    method   scale  parameters: start      end  time a run   memory
    lora         4            331,776  331,776  1 min 31 s  1.0 GiB
    adalora      4            663,840  331,776  1 min 31 s  1.0 GiB
    uniform      4            663,840        -           -        -

    learning rates, picked by accuracy on rows held out of training
    lora: 0.001 (tried 0.001: 0.6900, 0.1: failed)
    adalora: 0.002 (tried 0.002: 0.6900, 0.1: failed)

    failed: uniform, seed 1: out of memory

    files in runs/x"
  `);
});

test("a single seed shows neither a deviation nor an interval", () => {
  const arms = [arm("lora", [0.7]), arm("adalora", [0.72])];
  const comparison = compareArms({ ...subject, seeds: [1] }, arms, []);
  const text = comparisonText(comparison, "runs/x", fakeOutput());
  expect(text).toContain("adalora      0.7200  0.7200     +0.0200             1-0-0\n");
  expect(text).toContain("difference: from lora with the same seed; a single seed has no interval");
  const { charts } = comparisonReport(comparison, () => []);
  expect(charts.map(({ id }) => id)).toEqual(["scores"]);
});

test("a score says over how many seeds it is where some failed", () => {
  const arms = [arm("lora", [0.7, 0.72]), arm("adalora", [0.72])];
  const comparison = compareArms({ ...subject, seeds: [1, 2] }, arms, []);
  expect(comparisonText(comparison, "x", fakeOutput())).toContain("adalora  0.7200 (1 of 2 seeds)");
});

test("an arm that ends with another size is named", () => {
  const arms = [arm("lora", [0.7, 0.72]), arm("lora:rank=4", [0.7, 0.72], true)];
  const comparison = compareArms({ ...subject, seeds: [1, 2] }, arms, []);
  expect(comparisonText(comparison, "x", fakeOutput())).toContain(
    "final rank 2 in each of 72 matrices, or as many parameters, except in lora:rank=4\n",
  );
});

test("the report's notes are lines without breaks, and say which curves are those before a cut", () => {
  const arms = [arm("lora", [0.7, 0.72]), { ...arm("lora-cut", [0.7, 0.72]), isCut: true }];
  const comparison = compareArms({ ...subject, seeds: [1, 2] }, arms, []);
  const notes = comparisonReport(comparison, () => []).tables.map(({ note }) => note ?? "");
  expect(notes.join("")).not.toContain("\n");
  expect(notes[1]).toContain("The curves below of lora-cut are those before the cut");
});
