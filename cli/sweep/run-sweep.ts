import { join } from "node:path";
import { removeTree } from "../../core/io/remove.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import { clearRun, isFinishedRun, runFiles } from "../../core/run/run-folder.ts";
import { stepsIn } from "../../core/train/checkpoint.ts";
import { readProgress } from "../../core/train/progress.ts";
import { bestFirst } from "../compare/best-first.ts";
import type { FailedRun } from "../compare/comparison.ts";
import { metricIn } from "../compare/read-runs.ts";
import { failedRuns, type Job, type JobContext, runJobs } from "../compare/run-jobs.ts";
import { readLog } from "../report-page/read-log.ts";
import type { Configuration, PlannedSweep, SweepSubject } from "./plan-sweep.ts";
import { rankedSweep, type RungResult, type Sweep, type SweptConfiguration } from "./sweep.ts";

/** How a sweep is run. */
export interface SweepRunOptions extends JobContext {
  readonly out: string;
  /** Processes at a time. */
  readonly parallel: number;
}

/** Every folder that a sweep may train into. */
export function sweepFolders(
  { configurations, rungs }: PlannedSweep,
  out: string,
): readonly string[] {
  const folders = configurations.flatMap((one) => rungs.map((_, i) => rungFolder(out, one, i)));
  return [...new Set(folders)];
}

/** Names of a sweep's own files. */
export const sweepFiles = {
  result: "sweep.json",
  costs: "costs.json",
  report: runFiles.report,
} as const;

/** Deletes an earlier sweep: its results first, which an interrupted new one would otherwise show. */
export function clearSweep(folders: readonly string[], out: string): void {
  for (const name of Object.values(sweepFiles)) removeTree(join(out, name));
  for (const folder of folders) clearRun(folder);
}

/**
 * Runs the rungs one after the other, each with the best configurations of the one before. Returns
 * undefined if a signal stopped the sweep.
 */
export async function runSweep(
  planned: PlannedSweep,
  options: SweepRunOptions,
): Promise<Sweep | undefined> {
  const { subject, rungs } = planned;
  const reached = new Map<Configuration, readonly RungResult[]>(
    planned.configurations.map((one) => [one, []]),
  );
  const failures: FailedRun[] = [];
  let left: readonly Configuration[] = planned.configurations;
  for (const [rung, { count }] of rungs.entries()) {
    const ran = await runRung(left.slice(0, count), rung, planned, options);
    if (!ran) return undefined;
    for (const { configuration, ...result } of ran.results) {
      reached.set(configuration, [...reached.get(configuration)!, result]);
    }
    failures.push(...ran.failures);
    left = bestFirst(ran.results, subject.isHigherBetter).map((one) => one.configuration);
  }
  const swept = planned.configurations.map((configuration): SweptConfiguration => ({
    configuration,
    rungs: reached.get(configuration)!,
  }));
  return rankedSweep(planned, swept, failures);
}

// --- internal ---

interface RanRung {
  readonly results: readonly (RungResult & { readonly configuration: Configuration })[];
  readonly failures: readonly FailedRun[];
}

async function runRung(
  configurations: readonly Configuration[],
  rung: number,
  { subject, rungs }: PlannedSweep,
  options: SweepRunOptions,
): Promise<RanRung | undefined> {
  if (rungs.length > 1) {
    const steps = [...new Set(configurations.map((one) => one.steps[rung]!))];
    const length = `${Math.min(...steps)}${steps.length > 1 ? `–${Math.max(...steps)}` : ""} steps`;
    options.report.info(
      `rung ${rung + 1} of ${rungs.length}: ${counted(configurations.length)}, ${length}`,
    );
  }
  const read = new Map<Configuration, RungResult>();
  const jobs = configurations.map((configuration) => {
    const job = jobOf(configuration, rung, rungs.length, options);
    const finish = async () => {
      read.set(configuration, rungResult(job.out, configuration.steps[rung]!, subject));
    };
    return { configuration, job: { ...job, finish } };
  });
  const started = jobs.map(({ job }) => job);
  const ran = await runJobs(started, options.parallel, options);
  if (ran.isStopped) return undefined;
  return {
    results: jobs.map(({ configuration, job }) => ({
      configuration,
      ...(read.get(configuration) ?? {
        ...failed,
        steps: configuration.steps[rung]!,
        out: job.out,
      }),
    })),
    failures: failedRuns(started, ran.failures),
  };
}

const counted = (count: number) => (count === 1 ? "1 configuration" : `${count} configurations`);

const failed = { value: null, seconds: null, memory: null };

/** A rung that starts from scratch has its own folder; rungs that continue share one. */
const rungFolder = (out: string, { folder, restartReason, steps }: Configuration, rung: number) =>
  join(out, folder, restartReason === undefined || steps.length === 1 ? "run" : `rung-${rung + 1}`);

function jobOf(
  configuration: Configuration,
  rung: number,
  rungs: number,
  { out }: SweepRunOptions,
): Job {
  const { choice, configs, steps, restartReason } = configuration;
  const folder = rungFolder(out, configuration, rung);
  const label = rungs > 1 ? `${choice.name}, rung ${rung + 1}` : choice.name;
  const job = { label, config: configs[rung]!, out: folder };
  const words = ["--report-every", "0"];
  const length = steps[rung]!;
  if (restartReason !== undefined || rung === rungs - 1) return { ...job, words };
  return {
    ...job,
    words: [...words, "--pause-after", String(length)],
    isDone: () =>
      evaluationAt(folder, length) !== undefined && stepsIn(checkpoints(folder)).length > 0,
  };
}

const checkpoints = (out: string) => join(out, runFiles.checkpoints);

/** The metrics after a step, as the log has them: of the first split. */
function evaluationAt(out: string, step: number) {
  const { evaluations } = readLog(join(out, runFiles.log));
  const found = evaluations.find((one) => one.step === step);
  return found && { [found.split]: found.metrics };
}

/** The result of a run at its end, or where it was paused. */
function rungResult(out: string, steps: number, { metric }: SweepSubject): RungResult {
  const isOver = isFinishedRun(out);
  const result = isOver ? readFinishedRun(out) : undefined;
  const metrics =
    result && result.steps <= steps ? result.metrics : (evaluationAt(out, steps) ?? {});
  return {
    steps,
    value: metricIn(metrics, metric, out),
    seconds: result?.seconds ?? pausedSeconds(out),
    memory: result ? (result.peakMemory.process ?? result.peakMemory.buffers) : null,
    out,
  };
}

/** Time of a paused run, from its newest checkpoint. */
function pausedSeconds(out: string): number | null {
  const [newest] = stepsIn(checkpoints(out));
  if (newest === undefined) return null;
  const { seconds } = readProgress(join(checkpoints(out), `step-${newest}`)).progress;
  return Math.round((seconds.start + seconds.training + seconds.evaluation) * 100) / 100;
}
