import { join } from "node:path";
import { meanOf } from "../../core/metrics/mean-and-deviation.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import type { Arm } from "./arms.ts";
import { bestFirst } from "./best-first.ts";
import type { FailedRun, TriedRate } from "./comparison.ts";
import type { PlannedComparison } from "./plan-arms.ts";
import { metricIn } from "./read-runs.ts";
import { failedRuns, type Job, type JobContext, runJobs } from "./run-jobs.ts";

/** What a comparison picks learning rates from. */
export interface TuningOptions {
  /** The comparison's folder. */
  readonly out: string;
  /** Learning rates to try; [] keeps the configuration's. */
  readonly rates: readonly number[];
  /** Seeds of the runs whose mean a rate is picked by. */
  readonly rateSeeds: readonly number[];
  /** Share of the training rows that rates are picked on. */
  readonly tuneFraction: number;
}

/** The rate of an arm, and those that were tried for it. */
interface PickedRate {
  readonly lr?: number;
  readonly tried: readonly TriedRate[];
}

/** The rates of all arms. */
export interface PickedRates {
  readonly picked: ReadonlyMap<Arm, PickedRate>;
  /** Arms of which every rate failed. */
  readonly failures: ReadonlyMap<Arm, PickedRate>;
  readonly failed: readonly FailedRun[];
}

/** A run that tries a rate. */
export interface TuningJob extends Job {
  readonly lr: number;
}

/** The folders of the runs that pick an arm's rate; none where it has a rate of its own. */
export function tuningFolders(arm: Arm, options: TuningOptions): readonly string[] {
  return tuningJobs(arm, options).map(({ out }) => out);
}

/** The runs that pick an arm's rate. `read` reads a finished one: what it throws is its failure. */
export function tuningJobs(
  arm: Arm,
  { out, rates, rateSeeds, tuneFraction }: TuningOptions,
  read: (folder: string) => void = () => {},
): readonly TuningJob[] {
  if (arm.hasOwnRate) return [];
  const [first] = rateSeeds;
  return rates.flatMap((lr) =>
    rateSeeds.map((seed) => {
      // The first seed's folder has no seed in its name, so that others can be added to it.
      const folder = join(
        out,
        arm.folder,
        "tune",
        `lr-${lr}${seed === first ? "" : `-seed-${seed}`}`,
      );
      // As many steps as the whole data take, so that the rate suits that schedule.
      const length = { epochs: null, maxSteps: arm.steps };
      const suffix = rateSeeds.length === 1 ? "" : `, seed ${seed}`;
      return {
        lr,
        label: `${arm.name}, learning rate ${lr}${suffix}`,
        config: { ...arm.config, ...length, seed, lr, tuneFraction },
        out: folder,
        finish: async () => read(folder),
      };
    }),
  );
}

/**
 * Picks each arm's rate by the mean of its runs on the rows held out; a rate of which a run failed
 * is not picked. Undefined if a signal stopped it.
 */
export async function pickRates(
  { arms, subject }: PlannedComparison,
  parallel: number,
  options: TuningOptions & JobContext,
): Promise<PickedRates | undefined> {
  const values = new Map<string, number>(); // by the run's folder
  const read = (folder: string) => {
    values.set(folder, metricIn(readFinishedRun(folder).metrics, subject.metric, folder));
  };
  const jobs = new Map(arms.map((arm) => [arm, tuningJobs(arm, options, read)]));
  const started = [...jobs.values()].flat();
  const ran = await runJobs(started, parallel, options);
  if (ran.isStopped) return undefined;
  const picked = new Map<Arm, PickedRate>();
  const failures = new Map<Arm, PickedRate>();
  for (const [arm, own] of jobs) {
    if (own.length === 0) {
      picked.set(arm, { lr: arm.config.lr, tried: [] });
      continue;
    }
    const tried = triedRates(own, values);
    const [best] = bestFirst(tried, subject.isHigherBetter);
    if (best) picked.set(arm, { lr: best.lr, tried });
    else failures.set(arm, { tried });
  }
  return { picked, failures, failed: failedRuns(started, ran.failures) };
}

// --- internal ---

function triedRates(
  jobs: readonly TuningJob[],
  values: ReadonlyMap<string, number>,
): readonly TriedRate[] {
  return [...Map.groupBy(jobs, ({ lr }) => lr)].map(([lr, runs]) => {
    const known = runs.flatMap(({ out }) => values.get(out) ?? []);
    const value = known.length === runs.length ? meanOf(known) : null;
    return { lr, value, ...(runs.length > 1 && value !== null ? { values: known } : {}) };
  });
}
