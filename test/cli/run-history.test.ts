import { expect, test } from "bun:test";
import { createRunHistory } from "../../cli/run-history.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";

test("the best evaluation is the run's: none after a resume until one exceeds the earlier ones", () => {
  const run = {
    config: { method: "lora", metric: null, evalSteps: 10 },
    schedule: { stepsPerEpoch: 10 },
    spec: { defaultMetric: "pearson" },
    validation: [],
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that a history reads
  const history = createRunHistory(run as unknown as PreparedRun);
  expect(history.panel().metric).toBeUndefined();
  history.evaluation(10, { pearson: Number.NaN }, false);
  history.evaluation(20, { pearson: 0.5 }, false);
  expect(history.panel().metric).toMatchObject({ name: "pearson", best: undefined });
  history.evaluation(30, { pearson: 0.7 }, true);
  history.evaluation(40, { pearson: 0.6 }, false);
  expect(history.panel().metric?.best).toEqual({ value: 0.7, step: 30 });
});
