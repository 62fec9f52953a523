import type { RunConfig } from "../../core/config/run-config.ts";
import type { Sources } from "../../core/model/model-files.ts";
import { resolveSchedule } from "../../core/run/phases.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { folderNames } from "../compare/arms.ts";
import type { Choice } from "./choices.ts";
import { type Rung, rungsOf, rungSteps, shortened, restartReason } from "./rungs.ts";

/** One configuration of a sweep, checked and ready to run. */
export interface Configuration {
  readonly choice: Choice;
  /** Its folder within the sweep's. */
  readonly folder: string;
  /** Optimizer steps after which each rung is evaluated. */
  readonly steps: readonly number[];
  /** The settings of each rung's run: the same ones where a rung continues the one before. */
  readonly configs: readonly RunConfig[];
  /** Why each rung starts from scratch; undefined where it continues the run of the one before. */
  readonly restartReason: string | undefined;
}

/** The metric and the data by which a sweep chooses. */
export interface SweepSubject {
  readonly task: string;
  readonly metric: string;
  readonly isHigherBetter: boolean;
  readonly seed: number;
  /** Share of the training rows that are held out to compute the metric. */
  readonly heldOut: number;
}

/** A sweep whose every configuration is checked: nothing in it will be refused later. */
export interface PlannedSweep {
  readonly subject: SweepSubject;
  readonly rungs: readonly Rung[];
  readonly configurations: readonly Configuration[];
  readonly warnings: readonly string[];
}

/** How a sweep chooses. */
export interface SweepOptions {
  readonly heldOut: number;
  /** The reduction of successive halving; null: every run is a whole one. */
  readonly reduction: number | null;
}

/** A choice, and the settings that it leads to. */
export interface RequestedChoice {
  readonly choice: Choice;
  readonly config: RunConfig;
}

/**
 * Prepares every configuration of a sweep, which also tokenizes its data into the cache. Runs take
 * as many steps as one on all training rows would, so that the choice suits a run of that length.
 * Throws what a run would throw.
 */
export async function planSweep(
  requested: readonly RequestedChoice[],
  { heldOut, reduction }: SweepOptions,
  sources: Sources,
): Promise<PlannedSweep> {
  const { prepareRun } = await import("../../core/run/prepare.ts");
  const prepare = (config: RunConfig) => prepareRun(config, sources);
  const whole = wholeSteps(prepare);
  const rungs =
    reduction === null
      ? [{ share: 1, count: requested.length }]
      : rungsOf(requested.length, reduction);
  const folders = folderNames(requested.map(({ choice }) => choice.name.slice(0, 100)));
  const warnings = new Set<string>();
  const configurations: Configuration[] = [];
  let first: PreparedRun | undefined;
  for (const [i, { choice, config }] of requested.entries()) {
    const length = { epochs: null, maxSteps: await whole(config) };
    const prepared = await prepare({ ...config, ...length, tuneFraction: heldOut });
    for (const warning of prepared.warnings) warnings.add(warning);
    configurations.push(configurationOf({ choice, folder: folders[i]! }, prepared, rungs));
    first ??= prepared;
  }
  const metric = first?.config.metric ?? first?.spec.defaultMetric ?? "loss";
  return {
    subject: {
      task: first?.config.task ?? "",
      metric,
      isHigherBetter: metric !== "loss",
      seed: first?.config.seed ?? 0,
      heldOut,
    },
    rungs,
    configurations,
    warnings: [...warnings],
  };
}

// --- internal ---

/** Counts the steps of runs on all training rows; reads the data once for each way to cut texts. */
function wholeSteps(prepare: (config: RunConfig) => Promise<PreparedRun>) {
  const rows = new Map<string, number>();
  return async (config: RunConfig): Promise<number> => {
    const { maxLength, docStride, trainLimit } = config;
    const key = JSON.stringify([maxLength, docStride, trainLimit]);
    const count = rows.get(key) ?? (await prepare(config)).schedule.trainRows;
    rows.set(key, count);
    return resolveSchedule(config, count).steps;
  };
}

/** Throws where the shortest run leaves no step to prune in. */
function configurationOf(
  named: Pick<Configuration, "choice" | "folder">,
  { config, schedule }: PreparedRun,
  rungs: readonly Rung[],
): Configuration {
  const steps = rungSteps(schedule.steps, rungs);
  const [first = schedule.steps] = steps;
  const reason = rungs.length > 1 ? restartReason(config, schedule, first) : undefined;
  const continues = rungs.length === 1 || reason === undefined;
  const configs = steps.map((length) => (continues ? config : shortened(config, schedule, length)));
  const [problem] = configs.flatMap(
    (one) => resolveSchedule(one, schedule.trainRows).diagnostics.problems,
  );
  if (problem) throw problem;
  return { ...named, steps, configs, restartReason: reason };
}
