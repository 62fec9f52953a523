import { isOneOf, pruningMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { type AdaloraError, invariant } from "../errors.ts";
import { budgetErrors } from "./budget-errors.ts";
import type { Diagnostics } from "./phases.ts";
import {
  budgetUnitOf,
  parametersOfRankOne,
  type PrunedBudget,
  requestedParameters,
  requestedTotal,
} from "./budget.ts";
import { largestRank, rankProblems, rankWarnings } from "./rank-limits.ts";

/** A linear layer to adapt. */
export interface AdaptedMatrix {
  readonly path: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** The model dimensions that determine adapter sizes. */
export interface ModelSizes {
  /** Parameter count of the pretrained model. */
  readonly parameters: number;
  /** Not empty. */
  readonly matrices: readonly AdaptedMatrix[];
}

/** Initial and target ranks, and the adapter sizes that they imply. */
export interface RankTarget {
  /** Initial rank of every matrix. */
  readonly initRank: number;
  /** Average final rank; equals `initRank` for methods that don't prune. */
  readonly targetRank: number;
  readonly initTotalRank: number;
  readonly targetTotalRank: number;
  /**
   * Adapter parameters at the initial rank, and if every matrix ended at the average target rank.
   */
  readonly initParameters: number;
  readonly targetParameters: number;
  /** What pruning starts from and ends at; counts parameters or, as `initTotalRank` does, ranks. */
  readonly budget: PrunedBudget;
  /** The setting that the target was derived from, in words. */
  readonly basis: string;
}

/**
 * Resolves `targetRank`, `targetTotalRank` or `budget` to ranks. Unless set, the initial rank
 * follows the paper: App. C pairs averages of 1, 2, 4 and 8 with 2, 4, 6 and 12 (its text says 1.5
 * times). A method that doesn't prune, such as LoRA, uses the target as its rank: a baseline of
 * equal size. Ranks that no matrix can have, and targets below one triplet, are problems.
 */
export function resolveTarget(
  config: RunConfig,
  model: ModelSizes,
): RankTarget & { readonly diagnostics: Diagnostics } {
  const count = model.matrices.length;
  invariant(count > 0, "no matrices to resolve a target rank for");
  const unit = parametersOfRankOne(config, model);
  const requested = requestedTotal(config, model, unit);
  const prunes = isOneOf(config.method, pruningMethods);
  const average = requested.total / count;
  const derived = prunes ? defaultInitRank(average) : Math.max(1, Math.round(average));
  const initRank = config.initRank ?? Math.max(1, Math.min(derived, largestRank(model)));
  const targetTotalRank = prunes ? requested.total : initRank * count;
  const sizeUnit = budgetUnitOf(config, model);
  const isSize = sizeUnit === "parameters";
  const parameters = {
    initial: initRank * unit,
    target: isSize
      ? requestedParameters(requested, model, unit)
      : Math.round((targetTotalRank / count) * unit),
  };
  const ranks = { initial: initRank * count, target: targetTotalRank };
  const target = {
    initRank,
    targetRank: targetTotalRank / count,
    initTotalRank: initRank * count,
    targetTotalRank,
    initParameters: parameters.initial,
    targetParameters: parameters.target,
    budget: { unit: sizeUnit, ...(isSize ? parameters : ranks) },
    basis: !prunes && config.initRank !== null ? `rank ${initRank}` : requested.basis,
  };
  const sizeProblems = rankProblems(config, model, requested, unit);
  if (sizeProblems.length > 0) {
    return { ...target, diagnostics: { problems: sizeProblems, warnings: [] } };
  }
  const { problems, warnings } = diagnose(target, prunes);
  return {
    ...target,
    diagnostics: {
      problems,
      warnings: [...warnings, ...rankWarnings(config, model, requested, { initRank, unit })],
    },
  };
}

/** The initial rank that the paper pairs with an average target rank (App. C). */
export function defaultInitRank(average: number): number {
  return Math.ceil(average <= 2 ? 2 * average : 1.5 * average);
}

// --- internal ---

function diagnose(target: Omit<RankTarget, "because">, prunes: boolean): Diagnostics {
  const problems: AdaloraError[] = [];
  const { initRank, budget } = target;
  if (budget.target > budget.initial)
    problems.push(budgetErrors.targetAboveStart(initRank, budget));
  const warnings =
    prunes && budget.target === budget.initial
      ? ["the target is the initial rank: nothing will be pruned"]
      : [];
  return { problems, warnings };
}
