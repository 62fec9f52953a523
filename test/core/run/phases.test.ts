import { describe, expect, test } from "bun:test";
import { type Layer, resolveConfig } from "../../../core/config/run-config.ts";
import { resolveSchedule, stepsOf } from "../../../core/run/phases.ts";

function schedule(rows: number, values: Layer["values"]) {
  const all = { task: "rte", model: "dir", initWarmup: 600, finalWarmup: 1800, maskInterval: 1 };
  const layers = [
    { values: all, name: String },
    { values, name: String },
  ];
  return resolveSchedule(resolveConfig(layers), rows);
}

describe("steps", () => {
  test.each([
    [2490, 50, 3900, "RTE: 78 batches"],
    [8551, 25, 6700, "CoLA"],
    [392_702, 7, 85_904, "MNLI"],
    [64, 1, 2, "full batches"],
    [65, 1, 3, "a smaller last batch"],
    [65, 0.5, 2, "half an epoch, rounded up"],
  ])("%p rows, %p epochs: %p (%s)", (rows, epochs, steps) => {
    expect(schedule(rows, { epochs }).steps).toBe(steps);
  });

  test("the last step of an epoch may accumulate fewer batches", () => {
    expect(schedule(160, { epochs: 2, gradAccum: 2 })).toMatchObject({
      stepsPerEpoch: 3,
      steps: 6,
    });
  });

  test("--max-steps replaces --epochs", () => {
    expect(schedule(2490, { maxSteps: 40, initWarmup: 5, finalWarmup: 10 }).steps).toBe(40);
  });
});

describe("phases", () => {
  test("are the reference's: pruning where init < step <= steps - final", () => {
    const { phases, prunings } = schedule(2490, { epochs: 50 });
    expect(phases).toEqual([
      { name: "warm-up", first: 0, last: 600 },
      { name: "budgeting", first: 601, last: 2100 },
      { name: "final", first: 2101, last: 3899 },
    ]);
    expect(prunings).toBe(1500);
  });

  test("cover every step once", () => {
    for (const [initWarmup, finalWarmup] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [3, 6],
      [9, 0],
      [0, 9],
    ] as const) {
      const { phases } = schedule(32, { maxSteps: 10, initWarmup, finalWarmup });
      const steps = phases.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, i) => first + i),
      );
      expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  });

  test("percentages are of all steps, rounded to the nearest step", () => {
    expect(schedule(2490, { epochs: 50, initWarmup: "15%", finalWarmup: "46%" })).toMatchObject({
      initWarmup: 585,
      finalWarmup: 1794,
    });
    expect(stepsOf("10%", 15)).toBe(2);
  });

  test("prunings are the multiples of the interval", () => {
    const { prunings } = schedule(32, {
      maxSteps: 60,
      initWarmup: 8,
      finalWarmup: 15,
      maskInterval: 3,
    });
    expect(prunings).toBe(13); // 9, 12, … 45
  });

  test("a method that doesn't prune has a single phase", () => {
    expect(schedule(32, { method: "lora", maxSteps: 10 }).phases).toEqual([
      { name: "training", first: 0, last: 9 },
    ]);
  });
});

describe("diagnostics", () => {
  const messages = (values: Layer["values"]) => {
    const { diagnostics } = schedule(2490, values);
    return [...diagnostics.problems.map(({ message }) => message), ...diagnostics.warnings];
  };

  test("none for a valid schedule", () => {
    expect(messages({ epochs: 50 })).toEqual([]);
    expect(messages({ maxSteps: 2401 })).toEqual([]);
  });

  test("no step left to prune in", () => {
    expect(messages({ maxSteps: 2400 })).toEqual([
      "--init-warmup 600 and --final-warmup 1800 leave no steps for pruning: the run has 2400",
    ]);
  });

  test("an interval longer than the budgeting phase", () => {
    expect(messages({ epochs: 50, maskInterval: 5000 })).toEqual([
      "no multiple of --mask-interval 5000 falls in the budgeting phase: " +
        "all pruning happens at the start of the final phase",
    ]);
  });

  test("a learning rate that never reaches its peak", () => {
    expect(messages({ method: "lora", maxSteps: 40, warmupSteps: 200 })).toEqual([
      "the learning rate reaches 20% of its peak: 200 warm-up steps in a run of 40",
    ]);
  });
});
