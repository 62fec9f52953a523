import type { Backend } from "../backend.ts";
import type { Model } from "../model/plugin.ts";
import type { Evaluation, PredictionSet, TrainingBatch, TrainingSet } from "../tasks/task.ts";
import type { PhaseSeconds } from "./clock.ts";
import type { EvaluationProgress } from "./evaluation.ts";
import type { Progress } from "./progress.ts";
import type { StepReport } from "./step-report.ts";
import type { Trainer } from "./trainer.ts";

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
  /** Seconds that preparing and loading have taken; default 0. */
  readonly startSeconds?: number;
  /** Throws if the run's files or its folder have changed; called before each step and save. */
  readonly checkFiles?: () => void;
  readonly options: LoopOptions;
}

/** Options of the training loop; intervals and lengths are in optimizer steps. */
export interface LoopOptions {
  readonly steps: number;
  readonly batchSize: number;
  readonly evalBatchSize: number;
  readonly gradAccum: number;
  /** Examples computed at once; null or absent: whole batches. */
  readonly microBatch?: number | null;
  readonly bucketed: boolean;
  readonly seed: number;
  readonly evalSteps: number;
  /** Evaluates after this step too; null or absent: only every `evalSteps`. */
  readonly evalAfter?: number | null;
  readonly saveSteps: number;
  readonly saveLimit: number;
  /** Patience: training stops after this many evaluations without improvement; 0 disables it. */
  readonly earlyStopping: number;
  /** It counts evaluations after this many steps or more; default: all of them. */
  readonly earlyStoppingFrom?: number;
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
  /** Called at the start of an evaluation and after each of its batches. */
  onEvaluationProgress?(progress: EvaluationProgress): void;
  onEvaluation(step: number, evaluations: readonly Evaluation[], isBest: boolean): void;
  onCheckpoint(step: number): void;
  /**
   * Polled between steps, evaluation batches and decode steps; on true the loop saves a checkpoint,
   * unless there is one of this step, and stops.
   */
  stopRequested(): boolean;
}

/** How training ended. */
export interface TrainingOutcome {
  readonly steps: number;
  readonly stoppedBy: "end" | "early stopping" | "interrupt";
  readonly best: Progress["best"];
  /** Evaluations after the last step; [] for an interrupted run. */
  readonly final: readonly Evaluation[];
  /** Time spent, before interruptions too. */
  readonly time: PhaseSeconds;
}
