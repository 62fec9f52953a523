import { join } from "node:path";
import type { Backend } from "../backend.ts";
import type { StartObserver } from "../adalora/start.ts";
import { zeroStart } from "../adalora/starts/zero.ts";
import { configToJson } from "../config/run-config.ts";
import { openJsonLog } from "../io/jsonl.ts";
import { openScalars } from "../io/tensorboard.ts";
import {
  type Evaluation,
  intervalsBySplit,
  metricsOf,
  type SplitIntervals,
  type TrainingBatch,
} from "../tasks/task.ts";
import { stepsIn } from "../train/checkpoint.ts";
import {
  type Speed,
  type TrainingObserver,
  type TrainingOutcome,
  runTraining,
} from "../train/loop.ts";
import type { StepReport, Trainer } from "../train/trainer.ts";
import { createTrainer, type LoadedRun } from "./create-trainer.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { PreparedRun } from "./prepare.ts";
import { rankPattern, writeJson, writePredictions, writeTrained } from "./run-files.ts";
import { clearRun, runFiles, undoFolder } from "./run-folder.ts";

/** Receives a run's events; the run's files are written independently of it. */
export interface RunObserver {
  /** Messages of a start that looks at training data. */
  readonly start: StartObserver;
  /** Names of randomly initialized parameters that the checkpoint lacks. */
  onLoaded(newlyInitialized: readonly string[]): void;
  /**
   * `step`: optimizer steps already taken; undefined if no checkpoint is intact and the run starts
   * from step 0. `damaged`: a message for each newer checkpoint that could not be read.
   */
  onResume(step: number | undefined, damaged: readonly string[]): void;
  onStep(report: StepReport, speed: Speed): void;
  onEvaluation(step: number, evaluations: readonly Evaluation[], isBest: boolean): void;
  onCheckpoint(step: number): void;
  /** Polled between steps; on true the run saves a checkpoint and stops. */
  stopRequested(): boolean;
}

/** Outcome of a run: progress, metrics and ranks. */
export interface RunResult extends TrainingOutcome {
  /** Metrics of each validation split after the last step. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** 95 % confidence intervals of these metrics, for tasks that have them. */
  readonly intervals?: SplitIntervals | undefined;
  /** Share of the most frequent class of the first validation split. */
  readonly majority: number | undefined;
  /** Final rank of each adapted matrix, keyed as in `rank_pattern.json`. */
  readonly ranks: Readonly<Record<string, number>>;
  /** Wall-clock time, loading included. */
  readonly seconds: number;
}

/** Where a run writes, and how it treats an earlier run in that folder. */
export interface FolderOptions {
  readonly out: string;
  /** Continues from the newest intact checkpoint in the folder. */
  readonly resume: boolean;
  /** Deletes an earlier run from the folder, but only after this one has loaded successfully. */
  readonly overwrite: boolean;
}

/**
 * Trains a prepared run and writes its folder: log, TensorBoard curves and checkpoints during
 * training; adapter, ranks, predictions and metrics at the end. An interrupted run writes no
 * results; one that fails before its first step is done, for want of memory, leaves no files.
 */
export async function executeRun(
  backend: Backend,
  run: PreparedRun,
  { out, resume, overwrite }: FolderOptions,
  observer: RunObserver,
): Promise<RunResult> {
  const started = performance.now();
  const mayRestore = resume && stepsIn(join(out, runFiles.checkpoints)).length > 0;
  const loaded = await loadRun(backend, run, mayRestore, observer);
  if (overwrite) clearRun(out);
  const undo = undoFolder(out);
  try {
    return await trainInto(out, backend, run, { ...loaded, started, resume, mayRestore }, observer);
  } catch (error) {
    if (loaded.trainer.steps === 0) undo();
    throw error;
  }
}

/** A loaded run, and how it continues an earlier one. */
interface StartedRun extends LoadedRun {
  /** `performance.now()` before loading. */
  readonly started: number;
  readonly resume: boolean;
  readonly mayRestore: boolean;
}

async function trainInto(
  out: string,
  backend: Backend,
  run: PreparedRun,
  loaded: StartedRun,
  observer: RunObserver,
): Promise<RunResult> {
  const { trainer, adapted, started, resume, mayRestore } = loaded;
  const checkpointDir = join(out, runFiles.checkpoints);
  writeJson(join(out, runFiles.config), configToJson(run.config));
  using files = openRunFiles(out, backend, run, trainer, observer, resume);
  const { config, schedule, spec, train, validation } = run;
  const setup = {
    backend,
    trainer,
    model: adapted.model,
    train,
    validation: validation.filter(({ isLabelled }) => isLabelled),
    checkpointDir,
    fingerprint: fingerprintOf(run),
    ...(mayRestore ? { initialize: loaded.initializeAdapters } : {}),
    options: {
      ...config,
      steps: schedule.steps,
      evalSteps: config.evalSteps ?? schedule.stepsPerEpoch,
      metric: config.metric ?? spec.defaultMetric,
    },
  };
  const outcome = await runTraining(setup, files.trainingObserver, { resume });
  const seconds = (performance.now() - started) / 1000;
  const majority = setup.validation[0]?.majority;
  const metrics = metricsBySplit(outcome.final);
  const intervals = intervalsBySplit(outcome.final);
  const ranks = rankPattern(trainer);
  if (outcome.stoppedBy !== "interrupt")
    writeResults(out, backend, run, trainer, { ...outcome, metrics, intervals, majority, seconds });
  return { ...outcome, metrics, intervals, majority, ranks, seconds };
}

/** If a checkpoint may be restored, the start, which can take minutes, is left for later. */
async function loadRun(
  backend: Backend,
  run: PreparedRun,
  mayRestore: boolean,
  observer: RunObserver,
): Promise<LoadedRun> {
  const start = mayRestore ? zeroStart : run.start;
  const loaded = await createTrainer(backend, run, start, observer.start);
  observer.onLoaded(loaded.newlyInitialized);
  return loaded;
}

function metricsBySplit(
  evaluations: readonly Evaluation[],
): Record<string, Record<string, number>> {
  return Object.fromEntries(
    evaluations.map((evaluation) => [evaluation.split, metricsOf(evaluation)]),
  );
}

function writeResults(
  out: string,
  backend: Backend,
  run: PreparedRun,
  trainer: Trainer<TrainingBatch>,
  result: Omit<RunResult, "ranks">,
): void {
  writeTrained(out, backend, run, trainer, "last");
  if (trainer.adapters.length > 0) writeJson(join(out, runFiles.ranks), rankPattern(trainer));
  for (const { split, predictions } of result.final) {
    writePredictions(out, predictions, result.final.length > 1 ? split : undefined);
  }
  // Written last: its presence marks the run as complete.
  writeJson(join(out, runFiles.metrics), {
    task: run.config.task,
    steps: result.steps,
    stopped_by: result.stoppedBy,
    metrics: result.metrics,
    ...(result.intervals && { intervals: result.intervals }),
    best: result.best,
    majority_baseline: result.majority ?? null,
    seconds: Math.round(result.seconds * 100) / 100,
  });
}

/** Opens the log and TensorBoard files; forwards every event to `observer` as well. */
function openRunFiles(
  out: string,
  backend: Backend,
  run: PreparedRun,
  trainer: Trainer<TrainingBatch>,
  observer: RunObserver,
  resume: boolean,
): Disposable & { readonly trainingObserver: TrainingObserver } {
  const open = (resumeAfter: number | undefined) => {
    const options = resumeAfter === undefined ? {} : { resumeAfter };
    return {
      log: openJsonLog(join(out, runFiles.log), options),
      scalars: openScalars(join(out, runFiles.tensorboard), options),
    };
  };
  let files: ReturnType<typeof open> | undefined = resume ? undefined : open(undefined);
  const current = () => (files ??= open(undefined));
  const { logSteps, task } = run.config;
  const trainingObserver: TrainingObserver = {
    stopRequested: () => observer.stopRequested(),
    onResume(progress, damaged) {
      files = open(progress && progress.step - 1); // records number steps from 0
      observer.onResume(progress?.step, damaged);
    },
    onStep(report, speed) {
      if (report.step % logSteps === 0 || report.step + 1 === run.schedule.steps) {
        const record = logRecord(report, speed);
        current().log.append(record);
        for (const [tag, value] of scalarsOf(record, trainer, run.config.method)) {
          current().scalars.scalar(tag, report.step, value);
        }
      }
      observer.onStep(report, speed);
    },
    onEvaluation(step, evaluations, isBest) {
      current().log.append({ step: step - 1, evaluation: metricsBySplit(evaluations) });
      for (const { split, metrics } of evaluations) {
        for (const [name, value] of Object.entries(metrics)) {
          const suffix = evaluations.length > 1 ? `_${split}` : "";
          current().scalars.scalar(`Eval_${task}${suffix}/${name}`, step - 1, value);
        }
      }
      if (isBest) writeTrained(out, backend, run, trainer, "best");
      observer.onEvaluation(step, evaluations, isBest);
    },
    onCheckpoint: (step) => observer.onCheckpoint(step),
  };
  return {
    trainingObserver,
    [Symbol.dispose]() {
      files?.log.close();
      files?.scalars.close();
    },
  };
}

function logRecord(report: StepReport, { tokens, seconds }: Speed) {
  return {
    step: report.step,
    task_loss: report.taskLoss,
    orth_loss: report.orthogonalityLoss,
    grad_norm: report.gradNorm,
    lr: report.learningRate,
    budget: report.budget ?? null,
    threshold: report.threshold ?? null,
    tokens_per_second: Math.round(tokens / seconds),
  };
}

/** TensorBoard tags and values: the reference's tags, plus the learning rate. */
function scalarsOf(
  record: ReturnType<typeof logRecord>,
  trainer: Trainer<TrainingBatch>,
  method: string,
): [string, number][] {
  const scalars: [string, number][] = [
    ["train/loss", record.task_loss],
    ["train/orth_regu_loss", record.orth_loss],
    ["train/grad_norm", record.grad_norm],
    ["train/learning_rate", record.lr],
  ];
  if (record.budget !== null) scalars.push(["Budget/total_rank", record.budget]);
  if (record.threshold !== null) scalars.push(["Budget/mask_threshold", record.threshold]);
  if (method === "adalora" || method === "prune-lora") {
    for (const [name, rank] of Object.entries(rankPattern(trainer)))
      scalars.push([`Ranknum/${name}`, rank]);
  }
  return scalars;
}
