import { expect, test } from "bun:test";
import type { Configuration } from "../../../cli/sweep/plan-sweep.ts";
import { rungsOf } from "../../../cli/sweep/rungs.ts";
import { rankedSweep, type RungResult } from "../../../cli/sweep/sweep.ts";
import { planLines, sweepText } from "../../../cli/sweep/sweep-text.ts";
import { fakeOutput } from "../fake-output.ts";

const configuration = (name: string): Configuration => ({
  choice: { name, values: new Map() },
  folder: name,
  steps: [33, 100],
  configs: [],
  restartReason: "adalora reaches its budget at a share of the run's steps",
});
const rung = (steps: number, value: number | null): RungResult => ({
  steps,
  value,
  seconds: value === null ? null : steps,
  memory: value === null ? null : 2 ** 30,
  out: "x",
});

test("the page of a sweep: the best of the last rung first, failed runs last", () => {
  const names = ["lr=1e-4", "lr=1e-3", "lr=1e-2", "lr=1e-1"];
  const configurations = names.map(configuration);
  const subject = { task: "rte", metric: "loss", isHigherBetter: false, seed: 1, heldOut: 0.1 };
  const planned = { subject, rungs: rungsOf(4, 3), configurations, warnings: [] };
  expect(planLines(planned).join("\n")).toMatchInlineSnapshot(`
    "4 configurations, 4 at 33.3%, 2 at 100% of the steps, chosen by loss on 10% of the training rows
    each rung trains from scratch, with its phases scaled down: adalora reaches its budget at a share of the run's steps"
  `);
  const swept = [[0.8], [0.7, 0.6], [0.75, 0.5], [null]].map((values, i) => ({
    configuration: configurations[i]!,
    rungs: values.map((value, j) => rung([33, 100][j]!, value)),
  }));
  const failures = [{ run: "lr=1e-1, rung 1", error: "the loss is not finite" }];
  const sweep = rankedSweep(planned, swept, failures);
  expect(sweepText(sweep, "adalora run rte --lr 1e-2", "runs/x", fakeOutput()))
    .toMatchInlineSnapshot(`
    "rte: loss on 10% of the training rows, by share of the steps, lower is better

    configuration   33.3%    100%        time   memory
    lr=1e-2        0.7500  0.5000  2 min 13 s  1.0 GiB
    lr=1e-3        0.7000  0.6000  2 min 13 s  1.0 GiB
    lr=1e-4        0.8000       -        33 s  1.0 GiB
    lr=1e-1        failed       -           -        -

    best configuration:
      adalora run rte --lr 1e-2

    failed: lr=1e-1, rung 1: the loss is not finite

    files in runs/x"
  `);
});
