import { describe, expect, test } from "bun:test";
import { type BudgetSchedule, budgetAt, masksAt } from "../../../core/adalora/budget.ts";

const schedule: BudgetSchedule = {
  initial: 144,
  target: 96,
  warmup: 10,
  finalTuning: 20,
  interval: 5,
  steps: 100,
};

describe("budgetAt", () => {
  const table: [step: number, budget: number, reason: string][] = [
    [0, 144, "first step"],
    [10, 144, "last step of warm-up"],
    [11, 141, "96 + 48 (69/70)^3 = 141.97, truncated rather than rounded"],
    [45, 102, "half-way: 96 + 48 / 8"],
    [79, 96, "96 + 48 / 70^3"],
    [80, 96, "last step of budgeting"],
    [81, 96, "first step of final tuning"],
    [99, 96, "last step"],
  ];
  for (const [step, budget, reason] of table)
    test(`step ${step}: ${budget}, ${reason}`, () => expect(budgetAt(step, schedule)).toBe(budget));

  test("without warm-up the first step has the initial budget and the second a smaller one", () => {
    const s = { ...schedule, warmup: 0, finalTuning: 0 };
    expect([0, 1, 50, 99, 100].map((step) => budgetAt(step, s))).toEqual([144, 142, 102, 96, 96]);
  });

  test("never rises, and stays between initial and target", () => {
    for (const s of [
      schedule,
      { ...schedule, warmup: 0, finalTuning: 0 },
      { ...schedule, initial: 7, target: 0 },
      { ...schedule, initial: 5, target: 5 },
      { ...schedule, initial: 1, target: 0, warmup: 79 }, // one step of budgeting
    ]) {
      const budgets = Array.from({ length: s.steps }, (_, step) => budgetAt(step, s));
      expect(budgets).toEqual(budgets.toSorted((a, b) => b - a));
      expect([budgets[0], budgets.at(-1)]).toEqual([s.initial, s.target]);
    }
  });

  test("a schedule without a step to prune in is an internal error", () => {
    expect(() => budgetAt(0, { ...schedule, warmup: 80 })).toThrow(
      "internal: no step is left between warm-up and final tuning",
    );
  });
});

describe("masksAt", () => {
  const table: [step: number, masks: boolean, reason: string][] = [
    [0, false, "a multiple of the interval, but in warm-up"],
    [5, false, "warm-up"],
    [10, false, "the last step of warm-up"],
    [11, false, "not a multiple of the interval"],
    [15, true, "first multiple after warm-up"],
    [16, false, "no multiple"],
    [80, true, "last step of budgeting, a multiple"],
    [81, true, "final tuning masks at every step"],
    [82, true, "final tuning masks at every step"],
    [99, true, "the last step"],
  ];
  for (const [step, masks, reason] of table)
    test(`step ${step}: ${masks}, ${reason}`, () => expect(masksAt(step, schedule)).toBe(masks));

  test("an interval that misses the last step of budgeting does not mask there", () => {
    const s = { ...schedule, interval: 7 };
    expect([77, 78, 80, 81].map((step) => masksAt(step, s))).toEqual([true, false, false, true]);
  });
});
