import { expect, test } from "bun:test";
import type { PreparedRun } from "../../core/run/prepare.ts";
import type { StepReport } from "../../core/train/step-report.ts";
import type { Report } from "../../cli/report.ts";
import { watchRun } from "../../cli/run-watcher.ts";

/** A watcher of a run of so many steps without evaluations. */
function watcherOf(steps: number) {
  const run = {
    config: { evalSteps: null, logSteps: 10 },
    schedule: { steps, stepsPerEpoch: steps },
    spec: { metrics: [] },
    validation: [],
  };
  const report = { progress() {}, info() {}, warn() {} };
  const started = performance.now() - 3000;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that a watcher reads
  const parts = [run, report] as unknown as [PreparedRun, Report];
  const watcher = watchRun(...parts, { isRequested: false }, started);
  const step = (index: number) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that a watcher reads
    const reported = { step: index, taskLoss: 1, budget: undefined } as StepReport;
    watcher.onStep(reported, { tokens: 100, seconds: 2 });
  };
  return { watcher, step };
}

test("a run's time is predicted after five steps: what has passed, and as long for each step left", () => {
  const { watcher, step } = watcherOf(105);
  for (let i = 0; i < 4; i++) step(i);
  expect(watcher.predictedSeconds()).toBeUndefined();
  step(4);
  expect(watcher.predictedSeconds()).toBeCloseTo(3 + 100 * 2, 0);
  step(5);
  expect(watcher.predictedSeconds()).toBeCloseTo(3 + 100 * 2, 0);
});

test("a resumed run's time is not predicted: its actual time has earlier legs", () => {
  const { watcher, step } = watcherOf(105);
  watcher.onResume(3, []);
  step(4);
  expect(watcher.predictedSeconds()).toBeUndefined();
});
