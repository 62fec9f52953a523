import type { BudgetSchedule, BudgetUnit } from "../adalora/budget.ts";
import { isOneOf, pruningMethods, svdMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { invariant } from "../errors.ts";

/** A model's size, and the sizes of the matrices that are adapted. */
export interface BudgetedModel {
  /** Parameter count of the pretrained model. */
  readonly parameters: number;
  readonly matrices: readonly { readonly inFeatures: number; readonly outFeatures: number }[];
}

/** Parameters of rank-1 adapters on all matrices: A + B, plus E if the method has it. */
export function parametersOfRankOne({ method }: RunConfig, { matrices }: BudgetedModel): number {
  const diagonal =
    isOneOf(method, [...svdMethods, ...pruningMethods]) && method !== "prune-lora" ? 1 : 0;
  return matrices.reduce((sum, m) => sum + m.inFeatures + m.outFeatures + diagonal, 0);
}

/** The sum of all final ranks that a configuration asks for. */
export interface RequestedTotal {
  /** The sum of all final ranks, at least 1. */
  readonly total: number;
  /** The same before it was rounded. */
  readonly exact: number;
  readonly basis: string;
}

/**
 * Resolves `targetTotalRank`, `targetRank` or `budget`, of which one is set. `unit`: parameters of
 * rank 1 in every matrix.
 */
export function requestedTotal(
  config: RunConfig,
  model: BudgetedModel,
  unit: number,
): RequestedTotal {
  const count = model.matrices.length;
  const { targetRank, targetTotalRank, budget } = config;
  if (targetTotalRank !== null) {
    const basis = `total rank ${targetTotalRank}`;
    return { total: targetTotalRank, exact: targetTotalRank, basis };
  }
  if (targetRank !== null) {
    return { ...rounded(targetRank * count), basis: `target rank ${targetRank}` };
  }
  invariant(budget !== null, "a configuration without a target rank");
  const isLiteral = config.budgetUnit === "parameters";
  const paperAverage = isLiteral ? undefined : paperRank(budget, model);
  if (paperAverage !== undefined) {
    return {
      ...rounded(paperAverage * count),
      basis: `the paper's label for an average rank of ${paperAverage}`,
    };
  }
  return {
    ...rounded((parametersOf(budget, model.parameters) / unit) * count),
    basis: `${unit} parameters per unit of average rank`,
  };
}

/**
 * What pruning counts. A budget of parameters is spent in parameters, but the paper's labels stand
 * for ranks.
 */
export function budgetUnitOf(config: RunConfig, model: BudgetedModel): BudgetUnit {
  if (!isOneOf(config.method, pruningMethods)) return "ranks";
  if (config.budgetUnit !== null) return config.budgetUnit;
  if (config.budget === null) return "ranks";
  return paperRank(config.budget, model) === undefined ? "parameters" : "ranks";
}

/** A budget before and after pruning, in its unit. */
export type PrunedBudget = Required<Pick<BudgetSchedule, "unit" | "initial" | "target">>;

/** Parameters that a target allows. `unit`: parameters of rank 1 in every matrix. */
export function requestedParameters(
  { exact }: RequestedTotal,
  { matrices }: BudgetedModel,
  unit: number,
): number {
  return Math.round((exact / matrices.length) * unit);
}

const rounded = (exact: number) => ({ exact, total: Math.max(1, Math.round(exact)) });

const factors: Readonly<Record<string, number>> = { k: 1e3, m: 1e6 };

/** Parses "0.32M", "320000", or "0.32%" of the pretrained model, into a parameter count. */
export function parametersOf(budget: string, modelParameters: number): number {
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
function paperRank(budget: string, { matrices }: BudgetedModel): number | undefined {
  const unit = matrices.reduce((sum, m) => sum + m.inFeatures + m.outFeatures + 1, 0);
  const same = (name: string) =>
    Number.parseFloat(name) === Number.parseFloat(budget) &&
    name.slice(-1) === budget.slice(-1).toUpperCase();
  const found = Object.entries(paperRanks[unit] ?? {}).find(([, names]) => names.some(same));
  return found && Number(found[0]);
}
