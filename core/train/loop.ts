import type { Backend } from "../backend.ts";
import { AdaloraError, errors } from "../errors.ts";
import type { Model } from "../model/plugin.ts";
import {
  type Evaluation,
  metricsOf,
  type PredictionSet,
  type TrainingBatch,
  type TrainingSet,
} from "../tasks/task.ts";
import { type Progress, resumeNewest, saveCheckpoint } from "./checkpoint.ts";
import { trainingOrder } from "./order.ts";
import type { StepReport, Trainer } from "./trainer.ts";

/** Everything the training loop needs, validated and loaded. */
export interface TrainingSetup {
  readonly backend: Backend;
  readonly trainer: Trainer<TrainingBatch>;
  readonly model: Model;
  readonly train: TrainingSet;
  /** Labelled splits; the first one selects the best step. */
  readonly validation: readonly PredictionSet[];
  readonly checkpointDir: string;
  readonly fingerprint: string;
  /** Gives a trainer without initial values its own, if no checkpoint is intact. */
  readonly initialize?: () => Promise<void>;
  readonly options: LoopOptions;
}

/** Options of the training loop; intervals and lengths are in optimizer steps. */
export interface LoopOptions {
  readonly steps: number;
  readonly batchSize: number;
  readonly evalBatchSize: number;
  readonly gradAccum: number;
  readonly bucketed: boolean;
  readonly seed: number;
  readonly evalSteps: number;
  readonly saveSteps: number;
  readonly saveLimit: number;
  /** Patience: training stops after this many evaluations without improvement; 0 disables it. */
  readonly earlyStopping: number;
  /** Metric that selects the best evaluation: highest wins, except for "loss". */
  readonly metric: string;
}

/** Tokens and wall-clock time of one step. */
export interface Speed {
  readonly tokens: number;
  readonly seconds: number;
}

/** Receives the events of the training loop and may stop it. */
export interface TrainingObserver {
  /** `progress` is undefined if no checkpoint is intact and training starts from step 0. */
  onResume(progress: Progress | undefined, damaged: readonly string[]): void;
  onStep(report: StepReport, speed: Speed): void;
  onEvaluation(step: number, evaluations: readonly Evaluation[], isBest: boolean): void;
  onCheckpoint(step: number): void;
  /** Polled between steps; on true the loop saves a checkpoint and stops. */
  stopRequested(): boolean;
}

/** How training ended. */
export interface TrainingOutcome {
  readonly steps: number;
  readonly stoppedBy: "end" | "early stopping" | "interrupt";
  readonly best: Progress["best"];
  /** Evaluations after the last step; [] for an interrupted run. */
  readonly final: readonly Evaluation[];
}

/**
 * The training loop: step -> log -> maybe evaluate -> maybe save. With `resume` it continues from
 * the newest intact checkpoint. Throws E_NOT_FINITE if the loss or gradient norm is not finite, and,
 * after saving a checkpoint, if the outputs of an evaluation are not.
 */
export async function runTraining(
  setup: TrainingSetup,
  observer: TrainingObserver,
  { resume }: { resume: boolean },
): Promise<TrainingOutcome> {
  const { options, trainer, train } = setup;
  const order = trainingOrder(train.lengths, options);
  let state = resume ? resumedState(setup, observer) : initialState;
  if (trainer.steps === 0) await setup.initialize?.();
  const save = () => {
    const { best, evaluationsSinceBest } = state;
    const { fingerprint, checkpointDir, backend } = setup;
    const progress = {
      step: trainer.steps,
      passes: trainer.passes,
      best,
      evaluationsSinceBest,
      fingerprint,
    };
    saveCheckpoint(checkpointDir, backend, trainer, progress, options.saveLimit);
    observer.onCheckpoint(trainer.steps);
  };
  const evaluateOrSave = () =>
    evaluate(setup, observer, state).catch((error: unknown) => {
      if (!isNotFinite(error)) throw error;
      const isIntact = trainer.isFinite();
      if (isIntact) save();
      throw errors.evaluationNotFinite(
        trainer.steps,
        error,
        isIntact ? setup.checkpointDir : undefined,
      );
    });
  while (trainer.steps < options.steps && !state.shouldStop) {
    if (observer.stopRequested()) {
      save();
      return { steps: trainer.steps, stoppedBy: "interrupt", best: state.best, final: [] };
    }
    takeStep(setup, observer, order(trainer.steps));
    const done = trainer.steps;
    if (done % options.evalSteps === 0 && done < options.steps) {
      ({ state } = await evaluateOrSave());
    }
    if (done % options.saveSteps === 0 && done < options.steps) save();
    await Bun.sleep(0); // lets signal handlers and timers run
  }
  trainer.finish();
  const { state: last, evaluations } = await evaluateOrSave();
  const stoppedBy = state.shouldStop ? "early stopping" : "end";
  return { steps: trainer.steps, stoppedBy, best: last.best, final: evaluations };
}

const isNotFinite = (error: unknown): error is AdaloraError =>
  error instanceof AdaloraError && error.code === "E_NOT_FINITE";

interface LoopState extends Pick<Progress, "best" | "evaluationsSinceBest"> {
  readonly shouldStop: boolean;
}

const initialState: LoopState = { best: null, evaluationsSinceBest: 0, shouldStop: false };

function resumedState(setup: TrainingSetup, observer: TrainingObserver): LoopState {
  const { checkpointDir, backend, trainer, fingerprint } = setup;
  const { progress, damaged } = resumeNewest(checkpointDir, backend, trainer, fingerprint);
  observer.onResume(progress, damaged);
  if (!progress) return initialState;
  const { best, evaluationsSinceBest } = progress;
  const patience = setup.options.earlyStopping;
  return {
    best,
    evaluationsSinceBest,
    shouldStop: patience > 0 && evaluationsSinceBest >= patience,
  };
}

function takeStep(
  { trainer, train, checkpointDir }: TrainingSetup,
  observer: TrainingObserver,
  indices: readonly ArrayLike<number>[],
): void {
  const start = performance.now();
  const batches = indices.map((batch) => train.batch(batch));
  const report = trainer.step(batches);
  const seconds = (performance.now() - start) / 1000;
  if (!Number.isFinite(report.taskLoss) || !Number.isFinite(report.gradNorm)) {
    throw errors.notFinite(
      report,
      indices.flatMap((batch) => Array.from(batch)),
      checkpointDir,
    );
  }
  const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
  observer.onStep(report, { tokens, seconds });
}

/** Evaluates every validation split and updates the best step and the patience count. */
async function evaluate(
  setup: TrainingSetup,
  observer: TrainingObserver,
  state: LoopState,
): Promise<{ state: LoopState; evaluations: readonly Evaluation[] }> {
  const { backend, model, validation, options, trainer } = setup;
  const evaluations: Evaluation[] = [];
  for (const dataset of validation) {
    const predictions = await dataset.predict(backend, model, { batchSize: options.evalBatchSize });
    evaluations.push(predictions.evaluate());
  }
  const [first] = evaluations;
  if (!first) return { state, evaluations };
  const metric = metricsOf(first)[options.metric] ?? NaN;
  const value = options.metric === "loss" ? -metric : metric;
  // NaN never counts as best: Pearson's correlation is undefined while all predictions are equal.
  const isBest = Number.isFinite(value) && (state.best === null || value > state.best.value);
  const best = isBest ? { step: trainer.steps, value } : state.best;
  const evaluationsSinceBest = isBest ? 0 : state.evaluationsSinceBest + 1;
  const shouldStop = options.earlyStopping > 0 && evaluationsSinceBest >= options.earlyStopping;
  observer.onEvaluation(trainer.steps, evaluations, isBest);
  return { state: { best, evaluationsSinceBest, shouldStop }, evaluations };
}
