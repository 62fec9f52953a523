import { isOneOf, pruningMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import type { AdaloraError } from "../errors.ts";
import { budgetErrors } from "./budget-errors.ts";
import {
  type BudgetedModel,
  budgetUnitOf,
  parametersOf,
  parametersOfRankOne,
  requestedParameters,
  type RequestedTotal,
} from "./budget.ts";

/** The largest rank that any of the matrices can have: the shorter side of a matrix. */
export function largestRank({ matrices }: BudgetedModel): number {
  return matrices.reduce((most, matrix) => Math.max(most, rankOf(matrix)), 0);
}

/**
 * Ranks that no matrix can have, and targets of less than one triplet in all. `unit`: parameters of
 * rank 1 in every matrix.
 */
export function rankProblems(
  config: RunConfig,
  model: BudgetedModel,
  requested: RequestedTotal,
  unit: number,
): readonly AdaloraError[] {
  const { initRank } = config;
  const [count, largest] = [model.matrices.length, largestRank(model)];
  const problems: AdaloraError[] = [];
  if (initRank !== null && initRank > largest) {
    problems.push(
      budgetErrors.rankAboveMatrices(`--init-rank ${initRank}`, initRank, count, largest),
    );
  }
  // LoRA's own rank replaces the target.
  if (initRank !== null && !isOneOf(config.method, pruningMethods)) return problems;
  const option = targetOption(config);
  const hint = budgetHint(config, model, unit);
  const average = requested.exact / count;
  if (Math.round(requested.exact) < 1) {
    problems.push(budgetErrors.targetBelowRankOne(option, count, hint));
  } else if (average > largest) {
    problems.push(budgetErrors.rankAboveMatrices(option, average, count, largest, hint));
  } else {
    problems.push(...budgetProblems(config, model, requested, unit));
  }
  return problems;
}

/** A budget of parameters in which no triplet of the largest matrices fits. */
export function budgetProblems(
  config: RunConfig,
  model: BudgetedModel,
  requested: RequestedTotal,
  unit: number,
): readonly AdaloraError[] {
  if (budgetUnitOf(config, model) !== "parameters") return [];
  const costs = model.matrices.map((one) =>
    parametersOfRankOne(config, { ...model, matrices: [one] }),
  );
  const largest = Math.max(...costs);
  if (requestedParameters(requested, model, unit) >= largest) return [];
  return [
    budgetErrors.budgetBelowTriplet(targetOption(config), largest, budgetHint(config, model, unit)),
  ];
}

/** Suspicious ranks: above the shorter side of some matrices, or below one for each. */
export function rankWarnings(
  config: RunConfig,
  model: BudgetedModel,
  { exact, total }: RequestedTotal,
  { initRank, unit }: { readonly initRank: number; readonly unit: number },
): readonly string[] {
  const { matrices } = model;
  const count = matrices.length;
  const small = matrices.filter((matrix) => rankOf(matrix) < initRank);
  const warnings: string[] = [];
  if (small.length > 0) {
    const least = Math.min(...small.map(rankOf));
    warnings.push(
      `the initial rank, ${initRank}, is above what ${small.length} of the ${count} matrices can have (${least} at least): their other triplets are redundant`,
    );
  }
  const prunes = isOneOf(config.method, pruningMethods);
  const other = otherUnit(config, model, unit);
  const question = other === undefined ? "" : ` (did you mean ${other}?)`;
  if (prunes && total < count) {
    warnings.push(
      `${targetOption(config)} is ${total} triplet${total === 1 ? "" : "s"} in ${count} matrices: less than rank 1 in each${question}`,
    );
  }
  if (!prunes && config.initRank === null && Math.round(exact) < count) {
    warnings.push(
      `${targetOption(config)} is less than rank 1 in each of ${count} matrices, which has ${unit.toLocaleString("en")} parameters${question}`,
    );
  }
  const isRounded = !prunes && config.initRank === null && Math.round(exact) >= count;
  if (isRounded && Math.abs(initRank * count - exact) > 0.01 * exact) {
    const average = (exact / count).toLocaleString("en", { maximumFractionDigits: 2 });
    warnings.push(
      `${targetOption(config)} is an average rank of ${average}: rank ${initRank} has ${(initRank * unit).toLocaleString("en")} parameters`,
    );
  }
  return warnings;
}

/** The option that sets the target, with its value, as a flag. */
export function targetOption({ targetTotalRank, targetRank, budget }: RunConfig): string {
  if (targetTotalRank !== null) return `--target-total-rank ${targetTotalRank}`;
  return targetRank === null ? `--budget ${budget}` : `--target-rank ${targetRank}`;
}

// --- internal ---

const rankOf = ({ inFeatures, outFeatures }: BudgetedModel["matrices"][number]) =>
  Math.min(inFeatures, outFeatures);

/**
 * The sizes that the matrices can have, after a suggestion if the number fits with another unit.
 */
function budgetHint(config: RunConfig, model: BudgetedModel, unit: number): string {
  const largest = largestRank(model);
  const shown = (parameters: number) => parameters.toLocaleString("en");
  const sizes = `rank 1 in each matrix has ${shown(unit)} parameters, rank ${largest}, the largest, ${shown(largest * unit)}`;
  const other = otherUnit(config, model, unit);
  return other === undefined ? sizes : `did you mean ${other}? ${sizes}`;
}

/** The budget's number with another unit: one that fits the matrices, or M for a bare fraction. */
function otherUnit({ budget }: RunConfig, model: BudgetedModel, unit: number): string | undefined {
  if (budget === null) return undefined;
  const number = budget.replace(/[kKmM%]$/, "");
  const fits = (candidate: string) => {
    const parameters = parametersOf(candidate, model.parameters);
    return parameters >= unit && parameters <= largestRank(model) * unit;
  };
  const candidates = ["M", "k", "%"].map((suffix) => number + suffix);
  const fitting = candidates.find((candidate) => candidate !== budget && fits(candidate));
  // A bare fraction is no count of parameters.
  const isFraction = number === budget && !Number.isInteger(Number(number));
  return fitting ?? (isFraction ? `${number}M` : undefined);
}
