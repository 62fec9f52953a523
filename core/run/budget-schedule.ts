import type { BudgetSchedule } from "../adalora/budget.ts";
import type { RunConfig } from "../config/run-config.ts";
import type { RunSchedule } from "./phases.ts";
import type { RankTarget } from "./target.ts";

/** A run's schedule as the rank allocator takes it. */
export function budgetSchedule(
  { steps, initWarmup, finalWarmup }: RunSchedule,
  { budget }: RankTarget,
  { maskInterval }: RunConfig,
): BudgetSchedule {
  return {
    ...budget,
    warmup: initWarmup,
    finalTuning: finalWarmup,
    interval: maskInterval,
    steps,
  };
}
