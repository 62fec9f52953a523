import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Evaluation, TrainingBatch } from "../../core/tasks/task.ts";
import { runTraining } from "../../core/train/loop.ts";
import type { Progress } from "../../core/train/progress.ts";
import type { TrainingObserver, TrainingOutcome, TrainingSetup } from "../../core/train/setup.ts";
import type { StepReport } from "../../core/train/step-report.ts";
import { Trainer, type TrainerOptions } from "../../core/train/trainer.ts";
import {
  type TinyOptions,
  tinyAllocator,
  tinyDataset,
  tinyModel,
  tinyTraining,
} from "./tiny-model.ts";

/** Changes to the set-up of a tiny run. */
export interface TinyRunOptions {
  readonly checkpointDir: string;
  /** Default: a reference backend. */
  readonly backend?: Backend;
  readonly model?: TinyOptions;
  readonly trainer?: Partial<TrainerOptions>;
  readonly setup?: Partial<TrainingSetup>;
  readonly options?: Partial<TrainingSetup["options"]>;
}

/**
 * A run of 12 steps over 19 rows with dropout: 2 micro-batches of 3 rows per step, so an epoch has
 * 4 steps, the last one smaller.
 */
export function tinySetup(run: TinyRunOptions): TrainingSetup {
  const { backend = createReferenceBackend() } = run;
  const adapted = tinyModel(backend, { dropout: 0.2, ...run.model });
  const { adapters, trained, model } = adapted;
  const lossOf = (pass: ForwardPass, batch: TrainingBatch) => batch.loss(pass, model);
  const options = { ...tinyTraining, allocator: tinyAllocator, ...run.trainer };
  const trainer = new Trainer(backend, { adapters, trained, lossOf }, options);
  return {
    backend,
    trainer,
    model,
    train: tinyDataset("train", 19),
    validation: [tinyDataset("validation", 8, 100)],
    checkpointDir: run.checkpointDir,
    fingerprint: "this run",
    ...run.setup,
    options: {
      steps: 12,
      batchSize: 3,
      evalBatchSize: 4,
      gradAccum: 2,
      bucketed: true,
      seed: 3,
      evalSteps: 3,
      saveSteps: 4,
      saveLimit: 2,
      earlyStopping: 0,
      metric: "loss",
      ...run.options,
    },
  };
}

/** Progress of a tiny run before its first evaluation. */
export const tinyProgress: Progress = {
  step: 0,
  passes: 0,
  evaluations: 0,
  evaluatedStep: 0,
  best: null,
  bestCounted: null,
  evaluationsSinceBest: 0,
  seconds: { start: 0, training: 0, evaluation: 0 },
  fingerprint: "this run",
};

/** The events that a run's observer received. */
export interface Recorded {
  readonly reports: StepReport[];
  readonly evaluations: { step: number; isBest: boolean; evaluations: readonly Evaluation[] }[];
  readonly checkpoints: number[];
  /** Features done in each evaluation so far, at its start and after each batch. */
  readonly batches: number[];
  /** Steps, evaluations and checkpoints in the order of their events: "step 3", "checkpoint 4". */
  readonly order: string[];
  readonly resumed: { progress: Progress | undefined; damaged: readonly string[] }[];
}

/** How a run is interrupted or resumed. */
export interface Interruptions {
  readonly resume?: boolean;
  /** Requests a stop after this many steps. */
  readonly stopAfter?: number;
  /** Throws after this many steps, as if the process were killed. */
  readonly killAfter?: number;
  /** Requests a stop, or throws, after this many batches of evaluations. */
  readonly stopAfterBatches?: number;
  readonly killAfterBatches?: number;
  /** Called with the index of each reported step. */
  readonly onStep?: (step: number) => void;
}

/** Runs a setup to its end and records its events. */
export async function train(
  setup: TrainingSetup,
  {
    resume = false,
    stopAfter = Infinity,
    killAfter = Infinity,
    stopAfterBatches = Infinity,
    killAfterBatches = Infinity,
    onStep = () => {},
  }: Interruptions = {},
): Promise<Recorded & { outcome: TrainingOutcome }> {
  const recorded: Recorded = {
    reports: [],
    evaluations: [],
    checkpoints: [],
    batches: [],
    order: [],
    resumed: [],
  };
  const evaluated = () => recorded.batches.filter((done) => done > 0).length;
  const observer: TrainingObserver = {
    onResume: (progress, damaged) => recorded.resumed.push({ progress, damaged }),
    onStep(report) {
      recorded.reports.push(report);
      recorded.order.push(`step ${report.step}`);
      onStep(report.step);
      if (report.step + 1 >= killAfter) throw new Error("killed");
    },
    onEvaluationProgress({ done }) {
      recorded.batches.push(done);
      if (evaluated() >= killAfterBatches) throw new Error("killed");
    },
    onEvaluation(step, evaluations, isBest) {
      recorded.evaluations.push({ step, evaluations, isBest });
      recorded.order.push(`evaluation ${step}`);
    },
    onCheckpoint(step) {
      recorded.checkpoints.push(step);
      recorded.order.push(`checkpoint ${step}`);
    },
    stopRequested: () => setup.trainer.steps >= stopAfter || evaluated() >= stopAfterBatches,
  };
  const outcome = await runTraining(setup, observer, { resume });
  return { ...recorded, outcome };
}

/** An outcome without the time that it took. */
export const resultOf = (outcome: TrainingOutcome) => ({ ...outcome, time: undefined });

/** All values that the rest of a run depends on. */
export function stateOf(backend: Backend, { trainer }: TrainingSetup): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(trainer.state).map(([name, buffer]) => [
      name,
      Array.from(backend.download(buffer)),
    ]),
  );
}
