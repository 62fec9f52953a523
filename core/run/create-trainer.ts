import {
  runStart,
  type Start,
  type StartBatch,
  type StartContext,
  type StartObserver,
} from "../adalora/start.ts";
import type { Backend } from "../backend.ts";
import { svdMethods, isOneOf } from "../config/method.ts";
import { ForwardPass } from "../forward-pass.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { StoredTensor } from "../io/stored-tensor.ts";
import { loadWeights } from "../model/load-weights.ts";
import { type AdaptedModel, adaptModel } from "../model/open-model.ts";
import { checkStop } from "../stopped.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { TrainingBatch } from "../tasks/task.ts";
import { trainingOrder } from "../train/order.ts";
import { Trainer, type TrainerOptions } from "../train/trainer.ts";
import { budgetErrors } from "./budget-errors.ts";
import { budgetSchedule } from "./budget-schedule.ts";
import type { PreparedRun } from "./prepare.ts";

/** A prepared run with its weights on the backend, ready for the first step. */
export interface LoadedRun {
  readonly adapted: AdaptedModel;
  readonly trainer: Trainer<TrainingBatch>;
  /** Names of randomly initialized parameters that the checkpoint lacks. */
  readonly newlyInitialized: readonly string[];
  /** Initializes the adapters with the run's own start, also after another one. */
  readonly initializeAdapters: () => Promise<void>;
}

/**
 * Attaches the run's adapters to its model and selects trainable parameters; allocates no values.
 */
export function adaptRun({ config, declared, target, from }: PreparedRun): AdaptedModel {
  return adaptModel(declared, {
    method: config.method,
    modules: config.modules,
    rank: target?.initRank ?? 0,
    alpha: config.alpha,
    dropout: config.loraDropout,
    layers: from?.layers,
    trained: from?.trained,
  });
}

/**
 * Loads the model's weights, initializes its adapters and creates the trainer of a prepared run.
 * Throws E_METHOD if the method trains nothing.
 */
export async function createTrainer(
  backend: Backend,
  run: PreparedRun,
  start: Start = run.start,
  observer: StartObserver = silent,
): Promise<LoadedRun> {
  const { config, files } = run;
  const adapted = adaptRun(run);
  const { adapters, trained, model, tree, plugin } = adapted;
  if (trained.length + adapters.length === 0) throw budgetErrors.nothingTrained(config.method);
  const { tensors } = openCheckpoint(files.dir);
  const saved = run.from?.saved ?? new Map<string, StoredTensor>();
  const options = { where: files.dir, seed: config.seed, supplied: new Set(saved.keys()) };
  const filled = loadWeights(backend, tree, tensors, plugin, options);
  for (const [name, tensor] of saved) {
    const parameter = tree.parameters.get(name);
    if (parameter) parameter.buffer = backend.adopt(tensor, backend.master);
  }
  const context = startContext(backend, run, adapted, observer);
  await runStart(start, context);
  const lossOf = (pass: ForwardPass, batch: TrainingBatch) => batch.loss(pass, model);
  const emptyMatrices = adapted.emptied?.length ?? 0;
  const trainerSetup = { ...trainerOptions(run), emptyMatrices };
  const trainer = new Trainer(backend, { adapters, trained, lossOf }, trainerSetup);
  const newlyInitialized = filled.filter(({ constant }) => !constant).map(({ name }) => name);
  const initializeAdapters = () => runStart(run.start, context);
  return { adapted, trainer, newlyInitialized, initializeAdapters };
}

// --- internal ---

const silent: StartObserver = { onProgress() {}, onWarning() {} };

function startContext(
  backend: Backend,
  { config, schedule, target, train }: PreparedRun,
  { adapters, model, tree }: AdaptedModel,
  observer: StartObserver,
): StartContext {
  const { initTotalRank: initial = 0, targetTotalRank: final = 0 } = target ?? {};
  return {
    ...observer,
    backend,
    adapters,
    tree,
    budget: { initial, target: final },
    seed: config.seed,
    *batches(): Iterable<StartBatch> {
      const order = trainingOrder(train.lengths, config);
      for (let step = 0; step < schedule.stepsPerEpoch; step++) {
        for (const features of order(step)) {
          checkStop(observer.stopRequested);
          const batch = train.batch(features);
          yield {
            tokens: batch.tokens,
            forward(onInput) {
              const pass = new ForwardPass(backend, { training: false, onInput });
              pass.scope(() => void batch.loss(pass, model));
            },
          };
        }
      }
    },
  };
}

function trainerOptions(run: PreparedRun): TrainerOptions {
  const { config, schedule } = run;
  const { lrE } = config;
  const learningRate = {
    name: config.schedule,
    base: config.lr,
    warmup: schedule.warmupSteps,
    total: schedule.steps,
  };
  return {
    optimizer: {
      variant: config.optimizer,
      beta1: config.adamBeta1,
      beta2: config.adamBeta2,
      eps: config.adamEps,
      weightDecay: config.weightDecay,
    },
    learningRate: (step) => learningRateAt(step, learningRate),
    learningRateOfE: lrE === null ? undefined : (step) => learningRateAt(step, learningRate, lrE),
    maxGradNorm: config.maxGradNorm,
    orthogonality: isOneOf(config.method, svdMethods) ? config.regOrthCoef : 0,
    seed: config.seed,
    checkpointing: config.checkpointing,
    allocator: allocatorOptions(run),
  };
}

/** Undefined for methods with fixed ranks. */
function allocatorOptions({
  config,
  schedule,
  target,
  allocator,
}: PreparedRun): TrainerOptions["allocator"] {
  if (!allocator || !target) return undefined;
  return {
    rule: allocator,
    schedule: budgetSchedule(schedule, target, config),
    beta1: config.beta1,
    beta2: config.beta2,
    importance: config.importance,
    semantics: config.semantics,
  };
}
