import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import type { RankTarget } from "./target.ts";

/** The configuration that repeats the run, also from another folder. */
export function resolvedConfig(
  config: RunConfig,
  target: RankTarget | undefined,
  labels: readonly string[] | undefined,
): RunConfig {
  return {
    ...withAbsolutePaths(config),
    initRank: target?.initRank ?? null,
    budgetUnit: target ? resolvedUnit(config, target) : null,
    labels: labels ?? null,
  };
}

// --- internal ---

/**
 * The budget's unit: `parameters` is explicit; otherwise the configuration's, null without a
 * budget.
 */
function resolvedUnit({ budget, budgetUnit }: RunConfig, target: RankTarget) {
  if (target.budget.unit === "parameters") return target.budget.unit;
  return budget === null ? null : budgetUnit;
}

/** Makes names that are existing local paths absolute; hub names stay as they are. */
function withAbsolutePaths(config: RunConfig): RunConfig {
  const { model, tokenizer, data, evalData, from } = config;
  const absolute = <P extends string | null>(name: P) =>
    name !== null && existsSync(name) ? resolve(name) : name;
  return {
    ...config,
    model: absolute(model),
    tokenizer: absolute(tokenizer),
    data: absolute(data),
    evalData: absolute(evalData),
    from: absolute(from),
  };
}
