import { isOneOf, pruningMethods } from "../config/method.ts";
import type { RankTarget } from "./target.ts";
import type { PreparedRun } from "./prepare.ts";

/** Sums of all ranks: what the last pruning has left, and what the run was to reach. */
export interface TotalRank {
  readonly reached: number;
  readonly target: number;
}

/** The number of steps from which on early stopping counts evaluations. */
export function earlyStoppingFrom(run: PreparedRun): number {
  return run.config.earlyStoppingFrom === "start" ? 0 : budgetReachedAt(run);
}

/** The ranks that a run has reached; undefined for methods that don't prune. */
export function totalRank(
  { config, target }: PreparedRun,
  ranks: Readonly<Record<string, number>>,
): TotalRank | undefined {
  if (!isOneOf(config.method, pruningMethods) || !target) return undefined;
  const reached = Object.values(ranks).reduce((sum, rank) => sum + rank, 0);
  return { reached, target: target.targetTotalRank };
}

/** A warning about a run that ended before its budget was reached. */
export function budgetWarning(
  run: PreparedRun,
  {
    steps,
    stoppedBy,
    totalRank: ranks,
  }: {
    readonly steps: number;
    readonly stoppedBy: string;
    readonly totalRank: TotalRank | undefined;
  },
): string | undefined {
  if (stoppedBy !== "early stopping" || !ranks) return undefined;
  if (run.target?.budget.unit === "parameters") return unreachedSize(run, steps);
  if (ranks.reached <= ranks.target) return undefined;
  return `stopped early, before the budget was reached: a total rank of ${ranks.reached} after step ${steps}, where ${ranks.target} is the target from step ${budgetReachedAt(run)} on`;
}

// --- internal ---

/**
 * The number of steps after which the budget is reached: the first step of the final phase has
 * pruned. 0 if nothing is to be pruned; all steps if there is no final phase.
 */
function budgetReachedAt({
  config,
  schedule,
  target,
}: Pick<PreparedRun, "config" | "schedule" | "target">): number {
  if (!isOneOf(config.method, pruningMethods) || !target || !isPruned(target)) return 0;
  const final = schedule.phases.find(({ name }) => name === "final");
  return final ? final.first + 1 : schedule.steps;
}

/** As budgetWarning, for a budget of parameters, which the sum of ranks does not measure. */
function unreachedSize(run: PreparedRun, steps: number): string | undefined {
  const from = budgetReachedAt(run);
  if (steps >= from) return undefined;
  return `stopped early, after step ${steps}, before the budget was reached: ${run.target?.budget.target} parameters from step ${from} on`;
}

const isPruned = ({ budget }: RankTarget) => budget.target < budget.initial;
