import { adapterMethods, isOneOf, svdMethods } from "../../core/config/method.ts";
import type { RunConfig } from "../../core/config/run-config.ts";
import { errors } from "../../core/errors.ts";
import type { Sources } from "../../core/model/model-files.ts";
import { selectLinears } from "../../core/model/select-linears.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { largestRank, targetOption } from "../../core/run/rank-limits.ts";
import { withMethod } from "../with-method.ts";
import type { ArmSpec } from "./arm-specs.ts";
import { type Arm, armConfig, type CommonRanks, commonRanks, folderNames } from "./arms.ts";
import type { ComparisonSubject } from "./comparison.ts";

/** A comparison whose every arm is checked: nothing in it will be refused later. */
export interface PlannedComparison {
  readonly subject: ComparisonSubject;
  readonly arms: readonly Arm[];
  readonly warnings: readonly string[];
}

/**
 * Resolves the ranks that the arms have in common and prepares each of them. Throws what a run
 * would throw, and E_CONFIG without evaluation data.
 */
export async function planArms(
  config: RunConfig,
  specs: readonly ArmSpec[],
  seeds: readonly number[],
  sources: Sources,
): Promise<PlannedComparison> {
  const { prepareRun } = await import("../../core/run/prepare.ts");
  const prepare = (one: RunConfig) => prepareRun({ ...one, seed: seeds[0]! }, sources);
  const isAdapted = isOneOf(config.method, adapterMethods);
  // The same rows are evaluated for every seed, so that no seed's rate is picked on another's.
  const evalSeed = config.evalFraction === null ? null : (config.evalSeed ?? seeds[0]!);
  const base = await prepare({
    ...(isAdapted ? config : withMethod(config, "adalora")),
    evalSeed,
  });
  if (!base.validation.some(({ isLabelled }) => isLabelled)) {
    throw errors.missing("evaluation data", "give --eval-data FILE or --eval-fraction 0.1");
  }
  const ranks = ranksFor(config, base);
  const folders = folderNames(specs.map(({ name }) => name));
  const warnings = new Set([...base.warnings, ...roundedTarget(base, ranks)]);
  const arms: Arm[] = [];
  for (const [i, spec] of specs.entries()) {
    const prepared = await prepare(armConfig(base.config, spec, ranks));
    for (const warning of prepared.warnings) warnings.add(warning);
    arms.push(armOf(spec, folders[i]!, { prepared, base, rank: ranks.rank }));
  }
  const metric = base.config.metric ?? base.spec.defaultMetric;
  return {
    subject: {
      task: base.config.task,
      metric,
      isHigherBetter: metric !== "loss",
      seeds,
      rank: ranks.rank,
      matrices: matricesOf(base),
    },
    arms,
    warnings: [...warnings],
  };
}

// --- internal ---

/** The arms' ranks. `config`: as requested; `base`: prepared, with a target. */
function ranksFor(config: RunConfig, { target, declared }: PreparedRun): CommonRanks {
  const matrices = selectLinears(declared.tree, declared.plugin, config.modules ?? undefined);
  const largest = largestRank({ parameters: 0, matrices });
  return commonRanks(config, target?.targetRank ?? 1, largest);
}

/** A warning where the common rank has another size than the target that was requested. */
function roundedTarget(base: PreparedRun, { rank }: CommonRanks): readonly string[] {
  const { config, target } = base;
  if (!target) return [];
  const isSize = target.budget.unit === "parameters";
  const average = isSize ? target.targetParameters / unitOf(base) : target.targetRank;
  if (Math.abs(rank - average) <= 0.01 * average) return [];
  const shown = average.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const size = (rank * unitOf(base)).toLocaleString("en-US");
  return [
    `${targetOption(config)} is an average rank of ${shown}: the arms are compared at rank ${rank}, ${size} parameters`,
  ];
}

const matricesOf = ({ target }: PreparedRun) =>
  target ? Math.round(target.initTotalRank / target.initRank) : 0;

/** Parameters of rank 1 in every matrix. */
const unitOf = ({ target }: PreparedRun) => (target ? target.initParameters / target.initRank : 0);

function armOf(
  { name, kind, values }: ArmSpec,
  folder: string,
  arm: { readonly prepared: PreparedRun; readonly base: PreparedRun; readonly rank: number },
): Arm {
  const { config, schedule, target } = arm.prepared;
  const cutTo = unitOf(arm.prepared) * arm.rank;
  const endParameters = kind.isCut ? cutTo : (target?.targetParameters ?? 0);
  return {
    name,
    folder,
    kind,
    config,
    hasOwnRate: values.lr !== undefined,
    startParameters: target?.initParameters ?? 0,
    endParameters,
    hasOtherSize: !isCommonSize(endParameters, arm.base, arm.rank),
    scale: config.alpha / (target?.initRank ?? 1),
    steps: schedule.steps,
  };
}

/** Whether a size is that of the common rank in every matrix, with or without E. */
function isCommonSize(size: number, base: PreparedRun, rank: number): boolean {
  const diagonals = rank * matricesOf(base);
  const hasE = isOneOf(base.config.method, svdMethods);
  const withoutE = rank * unitOf(base) - (hasE ? diagonals : 0);
  return size >= withoutE && size <= withoutE + diagonals;
}
