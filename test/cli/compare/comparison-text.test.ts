import { expect, test } from "bun:test";
import { compareArms } from "../../../cli/compare/comparison.ts";
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

test("the page of a comparison", () => {
  const subject = { task: "rte", metric: "accuracy", isHigherBetter: true, rank: 2, matrices: 72 };
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
    return { name, about: name, lr, tried, startParameters: start, runs: runs(values) };
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

    difference: mean over seeds from lora, with its 95% interval

    method   parameters: start      end  time a run   memory
    lora               331,776  331,776  1 min 31 s  1.0 GiB
    adalora            663,840  331,776  1 min 31 s  1.0 GiB
    uniform            663,840        -           -        -

    learning rates, by rows held out of training
    lora: 0.001 of 0.001 0.6900, 0.1 failed
    adalora: 0.002 of 0.002 0.6900, 0.1 failed

    failed: uniform, seed 1: out of memory

    files in runs/x"
  `);
});
