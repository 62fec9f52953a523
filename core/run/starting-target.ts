import { isOneOf, pruningMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { errors } from "../errors.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { backboneParameters } from "../model/model-files.ts";
import type { DeclaredModel } from "../model/open-model.ts";
import { isConverted } from "../model/starting-layers.ts";
import {
  budgetUnitOf,
  parametersOfRankOne,
  requestedParameters,
  requestedTotal,
} from "./budget.ts";
import type { Diagnostics } from "./phases.ts";
import { budgetProblems } from "./rank-limits.ts";
import { type AdaptedMatrix, type RankTarget, resolveTarget } from "./target.ts";

/** Ranks with the diagnostics of their settings. */
type CheckedTarget = RankTarget & { readonly diagnostics: Diagnostics };

/**
 * The ranks of a run that starts from an adapter. A LoRA that becomes an AdaLoRA has an initial rank
 * that holds each of its increments. Otherwise the adapter's ranks are the start, and a target above
 * them prunes nothing.
 */
export function startingTarget(
  config: RunConfig,
  adapter: PeftAdapter,
  { declared, linears }: { declared: DeclaredModel; linears: readonly AdaptedMatrix[] },
): CheckedTarget {
  const byPath = new Map(linears.map((linear) => [linear.path, linear]));
  const matrices = adapter.modules.flatMap(({ path }) => byPath.get(path) ?? []);
  const model = { parameters: backboneParameters(declared), matrices };
  const ranks = adapter.modules.map(({ A }) => A.shape[0] ?? 0);
  if (isConverted(adapter, config.method)) return convertedTarget(config, model, ranks);
  const isRevived = adapter.method === "adalora" && config.fromPruned === "revived";
  const initial = isRevived ? ranks.map(() => adapter.initRank) : ranks;
  const unit = parametersOfRankOne(config, model);
  const total = initial.reduce((sum, rank) => sum + rank, 0);
  const prunes = isOneOf(config.method, pruningMethods);
  const requested = requestedTotal(config, model, unit);
  const sizeUnit = budgetUnitOf(config, model);
  const requiredParameters = requestedParameters(requested, model, unit);
  const sizes = matrices.map(
    (matrix, i) => initial[i]! * parametersOfRankOne(config, { ...model, matrices: [matrix] }),
  );
  const initParameters = sizes.reduce((sum, size) => sum + size, 0);
  const isSize = sizeUnit === "parameters";
  const isPruned =
    prunes && (isSize ? requiredParameters < initParameters : requested.total < total);
  const targetTotalRank = isPruned ? Math.min(requested.total, total) : total;
  const byRanks = Math.round((targetTotalRank / matrices.length) * unit);
  const targetParameters = !isPruned ? initParameters : isSize ? requiredParameters : byRanks;
  const problems = isPruned ? budgetProblems(config, model, requested, unit) : [];
  const nothing = "the adapter's ranks are within the target: nothing will be pruned";
  return {
    initRank: adapter.method === "adalora" ? adapter.initRank : Math.max(...ranks),
    targetRank: targetTotalRank / matrices.length,
    initTotalRank: total,
    targetTotalRank,
    initParameters,
    targetParameters,
    budget: isSize
      ? { unit: sizeUnit, initial: initParameters, target: targetParameters }
      : { unit: sizeUnit, initial: total, target: targetTotalRank },
    basis: isPruned ? requested.basis : "the adapter's",
    diagnostics: { problems, warnings: prunes && !isPruned ? [nothing] : [] },
  };
}

// --- internal ---

function convertedTarget(
  config: RunConfig,
  model: { readonly parameters: number; readonly matrices: readonly AdaptedMatrix[] },
  ranks: readonly number[],
): CheckedTarget {
  const largest = Math.max(...ranks);
  const { initRank } = config;
  if (initRank !== null && initRank < largest) {
    const hint = `the LoRA has rank ${largest}, and each of its layers keeps its increment`;
    throw errors.unusable(`--init-rank ${initRank}`, "--from", hint);
  }
  const target = resolveTarget(config, model);
  if (target.initRank >= largest) return target;
  return resolveTarget({ ...config, initRank: largest }, model);
}
