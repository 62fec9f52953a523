import { describe, expect, test } from "bun:test";
import { AdaloraError } from "../../../core/errors.ts";
import {
  checkSchedule,
  learningRateAt,
  type LearningRateSchedule,
  scheduleNames,
  warmupSteps,
} from "../../../core/optim/schedule.ts";
import golden from "./schedules.golden.json" with { type: "json" };

type Golden = (typeof golden.schedules)[number];

function scheduleOf(g: Golden): LearningRateSchedule {
  const { num_cycles, power, lr_end } = g.kwargs as Record<string, number | undefined>;
  const name = scheduleNames.find((known) => known === g.name);
  if (name === undefined) throw new Error(`the golden file has an unknown schedule ${g.name}`);
  return {
    name,
    base: g.base_lr,
    warmup: g.num_warmup_steps,
    total: g.num_training_steps,
    ...(num_cycles === undefined ? {} : { cycles: num_cycles }),
    ...(power === undefined ? {} : { power }),
    ...(lr_end === undefined ? {} : { end: lr_end }),
  };
}

describe("learning rates equal transformers' at every step", () => {
  for (const g of golden.schedules) {
    const kwargs = JSON.stringify(g.kwargs);
    test(`${g.name} ${kwargs} warm-up ${g.num_warmup_steps} of ${g.num_training_steps}`, () => {
      const schedule = scheduleOf(g);
      g.lr.forEach((want, step) => {
        expect(Math.abs(learningRateAt(step, schedule) - want)).toBeLessThan(1e-15);
      });
      if ("error" in g) {
        expect(() => learningRateAt(g.lr.length, schedule)).toThrow(AdaloraError);
        expect(() => checkSchedule(schedule)).toThrow("polynomial needs a step after warm-up");
      } else {
        checkSchedule(schedule);
      }
    });
  }
});

test("a warm-up ratio is rounded up to whole steps", () => {
  for (const { num_training_steps, warmup_ratio, warmup_steps } of golden.warmup_ratio) {
    expect(warmupSteps(warmup_ratio, num_training_steps)).toBe(warmup_steps);
  }
});

test("invalid schedules are refused before training", () => {
  const linear = { name: "linear", base: 1e-3, warmup: 1, total: 10 } as const;
  expect(() => checkSchedule({ ...linear, warmup: 1.5 })).toThrow(
    "--warmup-steps must be a whole number of steps, got 1.5",
  );
  expect(() => checkSchedule({ ...linear, total: 0 })).toThrow("--max-steps");
  expect(() => checkSchedule({ ...linear, name: "polynomial", end: 1e-3 })).toThrow(
    "--lr must be above the polynomial schedule's end rate 0.001, got 0.001",
  );
});

test("a parameter group of another rate follows the same curve, also to polynomial's end rate", () => {
  for (const name of ["linear", "polynomial", "cosine"] as const) {
    const schedule = { name, base: 1e-3, warmup: 2, total: 9 };
    for (let step = 0; step <= 12; step++) {
      const ratio = 20 * learningRateAt(step, schedule);
      expect(learningRateAt(step, schedule, 2e-2)).toBeCloseTo(ratio, 15);
    }
  }
});
