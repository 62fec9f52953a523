import { svdMethods, isOneOf, pruningMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { type AdaloraError, errors, invariant } from "../errors.ts";
import type { Diagnostics } from "./phases.ts";

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
  /** The setting that the target was derived from, in words. */
  readonly basis: string;
}

/**
 * Resolves `targetRank`, `targetTotalRank` or `budget` to ranks. Unless set, the initial rank
 * follows the paper: App. C pairs averages of 1, 2, 4 and 8 with 2, 4, 6 and 12 (its text says 1.5
 * times). A method that doesn't prune, such as LoRA, uses the target as its rank: a baseline of
 * equal size.
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
  const initRank =
    config.initRank ?? (prunes ? defaultInitRank(average) : Math.max(1, Math.round(average)));
  const targetTotalRank = prunes ? requested.total : initRank * count;
  const target = {
    initRank,
    targetRank: targetTotalRank / count,
    initTotalRank: initRank * count,
    targetTotalRank,
    initParameters: initRank * unit,
    targetParameters: Math.round((targetTotalRank / count) * unit),
    basis: !prunes && config.initRank !== null ? `rank ${initRank}` : requested.basis,
  };
  return { ...target, diagnostics: diagnose(target, prunes) };
}

/** The initial rank that the paper pairs with an average target rank (App. C). */
export function defaultInitRank(average: number): number {
  return Math.ceil(average <= 2 ? 2 * average : 1.5 * average);
}

// --- internal ---

/** Parameters of rank-1 adapters on all matrices: A + B, plus E if the method has it. */
function parametersOfRankOne({ method }: RunConfig, { matrices }: ModelSizes): number {
  const diagonal =
    isOneOf(method, [...svdMethods, ...pruningMethods]) && method !== "prune-lora" ? 1 : 0;
  return matrices.reduce((sum, m) => sum + m.inFeatures + m.outFeatures + diagonal, 0);
}

interface RequestedTotal {
  readonly total: number;
  readonly basis: string;
}

function requestedTotal(config: RunConfig, model: ModelSizes, unit: number): RequestedTotal {
  const count = model.matrices.length;
  const { targetRank, targetTotalRank, budget } = config;
  if (targetTotalRank !== null) {
    return { total: targetTotalRank, basis: `total rank ${targetTotalRank}` };
  }
  if (targetRank !== null) {
    return { total: Math.round(targetRank * count), basis: `target rank ${targetRank}` };
  }
  invariant(budget !== null, "a configuration without a target rank");
  const paperAverage = paperRank(budget, model);
  if (paperAverage !== undefined) {
    return {
      total: paperAverage * count,
      basis: `the paper's label for an average rank of ${paperAverage}`,
    };
  }
  const parameters = parametersOf(budget, model.parameters);
  return {
    total: Math.max(1, Math.round((parameters / unit) * count)),
    basis: `${unit} parameters per unit of average rank`,
  };
}

const factors: Readonly<Record<string, number>> = { k: 1e3, m: 1e6 };

/** Parses "0.32M", "320000", or "0.32%" of the pretrained model, into a parameter count. */
function parametersOf(budget: string, modelParameters: number): number {
  const number = Number.parseFloat(budget);
  const unit = budget.slice(-1).toLowerCase();
  return unit === "%" ? (number / 100) * modelParameters : number * (factors[unit] ?? 1);
}

/**
 * The paper's budgets are labels rather than exact sizes: "0.32M" and "0.16%" both mean an average
 * rank of 2 in DeBERTaV3-base, whose adapters then have 331,920 parameters (0.18%). Keyed by the
 * rank-1 size (A + B + E over all adapted matrices), so that labels apply to the paper's two models
 * only. Sources: Tables 1, 2 and 3, text of section 4.1.
 */
const paperRanks: Readonly<Record<number, Readonly<Record<number, readonly string[]>>>> = {
  165_960: {
    1: ["0.08%"],
    2: ["0.3M", "0.31M", "0.32M", "0.33M", "0.16%"],
    4: ["0.6M", "0.61M", "0.64M", "0.65M", "0.32%"],
    8: ["1.2M", "1.27M", "1.33M", "0.65%"],
  },
  540_864: { 1: ["0.13%"], 2: ["0.26%"], 8: ["1.1%"], 16: ["2.2%"] },
};

/**
 * The average rank that a budget label means in the paper; undefined for any other budget or model.
 */
function paperRank(budget: string, { matrices }: ModelSizes): number | undefined {
  const unit = matrices.reduce((sum, m) => sum + m.inFeatures + m.outFeatures + 1, 0);
  const same = (name: string) =>
    Number.parseFloat(name) === Number.parseFloat(budget) &&
    name.slice(-1) === budget.slice(-1).toUpperCase();
  const found = Object.entries(paperRanks[unit] ?? {}).find(([, names]) => names.some(same));
  return found && Number(found[0]);
}

function diagnose(target: Omit<RankTarget, "because">, prunes: boolean): Diagnostics {
  const problems: AdaloraError[] = [];
  if (target.targetTotalRank > target.initTotalRank) problems.push(errors.targetAboveStart(target));
  const warnings =
    prunes && target.targetTotalRank === target.initTotalRank
      ? ["the target is the initial rank: nothing will be pruned"]
      : [];
  return { problems, warnings };
}
