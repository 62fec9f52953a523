import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { configToJson, type RunConfig } from "../../core/config/run-config.ts";
import { AdaloraError } from "../../core/errors.ts";
import { writeJson } from "../../core/run/run-files.ts";
import { whileLocked } from "../run-lock.ts";
import { storedRun } from "../run-config.ts";
import { PARENT, type StopRequest } from "../signals.ts";
import type { Report } from "../report.ts";
import type { FailedRun } from "./comparison.ts";
import { isStopCode, startProgram } from "./start-program.ts";

/** A run in a process of its own. */
export interface Job {
  /** What it is called in messages: "adalora, seed 1". */
  readonly label: string;
  /** All settings of the run, with absolute paths. */
  readonly config: RunConfig;
  readonly out: string;
  /** Flags of `run` besides the settings. */
  readonly words?: readonly string[];
  /**
   * Whether a run that is to be paused has got that far; finished runs are recognized without it.
   */
  readonly isDone?: () => boolean;
  /** Runs once the run is finished; a failure of it counts as the run's. */
  readonly finish?: (context: JobContext) => Promise<void>;
}

/** What jobs need of the command that runs them. */
export interface JobContext {
  readonly report: Report;
  readonly stop: StopRequest;
  /** CPU threads of each process. */
  readonly threads: number;
}

/** How some jobs ended. */
export interface JobOutcomes {
  /** Whether a signal stopped them: those not in `failures` may be unfinished. */
  readonly isStopped: boolean;
  /** What went wrong, by job. */
  readonly failures: ReadonlyMap<Job, string>;
}

/** Threads of each of `parallel` processes that share the machine, or `threads` of it. */
export function threadsFor(threads: number | null, parallel: number): number {
  return Math.max(1, Math.floor((threads ?? availableParallelism()) / parallel));
}

/**
 * Runs jobs, `parallel` at a time, each in a process of its own, so that times and memory are its
 * own and a crash ends no other. A finished run is not repeated, an interrupted one continues from
 * its checkpoint. A failed job is reported and does not stop the others; after a signal each
 * running job saves a checkpoint.
 */
export async function runJobs(
  jobs: readonly Job[],
  parallel: number,
  context: JobContext,
): Promise<JobOutcomes> {
  const failures = new Map<Job, string>();
  const { report, stop } = context;
  let next = 0;
  const work = async () => {
    while (next < jobs.length && !stop.isRequested) {
      const job = jobs[next++]!;
      report.info(`run ${next} of ${jobs.length}: ${job.label}`);
      try {
        await runJob(job, context);
        if (!stop.isRequested) await job.finish?.(context);
      } catch (error) {
        if (stop.isRequested) return;
        if (!(error instanceof AdaloraError)) throw error;
        failures.set(job, error.message);
        report.warn(`${job.label} failed: ${error.message}`, error.hint ? [error.hint] : []);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, jobs.length) }, work));
  return { isStopped: stop.isRequested, failures };
}

/** The jobs that failed, in the jobs' order, whichever ended first. */
export function failedRuns(
  jobs: readonly Job[],
  failures: JobOutcomes["failures"],
): readonly FailedRun[] {
  return jobs.flatMap((job) => {
    const error = failures.get(job);
    return error === undefined ? [] : [{ run: job.label, error }];
  });
}

// --- internal ---

/** Longest wait for a run whose command was killed: it saves a checkpoint first. */
const RELEASE_SECONDS = 120;

async function runJob(job: Job, context: JobContext): Promise<void> {
  const { config, out, label } = job;
  const { report, stop, threads } = context;
  await whenReleased(out, stop);
  if (stop.isRequested || (await storedRun(out, config)) || job.isDone?.() === true) return;
  const settings = join(dirname(out), `${basename(out)}.json`);
  if (!existsSync(dirname(out))) await mkdir(dirname(out), { recursive: true });
  writeJson(settings, configToJson(config));
  const words = ["run", settings, ...(job.words ?? []), "--out", out, "--resume", "--json"];
  const ended = await startProgram([...words, "--threads", String(threads)], stop, {
    env: { [PARENT]: String(process.pid) },
    onLine: (line) => report.live(`${label}: ${line}`),
  });
  if (ended.code === 0 || (stop.isRequested && isStopCode(ended.code))) return;
  throw ended.error;
}

/** Waits until no other process has a run's folder: one that was orphaned is about to stop. */
async function whenReleased(out: string, stop: StopRequest): Promise<void> {
  for (let waited = 0; waited < 10 * RELEASE_SECONDS && !stop.isRequested; waited++) {
    try {
      await whileLocked(out, async () => {});
      return;
    } catch (error) {
      if (!(error instanceof AdaloraError && / is in use by /.test(error.message))) throw error;
      await Bun.sleep(100);
    }
  }
}
