import { join } from "node:path";
import { removeTree } from "../../core/io/remove.ts";
import { clearRun, runFiles, seedFolder } from "../../core/run/run-folder.ts";
import type { Arm } from "./arms.ts";
import type { ArmResult, ArmRun, FailedRun } from "./comparison.ts";
import { CUT_ADAPTER } from "./cut-adapter.ts";
import { cutRun } from "./cut-run.ts";
import { checkPickedRate, checkStoredRuns, type PlannedJob } from "./stored-runs.ts";
import type { PlannedComparison } from "./plan-arms.ts";
import { pickRates, type TuningOptions, tuningFolders, tuningJobs } from "./pick-rates.ts";
import { CUT_METRICS, readArmRun } from "./read-runs.ts";
import { failedRuns, type Job, type JobContext, runJobs } from "./run-jobs.ts";

/** How a comparison is run. */
export interface ComparisonOptions extends JobContext, TuningOptions {
  /** Processes at a time. */
  readonly parallel: number;
}

/** What the arms reached; undefined if a signal stopped the comparison. */
export interface RunComparison {
  readonly arms: readonly ArmResult[];
  readonly failures: readonly FailedRun[];
}

/** Every folder that a comparison trains into. */
export function runFolders(
  { arms, subject }: PlannedComparison,
  tuning: TuningOptions,
): readonly string[] {
  return arms.flatMap((arm) => [
    ...tuningFolders(arm, tuning),
    ...subject.seeds.map((seed) => seedFolder(join(tuning.out, arm.folder), seed)),
  ]);
}

/** Names of a comparison's own files. */
export const comparisonFiles = {
  result: "compare.json",
  costs: "costs.json",
  report: runFiles.report,
} as const;

/** Deletes an earlier comparison: its results first, which an interrupted new one would show. */
export function clearComparison(folders: readonly string[], out: string): void {
  for (const name of Object.values(comparisonFiles)) removeTree(join(out, name));
  for (const folder of folders) {
    clearRun(folder);
    for (const name of [CUT_ADAPTER, CUT_METRICS]) removeTree(join(folder, name));
  }
}

/**
 * Picks each arm's learning rate on rows held out of training, in runs of the first seeds, then
 * trains every arm once per seed on all training rows. Throws E_RESUME where a folder holds a run
 * with other settings, before anything is replaced.
 */
export async function runComparison(
  planned: PlannedComparison,
  options: ComparisonOptions,
): Promise<RunComparison | undefined> {
  const { subject } = planned;
  await checkStoredRuns(plannedJobs(planned, options));
  const tuning = await pickRates(planned, options.parallel, options);
  if (!tuning) return undefined;
  const { picked, failures: untuned } = tuning;
  // Seed by seed, so that every arm has finished the same seeds in a comparison that is
  // interrupted.
  const finished: { readonly arm: Arm; readonly run: ArmRun }[] = [];
  const jobs = subject.seeds.flatMap((seed) =>
    planned.arms.flatMap((arm) => {
      const rate = picked.get(arm)?.lr;
      if (rate === undefined) return [];
      return [
        seedJob(arm, seed, rate, options, (out) => {
          finished.push({ arm, run: readArmRun(out, seed, subject.metric, arm.kind.isCut) });
        }),
      ];
    }),
  );
  for (const job of jobs) await checkPickedRate(job);
  const ran = await runJobs(jobs, options.parallel, options);
  if (ran.isStopped) return undefined;
  const arms = planned.arms.map((arm): ArmResult => {
    const { lr = null, tried = [] } = picked.get(arm) ?? untuned.get(arm) ?? {};
    const runs = finished.filter((one) => one.arm === arm).map(({ run }) => run);
    return {
      name: arm.name,
      about: arm.kind.about,
      lr,
      tried,
      startParameters: arm.startParameters,
      scale: arm.scale,
      isCut: arm.kind.isCut,
      hasOtherSize: arm.hasOtherSize,
      runs: subject.seeds.flatMap((seed) => runs.filter((run) => run.seed === seed)),
    };
  });
  return { arms, failures: [...tuning.failed, ...failedRuns(jobs, ran.failures)] };
}

// --- internal ---

/** Every run of a comparison, before its rates are picked. */
function plannedJobs(
  { arms, subject }: PlannedComparison,
  options: ComparisonOptions,
): readonly PlannedJob[] {
  return arms.flatMap((arm) => {
    const tuning = tuningJobs(arm, options);
    const isRatePending = tuning.length > 0;
    return [
      ...tuning.map((job) => ({ ...job, isRatePending: false })),
      ...subject.seeds.map((seed) => {
        return { ...seedJob(arm, seed, arm.config.lr, options, () => {}), isRatePending };
      }),
    ];
  });
}

/** `read` reads the finished run from its folder: what it throws is the run's failure. */
function seedJob(
  arm: Arm,
  seed: number,
  lr: number,
  { out }: ComparisonOptions,
  read: (out: string) => void,
): Job {
  const folder = seedFolder(join(out, arm.folder), seed);
  const config = { ...arm.config, seed, lr };
  return {
    label: `${arm.name}, seed ${seed}`,
    config,
    out: folder,
    async finish(context) {
      if (arm.kind.isCut) await cutRun(folder, config, arm.endParameters, context);
      if (!context.stop.isRequested) read(folder);
    },
  };
}
