import { expect, test } from "bun:test";
import { resolveConfig, type RunConfig } from "../../../core/config/run-config.ts";
import { resolveSchedule } from "../../../core/run/phases.ts";
import { startAdvice } from "../../../core/run/start-advice.ts";

/** The advice for 300 steps on data of one's own. */
function adviceFor(values: Partial<RunConfig>): string | undefined {
  const all = { task: "classification", model: "m", maxSteps: 300, lr: 2e-3, ...values };
  const config = resolveConfig([{ values: all, name: (one) => one }]);
  return startAdvice({ config, schedule: resolveSchedule(config, 3000), from: undefined });
}

test("a run in which E cannot reach 1 is advised to start as LoRA does", () => {
  expect(adviceFor({})).toBe(
    "E starts at 0 and 300 steps are few, as it moves by at most 0.3: --start lora starts it at 1",
  );
  expect(adviceFor({ method: "svd-lora" })).toContain("--start lora");
  expect(adviceFor({ maxSteps: 1 })).toContain("1 step is few");
});

test("no advice for a longer run, a faster E, a chosen start, a method without E, or a recipe", () => {
  expect(adviceFor({ maxSteps: 1100 })).toBeUndefined();
  expect(adviceFor({ lrE: 2e-2 })).toBeUndefined();
  expect(adviceFor({ start: "paper" })).toBeUndefined();
  expect(adviceFor({ method: "lora" })).toBeUndefined();
  expect(adviceFor({ task: "rte" })).toBeUndefined();
});
