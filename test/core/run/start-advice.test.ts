import { expect, test } from "bun:test";
import { resolveConfig, type RunConfig } from "../../../core/config/run-config.ts";
import { resolveSchedule } from "../../../core/run/phases.ts";
import { builtIn, startOf } from "../../../core/run/registry.ts";
import { startAdvice } from "../../../core/run/start-advice.ts";
import { starts } from "../../../core/adalora/starts/index.ts";

/** 300 steps of RTE at a constant rate. */
const configOf = (values: Partial<RunConfig>) => {
  const all = { task: "rte", model: "m", maxSteps: 300, lr: 2e-3, ...values };
  return resolveConfig([{ values: all, name: (one) => one }]);
};

function adviceFor(values: Partial<RunConfig>): string | undefined {
  const config = configOf(values);
  return startAdvice({ config, schedule: resolveSchedule(config, 3000), from: undefined });
}

test("a run of the paper's task in which E cannot reach 1 is advised to start as LoRA does", () => {
  expect(adviceFor({})).toBe(
    "E starts at 0, and 300 steps move it by at most 0.3: --start lora starts it at 1",
  );
  expect(adviceFor({ method: "svd-lora" })).toContain("--start lora");
  expect(adviceFor({ maxSteps: 1 })).toContain("1 step moves it");
});

test("no advice for a longer run, a faster E, a chosen start, or a method without E", () => {
  expect(adviceFor({ maxSteps: 1100 })).toBeUndefined();
  expect(adviceFor({ lrE: 2e-2 })).toBeUndefined();
  expect(adviceFor({ start: "paper" })).toBeUndefined();
  expect(adviceFor({ method: "lora" })).toBeUndefined();
});

test("data of one's own start as LoRA does, and the plan says why; the paper's tasks as the paper", () => {
  const own = { task: "classification" };
  expect(adviceFor(own)).toBe(
    "lora: --start paper starts E at 0, and 300 steps move it by at most 0.3",
  );
  expect(adviceFor({ ...own, maxSteps: 1100 })).toContain("data of your own");
  expect(adviceFor({ ...own, start: "paper" })).toBeUndefined();
  const of = (values: Partial<RunConfig>) => startOf(configOf(values), builtIn);
  expect(of(own)).toBe(starts.lora);
  expect(of({ ...own, method: "svd-lora" })).toBe(starts.lora);
  expect(of({ ...own, start: "paper" })).toBe(starts.paper);
  expect(of({})).toBe(starts.paper);
  expect(of({ method: "lora" })).toBe(starts.lora);
});
