import { join } from "node:path";
import { removeTree } from "../../core/io/remove.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import { clearRun, runFiles, seedFolder } from "../../core/run/run-folder.ts";
import type { Arm } from "./arms.ts";
import { bestFirst } from "./best-first.ts";
import type { ArmResult, ArmRun, FailedRun, TriedRate } from "./comparison.ts";
import { CUT_ADAPTER } from "./cut-adapter.ts";
import { cutRun } from "./cut-run.ts";
import { checkPickedRate, checkStoredRuns, type PlannedJob } from "./stored-runs.ts";
import type { PlannedComparison } from "./plan-arms.ts";
import { CUT_METRICS, metricIn, readArmRun } from "./read-runs.ts";
import { failedRuns, type Job, type JobContext, runJobs } from "./run-jobs.ts";

/** How a comparison is run. */
export interface ComparisonOptions extends JobContext {
  readonly out: string;
  /** Processes at a time. */
  readonly parallel: number;
  /** Learning rates to try; [] keeps the configuration's. */
  readonly rates: readonly number[];
  /** Share of the training rows that rates are picked on. */
  readonly tuneFraction: number;
}

/** What the arms reached; undefined if a signal stopped the comparison. */
export interface RunComparison {
  readonly arms: readonly ArmResult[];
  readonly failures: readonly FailedRun[];
}

/** Every folder that a comparison trains into. */
export function runFolders(
  { arms, subject }: PlannedComparison,
  { out, rates }: Pick<ComparisonOptions, "out" | "rates">,
): readonly string[] {
  return arms.flatMap((arm) => [
    ...(arm.hasOwnRate ? [] : rates.map((lr) => tuneFolder(out, arm, lr))),
    ...subject.seeds.map((seed) => seedFolder(join(out, arm.folder), seed)),
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
 * Picks each arm's learning rate on rows held out of training, in runs of the first seed, then
 * trains every arm once per seed on all training rows. Throws E_RESUME where a folder holds a run
 * with other settings, before anything is replaced.
 */
export async function runComparison(
  planned: PlannedComparison,
  options: ComparisonOptions,
): Promise<RunComparison | undefined> {
  const { subject } = planned;
  await checkStoredRuns(plannedJobs(planned, options));
  const tuning = await pickRates(planned, options);
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
    const rates = arm.hasOwnRate ? [] : options.rates;
    const isRatePending = rates.length > 0;
    return [
      ...rates.map((lr) => ({ ...tuneJob(arm, lr, options, () => {}), isRatePending: false })),
      ...subject.seeds.map((seed) => {
        return { ...seedJob(arm, seed, arm.config.lr, options, () => {}), isRatePending };
      }),
    ];
  });
}

/** The rate of an arm, and those that were tried for it. */
interface PickedRate {
  readonly lr?: number;
  readonly tried: readonly TriedRate[];
}

interface Tuning {
  readonly picked: ReadonlyMap<Arm, PickedRate>;
  /** Arms of which every rate failed. */
  readonly failures: ReadonlyMap<Arm, PickedRate>;
  readonly failed: readonly FailedRun[];
}

async function pickRates(
  { arms, subject }: PlannedComparison,
  options: ComparisonOptions,
): Promise<Tuning | undefined> {
  const tuned = arms.filter(({ hasOwnRate }) => !hasOwnRate && options.rates.length > 0);
  const values = new Map<string, number>(); // by the run's folder
  const read = (out: string) => {
    values.set(out, metricIn(readFinishedRun(out).metrics, subject.metric, out));
  };
  const jobs = tuned.flatMap((arm) =>
    options.rates.map((lr) => ({ arm, lr, job: tuneJob(arm, lr, options, read) })),
  );
  const started = jobs.map(({ job }) => job);
  const ran = await runJobs(started, options.parallel, options);
  if (ran.isStopped) return undefined;
  const picked = new Map<Arm, PickedRate>();
  const failures = new Map<Arm, PickedRate>();
  for (const arm of arms) {
    if (!tuned.includes(arm)) picked.set(arm, { lr: arm.config.lr, tried: [] });
  }
  for (const arm of tuned) {
    const tried = jobs
      .filter((one) => one.arm === arm)
      .map(({ lr, job }) => ({ lr, value: values.get(job.out) ?? null }));
    const [best] = bestFirst(tried, subject.isHigherBetter);
    if (best) picked.set(arm, { lr: best.lr, tried });
    else failures.set(arm, { tried });
  }
  return { picked, failures, failed: failedRuns(started, ran.failures) };
}

const tuneFolder = (out: string, { folder }: Arm, lr: number) =>
  join(out, folder, "tune", `lr-${lr}`);

/** `read` reads the finished run from its folder: what it throws is the run's failure. */
function tuneJob(
  arm: Arm,
  lr: number,
  { out, tuneFraction }: ComparisonOptions,
  read: (out: string) => void,
): Job {
  const folder = tuneFolder(out, arm, lr);
  // As many steps as the whole data take, so that the rate suits that schedule.
  const length = { epochs: null, maxSteps: arm.steps };
  return {
    label: `${arm.name}, learning rate ${lr}`,
    config: { ...arm.config, ...length, lr, tuneFraction },
    out: folder,
    finish: async () => read(folder),
  };
}

/** `read`: as in `tuneJob`. */
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
