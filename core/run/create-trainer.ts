import type { Start } from "../adalora/start.ts";
import type { Backend } from "../backend.ts";
import { errors } from "../errors.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { decomposing, isOneOf, pruning } from "../config/method.ts";
import { type AdaptedModel, adaptModel, loadModel } from "../model/open-model.ts";
import type { PreparedRun } from "./prepare.ts";
import type { TrainingBatch } from "../tasks/task.ts";
import { Trainer, type TrainerOptions } from "../train/trainer.ts";

export interface ReadyRun {
  readonly adapted: AdaptedModel;
  readonly trainer: Trainer<TrainingBatch>;
  /** Parameters that the checkpoint lacked, which start from their fill. */
  readonly fresh: readonly string[];
}

/** The run's model with what its method trains; nothing has numbers yet. */
export function adaptRun({ config, declared, target }: PreparedRun): AdaptedModel {
  return adaptModel(declared, {
    method: config.method,
    modules: config.modules,
    rank: target?.initRank ?? 0,
    alpha: config.alpha,
    dropout: config.loraDropout,
  });
}

/** Loads the model's weights, starts its adapters (as its method does, unless told) and makes the trainer of a prepared run. */
export function createTrainer(backend: Backend, run: PreparedRun, start?: Start): ReadyRun {
  const { config, files } = run;
  const adapted = adaptRun(run);
  if (adapted.trained.length + adapted.adapters.length === 0)
    throw errors.nothingTrained(config.method);
  const { tensors } = openCheckpoint(files.dir);
  const { seed, method } = config;
  const filled = loadModel(backend, adapted, tensors, { where: files.dir, seed, method, start });
  const fresh = filled.filter(({ constant }) => !constant);
  const { adapters, trained, model } = adapted;
  const lossOf = (pass: ForwardPass, batch: TrainingBatch) => batch.loss(pass, model);
  const trainer = new Trainer(backend, { adapters, trained, lossOf }, trainerOptions(run));
  return { adapted, trainer, fresh: fresh.map(({ name }) => name) };
}

function trainerOptions({ config, schedule, target }: PreparedRun): TrainerOptions {
  const learningRate = {
    name: config.schedule,
    base: config.lr,
    warmup: schedule.warmupSteps,
    total: schedule.steps,
  };
  const prunes = isOneOf(config.method, pruning) && target !== undefined;
  return {
    optimizer: {
      variant: config.optimizer,
      beta1: config.adamBeta1,
      beta2: config.adamBeta2,
      eps: config.adamEps,
      weightDecay: config.weightDecay,
    },
    learningRate: (step) => learningRateAt(step, learningRate),
    maxGradNorm: config.maxGradNorm,
    orthogonality: isOneOf(config.method, decomposing) ? config.regOrthCoef : 0,
    seed: config.seed,
    checkpointing: config.checkpointing,
    allocator: prunes
      ? {
          schedule: {
            initial: target.initTotalRank,
            target: target.targetTotalRank,
            warmup: schedule.initWarmup,
            finalTuning: schedule.finalWarmup,
            interval: config.maskInterval,
            steps: schedule.steps,
          },
          beta1: config.beta1,
          beta2: config.beta2,
          importance: config.importance,
          semantics: config.semantics,
        }
      : undefined,
  };
}
