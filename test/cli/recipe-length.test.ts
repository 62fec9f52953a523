import { describe, expect, test } from "bun:test";
import { resolveRun } from "../../cli/run-config.ts";

const given = (flags: Record<string, unknown>) =>
  new Map(
    Object.entries({ model: "m", ...flags }).map(([key, value]) => [
      key,
      { flag: `--${key}`, value },
    ]),
  );

describe("a recipe's phases", () => {
  test("are the paper's steps at its own length", async () => {
    const { config } = await resolveRun("rte", given({}));
    expect([config.initWarmup, config.finalWarmup, config.warmupSteps]).toEqual([600, 1800, 200]);
  });

  test("keep their share of a run that flags make shorter", async () => {
    const { config } = await resolveRun("rte", given({ maxSteps: 39 }));
    expect(Number.parseFloat(String(config.initWarmup))).toBeCloseTo((100 * 600) / 3900, 10);
    expect(Number.parseFloat(String(config.finalWarmup))).toBeCloseTo((100 * 1800) / 3900, 10);
    expect([config.warmupSteps, config.warmupRatio]).toEqual([null, 200 / 3900]);
  });

  test("hold as many prunings in a shorter run", async () => {
    const interval = async (flags: Record<string, unknown>) =>
      (await resolveRun("squad_v2", given(flags))).config.maskInterval;
    expect([
      await interval({}),
      await interval({ maxSteps: 9890 }),
      await interval({ epochs: 3 }),
      await interval({ maxSteps: 60 }),
      await interval({ epochs: 24 }),
      await interval({ maxSteps: 9890, maskInterval: 7 }),
    ]).toEqual([100, 10, 25, 1, 100, 7]);
  });

  test("give way to flags of their own", async () => {
    const { config } = await resolveRun("rte", given({ epochs: 2, initWarmup: 7, warmupSteps: 3 }));
    expect([config.initWarmup, config.warmupSteps, config.warmupRatio]).toEqual([7, 3, null]);
  });
});
