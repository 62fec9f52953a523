import { describe, expect, test } from "bun:test";
import { createBatchReport } from "../../cli/batch-progress.ts";
import type { BatchProgress } from "../../cli/progress.ts";
import { createTimeLeft } from "../../cli/time-left.ts";

describe("the time that a run still takes", () => {
  const speed = { tokens: 300, seconds: 2 };

  test("contains its evaluations: first by their tokens, then as long as the last one", () => {
    const left = createTimeLeft({ steps: 10, evalSteps: 4, evaluationTokens: 900 });
    // 9 steps of 2 s; evaluations after 4, 8 and 10, each 900 tokens at three times 150 a second
    expect(left.step(1, speed).secondsLeft).toBeCloseTo(18 + 3 * 2, 9);
    expect(left.step(4, speed).secondsLeft).toBeCloseTo(12 + 3 * 2, 9);
    left.evaluation(50);
    expect(left.step(5, speed)).toEqual({
      tokensPerSecond: expect.closeTo(150, 9),
      secondsLeft: expect.closeTo(10 + 2 * 50, 9),
    });
    expect(left.step(10, speed).secondsLeft).toBeCloseTo(50, 9);
  });

  test("is that of its steps where nothing is evaluated", () => {
    const left = createTimeLeft({ steps: 10, evalSteps: 4, evaluationTokens: 0 });
    expect(left.step(4, speed).secondsLeft).toBeCloseTo(12, 9);
  });
});

test("the batches of an evaluation are reported with its own time left, a line each half minute", () => {
  let time = 0;
  const shown: { state: BatchProgress; keep: boolean }[] = [];
  const report = { batches: (state: BatchProgress, keep: boolean) => shown.push({ state, keep }) };
  const batches = createBatchReport(
    "evaluating",
    { batches: (...args) => void report.batches(...args) },
    () => time,
  );
  const batch = (at: number, done: number, share: number) => {
    time = at;
    batches.batch({ split: "validation", done, total: 100, share });
  };
  batch(100, 0, 0);
  batch(110, 20, 0.25);
  batch(131, 60, 0.5);
  batch(140, 100, 1);
  expect(batches.end()).toBe(40);
  batch(200, 0, 0);
  expect(shown.map(({ state, keep }) => [state.secondsLeft, keep])).toEqual([
    [undefined, false],
    [30, false],
    [31, true],
    [0, false],
    [40, false], // as long as the one before
  ]);
});
