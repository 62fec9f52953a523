import { join } from "node:path";
import type { SplitClasses, SplitIntervals } from "../tasks/task.ts";
import type { TrainingOutcome } from "../train/setup.ts";
import type { TotalRank } from "./early-stopping.ts";
import { type RunToSave, writeJson, writePredictions, writeTrained } from "./run-files.ts";
import { runFiles } from "./run-folder.ts";

/** Outcome of a run: progress, metrics and ranks. */
export interface RunResult extends TrainingOutcome {
  /** Metrics of each validation split after the last step. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** 95 % confidence intervals of these metrics, for tasks that have them. */
  readonly intervals?: SplitIntervals | undefined;
  /** The metric that selects the best evaluation. */
  readonly metric: string;
  /** For classification: the scores of each class after the last step, by split. */
  readonly classes?: SplitClasses | undefined;
  /** Share of the most frequent class of the first validation split. */
  readonly majority: number | undefined;
  /** Metrics of a constant prediction for the first validation split. */
  readonly baseline: Readonly<Record<string, number>> | undefined;
  /** Final rank of each adapted matrix, keyed as in `rank_pattern.json`. */
  readonly ranks: Readonly<Record<string, number>>;
  /** Sums of ranks; undefined for methods that don't prune. */
  readonly totalRank: TotalRank | undefined;
  /** Wall-clock time, loading and the time before interruptions included. */
  readonly seconds: number;
  /** What the bits of a result depend on; of the last leg of an interrupted run. */
  readonly environment: Environment;
  readonly peakMemory: PeakMemory;
}

/** Versions and machine: device, dtypes, threads, kernels, CPU and more, by name. */
export type Environment = Readonly<Record<string, string | number | null>>;

/** Peak memory in bytes. */
export interface PeakMemory {
  /** Of the process, excluding its code; undefined where the system does not tell. */
  readonly process: number | undefined;
  /** The backend's buffers. */
  readonly buffers: number;
}

/** Writes a completed run's weights, ranks, predictions and metrics. */
export function writeResults(saved: RunToSave, result: RunResult): void {
  const { out, run, trainer } = saved;
  const { steps: step, metrics } = result;
  writeTrained(saved, "last", { step, metrics });
  if (trainer.adapters.length > 0) writeJson(join(out, runFiles.ranks), result.ranks);
  for (const { split, predictions } of result.final) {
    writePredictions(out, predictions, result.final.length > 1 ? split : undefined);
  }
  // Written last: its presence marks the run as complete.
  writeJson(join(out, runFiles.metrics), { task: run.config.task, ...resultJson(result) });
}

/** A run's result as JSON: the content of metrics.json. */
export function resultJson(result: RunResult): object {
  const { time } = result;
  return {
    steps: result.steps,
    stopped_by: result.stoppedBy,
    metrics: result.metrics,
    ...(result.intervals && { intervals: result.intervals }),
    best: bestJson(result),
    ...(result.classes && { classes: classesJson(result.classes) }),
    majority_baseline: result.majority ?? null,
    baseline: result.baseline ?? null,
    ...(result.totalRank && { total_rank: result.totalRank }),
    seconds: rounded(result.seconds),
    time: {
      start: rounded(time.start),
      training: rounded(time.training),
      evaluation: rounded(time.evaluation),
    },
    peak_memory: {
      process: result.peakMemory.process ?? null,
      buffers: result.peakMemory.buffers,
    },
    environment: result.environment,
  };
}

/**
 * Reports on classes as JSON, by split: lists with an entry per class, and the matrix by label and
 * prediction.
 */
export function classesJson(bySplit: SplitClasses): object {
  const reports = Object.entries(bySplit).map(([split, { classes, confusion }]) => [
    split,
    {
      labels: classes.map(({ label }) => label),
      precision: classes.map(({ precision }) => precision),
      recall: classes.map(({ recall }) => recall),
      f1: classes.map(({ f1 }) => f1),
      support: classes.map(({ support }) => support),
      confusion_matrix: confusion,
    },
  ]);
  return Object.fromEntries(reports);
}

// --- internal ---

const rounded = (seconds: number) => Math.round(seconds * 100) / 100;

/** `value` is the metric's own: the internal one, for comparing, is the loss negated. */
function bestJson({ best, metric }: RunResult): object | null {
  if (best === null) return null;
  const { step, value, metrics } = best;
  return { step, metric, value: metric === "loss" ? -value : value, metrics };
}
