import { describe, expect, test } from "bun:test";
import { rungsOf, rungSteps, shortened, restartReason } from "../../../cli/sweep/rungs.ts";
import { resolveConfig, type RunConfig } from "../../../core/config/run-config.ts";
import { resolveSchedule } from "../../../core/run/phases.ts";

describe("rungs", () => {
  test.each([
    [1, [[1, 1]]],
    [
      2,
      [
        [1 / 3, 2],
        [1, 1],
      ],
    ],
    [
      9,
      [
        [1 / 9, 9],
        [1 / 3, 3],
        [1, 1],
      ],
    ],
    [
      10,
      [
        [1 / 9, 10],
        [1 / 3, 4],
        [1, 2],
      ],
    ],
  ] as const)("of %i configurations", (count, expected) => {
    const found = rungsOf(count, 3).map((one) => [one.share, one.count] as [number, number]);
    expect(found.map(([, left]) => left)).toEqual(expected.map(([, left]) => left));
    found.forEach(([share], i) => expect(share).toBeCloseTo(expected[i]![0], 12));
  });

  test("are multiples of the first in steps, but for the whole run", () => {
    expect(rungSteps(100, rungsOf(9, 3))).toEqual([11, 33, 100]);
    expect(rungSteps(4, rungsOf(9, 3))).toEqual([1, 3, 4]);
  });
});

const configOf = (values: Partial<RunConfig>) =>
  resolveConfig([{ values: { task: "rte", model: "x", ...values }, name: String }]);

describe("a rung", () => {
  test.each([
    [{ method: "lora", schedule: "constant" }, undefined],
    [{ method: "svd-lora", schedule: "inverse_sqrt", warmupSteps: 9 }, undefined],
    [{ method: "lora", schedule: "constant_with_warmup", warmupSteps: 10 }, "warm-up"],
    [{ method: "lora" }, "--schedule linear"],
    [{ method: "adalora", schedule: "constant" }, "adalora reaches its budget"],
    [{ method: "lora", schedule: "constant", earlyStopping: 2 }, "--early-stopping"],
  ] as const)("of %o is a run of its own: %s", (values, reason) => {
    const config = configOf({ ...values, epochs: null, maxSteps: 90 });
    const found = restartReason(config, resolveSchedule(config, 100), 10);
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(reason);
  });

  test("that trains from scratch has each phase at its share of the run, and prunes as often", () => {
    const phases = { initWarmup: 60, finalWarmup: 180, maskInterval: 12, warmupSteps: 30 };
    const config = configOf({ ...phases, maxSteps: 600 });
    const whole = resolveSchedule(config, 1000);
    const short = resolveSchedule(shortened(config, whole, 200), 1000);
    expect(short).toMatchObject({
      steps: 200,
      initWarmup: 20,
      finalWarmup: 60,
      warmupSteps: 10,
      prunings: whole.prunings,
    });
    expect(resolveSchedule(shortened(config, whole, 600), 1000)).toEqual(whole);
  });
});
