import { join, relative, resolve } from "node:path";
import type { Backend } from "../backend.ts";
import type { StartObserver } from "../adalora/start.ts";
import { zeroStart } from "../adalora/starts/zero.ts";
import { errors } from "../errors.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { configToJson } from "../config/run-config.ts";
import { peakMemoryWithoutCode } from "../process-memory.ts";
import { classesBySplit, type Evaluation, intervalsBySplit } from "../tasks/task.ts";
import { removeCheckpoint, stepsIn } from "../train/checkpoint.ts";
import { totalSeconds } from "../train/clock.ts";
import { type EvaluationProgress, metricsBySplit } from "../train/evaluation.ts";
import { runTraining } from "../train/loop.ts";
import type { Speed, TrainingObserver, TrainingSetup } from "../train/setup.ts";
import type { MaskReport, StepReport } from "../train/step-report.ts";
import { createTrainer, type LoadedRun } from "./create-trainer.ts";
import { earlyStoppingFrom, totalRank } from "./early-stopping.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { SavedAt } from "./adapter-folder.ts";
import type { PreparedRun } from "./prepare.ts";
import { type Environment, type RunResult, writeResults } from "./results.ts";
import { rankPattern, writeJson, writeTrained } from "./run-files.ts";
import { saveHeldOut } from "./held-out.ts";
import { clearRun, runFiles, undoFolder } from "./run-folder.ts";
import { openRunLog, type RunLog } from "./run-log.ts";
import { watchFiles, watchFolder } from "./watched-files.ts";

/** Receives a run's events; the run's files are written independently of it. */
export interface RunObserver {
  /** Messages of a start that looks at training data. */
  readonly start: StartObserver;
  /** What the run does before its first step, which may take a while. */
  onStage?(text: string): void;
  /** Names of randomly initialized parameters that the checkpoint lacks. */
  onLoaded(newlyInitialized: readonly string[]): void;
  /**
   * `step`: optimizer steps already taken; undefined if no checkpoint is intact and the run starts
   * from step 0. `damaged`: a message for each newer checkpoint that could not be read.
   */
  onResume(step: number | undefined, damaged: readonly string[]): void;
  onStep(report: StepReport, speed: Speed): void;
  /** Called after a mask with every adapted matrix's rank, keyed as in `rank_pattern.json`. */
  onRanks?(ranks: Readonly<Record<string, number>>): void;
  /** Called at the start of an evaluation and after each of its batches. */
  onEvaluationProgress?(progress: EvaluationProgress): void;
  onEvaluation(step: number, evaluations: readonly Evaluation[], isBest: boolean): void;
  onCheckpoint(step: number): void;
  /**
   * Polled between steps, evaluation batches and decode steps; on true the run saves a checkpoint,
   * unless there is one of this step, and stops.
   */
  stopRequested(): boolean;
}

/** Where a run writes, and how it treats an earlier run in that folder. */
export interface FolderOptions {
  readonly out: string;
  /** Continues from the newest intact checkpoint in the folder. */
  readonly resume: boolean;
  /** Deletes an earlier run from the folder, but only after this one has loaded successfully. */
  readonly overwrite: boolean;
  /** Evaluates after this step too; default null. */
  readonly evalAfter?: number | null;
  /** Seconds that preparing the run has taken; default 0. */
  readonly preparationSeconds?: number;
  /** What metrics.json says of versions and machine. */
  readonly environment?: Environment;
}

/**
 * Trains a prepared run and writes its folder: log, TensorBoard curves and checkpoints during
 * training; adapter, ranks, predictions and metrics at the end. An interrupted run writes no
 * results; one that fails before its first step is done, for want of memory, leaves no files.
 * Throws `Stopped` if it is to stop while its adapters are initialized.
 */
export async function executeRun(
  backend: Backend,
  run: PreparedRun,
  options: FolderOptions,
  observer: RunObserver,
): Promise<RunResult> {
  const { out, resume, overwrite } = options;
  const started = performance.now();
  const inOut = run.from?.files.some((file) => !relative(resolve(out), file).startsWith(".."));
  if (overwrite && inOut) {
    const hint = "the adapter lies in the folder that would be replaced: give another --out";
    throw errors.unusable("--overwrite", "--from", hint);
  }
  const checkWeights = watchFiles([
    ...openCheckpoint(run.files.dir).files,
    ...(run.from?.files ?? []),
  ]);
  const mayRestore = resume && stepsIn(join(out, runFiles.checkpoints)).length > 0;
  const loaded = await loadRun(backend, run, mayRestore, observer);
  if (overwrite) clearRun(out);
  const undo = undoFolder(out);
  try {
    const state = { ...loaded, ...options, started, mayRestore, checkWeights };
    return await trainInto(backend, run, state, observer);
  } catch (error) {
    if (loaded.trainer.steps === 0) undo();
    throw error;
  }
}

/** A loaded run, and how it continues an earlier one. */
interface StartedRun extends LoadedRun, FolderOptions {
  /** `performance.now()` before loading. */
  readonly started: number;
  readonly mayRestore: boolean;
  /** Throws when the weights' files have changed since they were opened. */
  readonly checkWeights: () => void;
}

async function trainInto(
  backend: Backend,
  run: PreparedRun,
  loaded: StartedRun,
  observer: RunObserver,
): Promise<RunResult> {
  const { out, resume, started, mayRestore, checkWeights } = loaded;
  const { preparationSeconds = 0, environment = {}, evalAfter = null } = loaded;
  const checkpointDir = join(out, runFiles.checkpoints);
  writeJson(join(out, runFiles.config), configToJson(run.config));
  if (run.heldOut) saveHeldOut(out, run.heldOut, resume);
  const checkFolder = watchFolder(out);
  using log = openRunLog(out, run, loaded.trainer, { resume, environment });
  const setup = {
    ...trainingSetup(backend, run, loaded, evalAfter),
    checkpointDir,
    ...(mayRestore ? { initialize: loaded.initializeAdapters } : {}),
    checkFiles() {
      checkFolder();
      checkWeights();
    },
    startSeconds: preparationSeconds + (performance.now() - started) / 1000,
  };
  const toSave = { out, backend, run, trainer: loaded.trainer };
  const written = recording(
    log,
    observer,
    (kept) => rankPattern(loaded.trainer, kept, run),
    (at) => writeTrained(toSave, "best", at),
  );
  const isPacked = backend.activation === "bf16"; // each frozen matrix when it is first used
  observer.onStage?.(isPacked ? "packing the weights" : "the first step");
  const outcome = await runTraining(setup, written, { resume });
  const ranks = rankPattern(loaded.trainer, loaded.trainer.kept(), run);
  const result = {
    ...outcome,
    metrics: metricsBySplit(outcome.final),
    intervals: intervalsBySplit(outcome.final),
    classes: classesBySplit(outcome.final),
    majority: setup.validation[0]?.majority,
    baseline: setup.validation[0]?.baseline,
    ranks,
    totalRank: totalRank(run, ranks),
    metric: setup.options.metric,
    seconds: totalSeconds(outcome.time),
    environment,
    peakMemory: { process: peakMemoryWithoutCode(), buffers: backend.memory().peak },
  };
  if (outcome.stoppedBy !== "interrupt") {
    writeResults(toSave, result);
    checkFolder(); // an atomic write makes a folder that is missing
    // It was for the final evaluation; adapter/ or model/ holds the weights now.
    removeCheckpoint(checkpointDir, outcome.steps);
  }
  return result;
}

function trainingSetup(
  backend: Backend,
  run: PreparedRun,
  { trainer, adapted }: LoadedRun,
  evalAfter: number | null,
): Omit<TrainingSetup, "checkpointDir"> {
  const { config, schedule, spec, train, validation } = run;
  return {
    backend,
    trainer,
    model: adapted.model,
    train,
    validation: validation.filter(({ isLabelled }) => isLabelled),
    fingerprint: fingerprintOf(run),
    options: {
      ...config,
      steps: schedule.steps,
      evalSteps: config.evalSteps ?? schedule.stepsPerEpoch,
      evalAfter,
      metric: config.metric ?? spec.defaultMetric,
      earlyStoppingFrom: earlyStoppingFrom(run),
    },
  };
}

/** Forwards a run's events to its log, then to its observer. */
function recording(
  log: RunLog,
  observer: RunObserver,
  ranksOf: (kept: MaskReport["kept"]) => Readonly<Record<string, number>>,
  writeBest: (at: SavedAt) => void,
): TrainingObserver {
  return {
    stopRequested: () => observer.stopRequested(),
    onResume(progress, damaged) {
      log.resume(progress);
      observer.onResume(progress?.step, damaged);
    },
    onStep(report, speed) {
      log.step(report, speed);
      if (report.mask) observer.onRanks?.(ranksOf(report.mask.kept));
      observer.onStep(report, speed);
    },
    onEvaluationProgress: (progress) => observer.onEvaluationProgress?.(progress),
    onEvaluation(step, evaluations, isBest) {
      log.evaluation(step, evaluations);
      if (isBest) writeBest({ step, metrics: metricsBySplit(evaluations) });
      observer.onEvaluation(step, evaluations, isBest);
    },
    onCheckpoint: (step) => observer.onCheckpoint(step),
  };
}

/** If a checkpoint may be restored, the start, which can take minutes, is left for later. */
async function loadRun(
  backend: Backend,
  run: PreparedRun,
  mayRestore: boolean,
  observer: RunObserver,
): Promise<LoadedRun> {
  observer.onStage?.("reading the weights");
  const start = mayRestore ? zeroStart : run.start;
  const loaded = await createTrainer(backend, run, start, observer.start);
  observer.onLoaded(loaded.newlyInitialized);
  return loaded;
}
