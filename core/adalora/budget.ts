import { invariant } from "../errors.ts";

/** Steps count from 0. Ranks are summed over all adapted matrices. */
export interface BudgetSchedule {
  readonly initial: number;
  readonly target: number;
  /** Steps before the budget begins to fall. */
  readonly warmup: number;
  /** Steps at the end that train with the final budget. */
  readonly finalTuning: number;
  readonly interval: number;
  readonly steps: number;
}

/**
 * The rank budget b(t) of AdaLoRA: flat, then a cubic fall, then flat.
 *
 *   b(t) = target + (initial - target) * (1 - (t - warmup) / (steps - finalTuning - warmup))^3
 *
 * The paper's eq. 14 has t - warmup - finalTuning in the numerator, which exceeds 1 at t = warmup; the authors' code,
 * followed here, does not.
 */
export function budgetAt(step: number, s: BudgetSchedule): number {
  invariant(s.steps > s.warmup + s.finalTuning, "no step is left between warm-up and final tuning");
  if (step <= s.warmup) return s.initial;
  if (step > s.steps - s.finalTuning) return s.target;
  const left = 1 - (step - s.warmup) / (s.steps - s.finalTuning - s.warmup);
  return Math.trunc(s.target + (s.initial - s.target) * left ** 3);
}

/** Whether triplets are masked after this step: at intervals while the budget falls, and at every step of final tuning. */
export function masksAt(step: number, s: BudgetSchedule): boolean {
  if (step <= s.warmup) return false;
  return step > s.steps - s.finalTuning || step % s.interval === 0;
}
