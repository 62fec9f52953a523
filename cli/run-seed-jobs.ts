import { readFinishedRun } from "../core/run/finished-run.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import { clearRun, seedFolder } from "../core/run/run-folder.ts";
import { cliErrors } from "./cli-errors.ts";
import { type Job, runJobs, threadsFor } from "./compare/run-jobs.ts";
import type { OutOptions } from "./out-folder.ts";
import type { ExitCode, Report } from "./report.ts";
import type { PlacedRun } from "./run-config.ts";
import { reportSeeds } from "./run-seeds.ts";
import { listenForStop } from "./signals.ts";

/**
 * As runSeeds, but `parallel` seeds at a time, in processes that share the threads. `prepared`: the
 * checked run of any seed. A failed seed is reported and left out, the others finish, and the exit
 * code is 1. `again`: the command that resumes an interrupted one.
 */
export async function runSeedJobs(
  config: PlacedRun,
  { prepared, seeds, parallel, words }: SeedJobs,
  { overwrite }: OutOptions,
  { again, report }: { readonly again: string; readonly report: Report },
): Promise<ExitCode> {
  const jobs = seeds.map((seed) => ({
    label: `seed ${seed}`,
    config: { ...prepared.config, seed },
    out: seedFolder(config.out, seed),
    words,
    seed,
  })) satisfies Job[];
  if (overwrite) for (const { out } of jobs) clearRun(out);
  using stop = listenForStop(report);
  const threads = threadsFor(config.threads, Math.min(parallel, seeds.length));
  const { isStopped, failures } = await runJobs(jobs, parallel, { report, stop, threads });
  if (isStopped) {
    report.error(cliErrors.interruptedRuns(again));
    return stop.exitCode ?? 130;
  }
  const finished = jobs.filter((job) => !failures.has(job));
  const results = finished.map(({ out }) => readFinishedRun(out));
  const done = finished.map(({ seed }) => seed);
  reportSeeds(config, done, results, report);
  return failures.size > 0 ? 1 : 0;
}

/** The seeds of a run, and how many are trained at a time. */
interface SeedJobs {
  readonly prepared: PreparedRun;
  readonly seeds: readonly number[];
  /** Processes at a time. */
  readonly parallel: number;
  /** Flags of `run` besides the settings. */
  readonly words: readonly string[];
}
