import type { Backend } from "../backend.ts";
import { errors } from "../errors.ts";
import type { Model } from "../model/plugin.ts";
import { type Evaluation, metricsOf, type PredictionSet, type TrainingBatch, type TrainingSet } from "../tasks/task.ts";
import { type Progress, resumeNewest, saveCheckpoint } from "./checkpoint.ts";
import { trainingOrder } from "./order.ts";
import type { StepReport, Trainer } from "./trainer.ts";

/** All that the loop needs, checked and loaded. */
export interface TrainingSetup {
  readonly backend: Backend;
  readonly trainer: Trainer<TrainingBatch>;
  readonly model: Model;
  readonly train: TrainingSet;
  /** Labelled splits; the first picks the best step. */
  readonly validation: readonly PredictionSet[];
  readonly checkpointDir: string;
  readonly fingerprint: string;
  readonly options: LoopOptions;
}

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
  /** Evaluations without a better one after which training stops; 0 never stops. */
  readonly earlyStopping: number;
  /** Metric that picks the best evaluation; "loss" is better where it is smaller. */
  readonly metric: string;
}

/** Speed of the last step. */
export interface Speed {
  readonly tokens: number;
  readonly seconds: number;
}

/** Who watches a run: logs, progress line, early exits. */
export interface TrainingObserver {
  /** Where to go on from: undefined where no checkpoint is whole, so that the run starts anew. */
  onResume(progress: Progress | undefined, damaged: readonly string[]): void;
  onStep(report: StepReport, speed: Speed): void;
  onEvaluation(step: number, evaluations: readonly Evaluation[], isBest: boolean): void;
  onCheckpoint(step: number): void;
  /** Asked between steps; a run that is to stop writes a checkpoint first. */
  stopRequested(): boolean;
}

export interface TrainingOutcome {
  readonly steps: number;
  readonly stoppedBy: "end" | "early stopping" | "interrupt";
  readonly best: Progress["best"];
  /** The evaluations after the last step; none for an interrupted run. */
  readonly final: readonly Evaluation[];
}

/** The training loop: step -> log -> maybe evaluate -> maybe save, from the newest checkpoint where `resume` is set. */
export async function runTraining(
  setup: TrainingSetup,
  observer: TrainingObserver,
  { resume }: { resume: boolean },
): Promise<TrainingOutcome> {
  const { options, trainer, train } = setup;
  const order = trainingOrder(train.lengths, options);
  let state = resume ? resumedState(setup, observer) : initialState;
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
  while (trainer.steps < options.steps && !state.shouldStop) {
    if (observer.stopRequested()) {
      save();
      return { steps: trainer.steps, stoppedBy: "interrupt", best: state.best, final: [] };
    }
    takeStep(setup, observer, order(trainer.steps));
    const done = trainer.steps;
    if (done % options.evalSteps === 0 && done < options.steps) {
      ({ state } = await evaluate(setup, observer, state));
    }
    if (done % options.saveSteps === 0 && done < options.steps) save();
    await Bun.sleep(0); // signals and timers get their turn
  }
  trainer.finish();
  const { state: last, evaluations } = await evaluate(setup, observer, state);
  const stoppedBy = state.shouldStop ? "early stopping" : "end";
  return { steps: trainer.steps, stoppedBy, best: last.best, final: evaluations };
}

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

/** Evaluates, and keeps account of the best step. */
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
  // An undefined metric is no evaluation to beat: Pearson's is NaN while all predictions are equal.
  const isBest = Number.isFinite(value) && (state.best === null || value > state.best.value);
  const best = isBest ? { step: trainer.steps, value } : state.best;
  const evaluationsSinceBest = isBest ? 0 : state.evaluationsSinceBest + 1;
  const shouldStop = options.earlyStopping > 0 && evaluationsSinceBest >= options.earlyStopping;
  observer.onEvaluation(trainer.steps, evaluations, isBest);
  return { state: { best, evaluationsSinceBest, shouldStop }, evaluations };
}
