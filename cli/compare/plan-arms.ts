import { adapterMethods, isOneOf } from "../../core/config/method.ts";
import type { RunConfig } from "../../core/config/run-config.ts";
import { errors } from "../../core/errors.ts";
import type { Sources } from "../../core/model/model-files.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { withMethod } from "../with-method.ts";
import type { ArmSpec } from "./arm-specs.ts";
import { type Arm, armConfig, commonRanks, folderNames } from "./arms.ts";
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
  const ranks = commonRanks(base);
  const folders = folderNames(specs.map(({ name }) => name));
  const warnings = new Set(base.warnings);
  const arms: Arm[] = [];
  for (const [i, spec] of specs.entries()) {
    const prepared = await prepare(armConfig(base.config, spec, ranks));
    for (const warning of prepared.warnings) warnings.add(warning);
    arms.push(armOf(spec, folders[i]!, prepared, unitOf(prepared) * ranks.rank));
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

const matricesOf = ({ target }: PreparedRun) =>
  target ? Math.round(target.initTotalRank / target.initRank) : 0;

/** Parameters of rank 1 in every matrix. */
const unitOf = ({ target }: PreparedRun) => (target ? target.initParameters / target.initRank : 0);

function armOf(
  { name, kind, values }: ArmSpec,
  folder: string,
  { config, schedule, target }: PreparedRun,
  endParameters: number,
): Arm {
  return {
    name,
    folder,
    kind,
    config,
    hasOwnRate: values.lr !== undefined,
    startParameters: target?.initParameters ?? 0,
    endParameters,
    steps: schedule.steps,
  };
}
