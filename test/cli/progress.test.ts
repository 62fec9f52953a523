import { describe, expect, test } from "bun:test";
import { batchLine, duration, progressLine, scoresText } from "../../cli/progress.ts";

test("a line of progress keeps its width while steps count up", () => {
  const state = {
    steps: 3900,
    loss: 0.51239,
    budget: 282,
    tokensPerSecond: 1240.4,
    secondsLeft: 4329,
  };
  expect(progressLine({ ...state, step: 39 })).toBe(
    "step   39/3900    1%  loss 0.5124  budget 282  1,240 tokens/s  1 h 12 min left",
  );
  expect(progressLine({ ...state, step: 3899 })).toStartWith("step 3899/3900   99%  loss");
});

describe("what an evaluation found", () => {
  const names = ["exact", "f1", "HasAns_f1", "NoAns_f1", "best_exact", "best_f1"];
  const scores = {
    step: 120_000,
    split: "validation",
    metrics: names.map((name, i) => [name, 100 - i / 3] as const),
    isBest: true,
  };

  test("is a line where it fits", () => {
    const two = { ...scores, metrics: scores.metrics.slice(0, 2), isBest: false };
    expect(scoresText(two, 52)).toBe("step 120000  validation  exact 100.0000  f1 99.6667");
    expect(scoresText(two, 51)).toBe("step 120000  validation  exact 100.0000  f1 99.6667");
    expect(scoresText(two, 50)).toBe(
      "step 120000  validation  exact 100.0000\n             f1 99.6667",
    );
  });

  test("shows the interval of a metric that has one", () => {
    const rouge = ["rouge1", 41.23456, { low: 39.801, high: 42.496 }] as const;
    const metrics = [rouge, ["loss", 1.5] as const];
    expect(scoresText({ ...scores, metrics, isBest: false }, 80)).toBe(
      "step 120000  validation  rouge1 41.2346 (39.80-42.50)  loss 1.5000",
    );
  });

  test.each([
    [100, 2],
    [80, 2],
    [60, 4],
  ])("of six metrics fits %p columns in %p lines", (columns, count) => {
    const lines = scoresText(scores, columns).split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    expect(lines.length).toBe(count);
    const margin = "step 120000  ";
    const rest = lines.map((line) => line.slice(margin.length)).join("  ");
    expect(rest).toBe(
      "validation  exact 100.0000  f1 99.6667  HasAns_f1 99.3333  NoAns_f1 99.0000  best_exact 98.6667  best_f1 98.3333  best so far",
    );
  });
});

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [59.6, "1 min"],
  [725, "12 min 5 s"],
  [3600, "1 h"],
  [12_000, "3 h 20 min"],
  [187_300, "2 d 4 h"],
] as const)("%p seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

describe("a live line", () => {
  const state = {
    step: 1234,
    steps: 39_000,
    loss: 0.51239,
    budget: 282,
    tokensPerSecond: 112_400.4,
    secondsLeft: 86_399,
  };

  test.each([
    [100, "step  1234/39000    3%  loss 0.5124  budget 282  112,400 tokens/s  23 h 59 min left"],
    [79, "step  1234/39000    3%  loss 0.5124  budget 282  23 h 59 min left"],
    [59, "step  1234/39000  loss 0.5124  budget 282  23 h 59 min left"],
    [50, "step  1234/39000  loss 0.5124  23 h 59 min left"],
    [40, "step  1234/39000  23 h 59 min left"],
  ])("of training fits %p columns, with the time left", (columns, line) => {
    expect(progressLine(state, columns)).toBe(line);
  });

  const batch = {
    verb: "evaluating",
    split: "validation_mismatched",
    done: 32,
    total: 9832,
    share: 0.0123,
    secondsLeft: 3661,
  } as const;

  test.each([
    [100, "evaluating validation_mismatched     32/9,832    1%  1 h 1 min left"],
    [62, "evaluating validation_mismatched     32/9,832  1 h 1 min left"],
    [59, "   32/9,832  1 h 1 min left"],
  ])("of an evaluation fits %p columns", (columns, line) => {
    expect(batchLine(batch, columns)).toBe(line);
  });

  test("of an evaluation without an estimate has none", () => {
    expect(
      batchLine({ ...batch, split: "validation", done: 0, share: 0, secondsLeft: undefined }),
    ).toBe("evaluating validation      0/9,832    0%");
  });
});
