import { invariant } from "../errors.ts";

/** What a budget counts: triplets, or the parameters that they have. */
export type BudgetUnit = "ranks" | "parameters";

/** Parameters of the budget schedule. Steps are numbered from 0. */
export interface BudgetSchedule {
  /** What `initial` and `target` count; default: ranks. */
  readonly unit?: BudgetUnit;
  /** Ranks or parameters summed over all adapted matrices, before pruning. */
  readonly initial: number;
  /** The same after the last pruning. */
  readonly target: number;
  /** Steps before the budget begins to fall. */
  readonly warmup: number;
  /** Steps at the end that train with the target budget. */
  readonly finalTuning: number;
  /** Steps between two masks while the budget falls. */
  readonly interval: number;
  /** Total steps. */
  readonly steps: number;
}

/**
 * The rank budget b(t) of AdaLoRA: flat, then a cubic fall, then flat.
 *
 *   b(t) = target + (initial - target) * (1 - (t - warmup) / (steps - finalTuning - warmup))^3
 *
 * Follows the authors' code. The paper's eq. 14 has t - warmup - finalTuning in the numerator,
 * which makes the base of the cube exceed 1 at t = warmup.
 */
export function budgetAt(step: number, s: BudgetSchedule): number {
  invariant(s.steps > s.warmup + s.finalTuning, "no step is left between warm-up and final tuning");
  if (step <= s.warmup) return s.initial;
  if (step > s.steps - s.finalTuning) return s.target;
  const left = 1 - (step - s.warmup) / (s.steps - s.finalTuning - s.warmup);
  return Math.trunc(s.target + (s.initial - s.target) * left ** 3);
}

/** Whether a step masks triplets: at intervals while the budget falls, then at every step. */
export function masksAt(step: number, s: BudgetSchedule): boolean {
  if (step <= s.warmup) return false;
  return step > s.steps - s.finalTuning || step % s.interval === 0;
}
