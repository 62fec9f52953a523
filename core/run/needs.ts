import { zeroStart } from "../adalora/starts/zero.ts";
import { elementBytes } from "../backend/counting.ts";
import { adapterMethods, isOneOf, pruningMethods } from "../config/method.ts";
import { evaluationBatches } from "../data/batching.ts";
import type { MemoryModel } from "../device.ts";
import { ForwardPass } from "../forward-pass.ts";
import { declareRunModel } from "../model/model-files.ts";
import type { Dataset } from "../tasks/task.ts";
import { trainingOrder } from "../train/order.ts";
import { savedTokenizer } from "./adapter-folder.ts";
import { createTrainer } from "./create-trainer.ts";
import type { PreparedRun } from "./prepare.ts";

/** Estimated memory and disk requirements of a run, in bytes. */
export interface RunNeeds {
  /** Memory of the frozen parameters. */
  readonly weights: number;
  /** Peak backend allocation during the largest training step or evaluation batch. */
  readonly training: number;
  /** Peak of the memory that the device counts; on the CPU the process's, excluding its code. */
  readonly memory: number;
  /** Size of one checkpoint. */
  readonly checkpoint: number;
  /** Peak disk usage of the run's folder. */
  readonly disk: number;
}

/**
 * Estimates a run's requirements by replaying its largest training step and evaluation batch on
 * `backend`, the memory model of the run's device. On the CPU `memory` was within 15 % of the
 * measured peak (test/bench/plan-memory.ts).
 */
export async function runNeeds(run: PreparedRun, backend: MemoryModel): Promise<RunNeeds> {
  const { config, files, spec, train, validation } = run;
  const declared = declareRunModel(files, spec, config);
  // Counting does not need the values of the real start.
  const { adapted, trainer } = await createTrainer(backend, { ...run, declared }, zeroStart);
  const batchSize = Math.min(config.batchSize, config.microBatch ?? config.batchSize);
  let [peak, repeats] = [0, 0];
  for (const features of sampleBatches(train, batchSize)) {
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => void train.batch(features).loss(pass, adapted.model));
    const reached = backend.peakBytes(0);
    repeats = reached > peak ? 0 : repeats + 1;
    if (repeats === MAX_REPEATS) break;
    peak = reached;
  }
  for (const features of largestBatches(run)) trainer.step([train.batch(features)]);
  for (const dataset of validation) {
    const features = evaluationBatches(dataset.lengths, config.evalBatchSize)[0] ?? [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => dataset.forward(pass, adapted.model, features));
  }
  const master = elementBytes[backend.master];
  const state = Object.values(trainer.state).reduce((sum, { length }) => sum + length, 0);
  const checkpoint = state * master;
  const all = [...adapted.tree.parameters.values()];
  const frozen = all.filter(({ requiresGrad }) => !requiresGrad);
  const weights = frozen.reduce(
    (sum, { buffer }) => sum + buffer.length * elementBytes[buffer.dtype],
    0,
  );
  const training = backend.memory().peak;
  return {
    weights,
    training,
    memory: backend.peakBytes(total([train, ...validation].map(({ bytes }) => bytes))),
    checkpoint,
    disk:
      checkpointsAtOnce(run) * checkpoint +
      resultBytes(run, trainer.arena.length, all) +
      logBytes(run, adapted.adapters.length),
  };
}

// --- internal ---

/** Training batches searched for the largest; longer searches rarely find a larger one. */
const MAX_TRAINING_BATCHES = 50_000;
/** Forward passes that record which rows of the word embeddings are read. */
const MAX_FORWARD_PASSES = 128;
/** Forward passes in a row that read no new row, after which others rarely do. */
const MAX_REPEATS = 6;

const total = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);

/** The training micro-batch with the most tokens, and the one with the longest sequence. */
function largestBatches({ config, schedule, train }: PreparedRun): readonly ArrayLike<number>[] {
  const order = trainingOrder(train.lengths, config);
  const steps = Math.min(schedule.steps, Math.ceil(MAX_TRAINING_BATCHES / config.gradAccum));
  const batches = Array.from({ length: steps }, (_, step) => order(step)).flat();
  const lengthsIn = (features: ArrayLike<number>) =>
    Array.from(features, (i) => train.lengths[i] ?? 0);
  const most = (size: (features: ArrayLike<number>) => number) =>
    batches.reduce(
      (best, features) => (size(features) > size(best) ? features : best),
      batches[0] ?? [],
    );
  return [
    most((features) => total(lengthsIn(features))),
    most((features) => Math.max(...lengthsIn(features))),
  ];
}

/** Batches sampled evenly from the training set. */
function sampleBatches({ lengths }: Dataset, size: number): readonly ArrayLike<number>[] {
  const batches = evaluationBatches(lengths, size);
  const count = Math.min(batches.length, MAX_FORWARD_PASSES);
  return Array.from(
    { length: count },
    (_, i) => batches[Math.floor((i * batches.length) / count)] ?? [],
  );
}

/**
 * Checkpoints on disk at once: a new one is written before the oldest is deleted. At least 1, that
 * of the final evaluation. An evaluation in between may have one too.
 */
function checkpointsAtOnce({ config, schedule }: PreparedRun): number {
  const between = (interval: number) => Math.floor((schedule.steps - 1) / interval);
  const evaluations = between(config.evalSteps ?? schedule.stepsPerEpoch);
  const written = between(config.saveSteps) + evaluations + 1;
  return Math.min(written, config.saveLimit + 1);
}

/** Best and last adapter or model, always stored in f32, each with its tokenizer. */
function resultBytes(
  { config, files }: PreparedRun,
  trained: number,
  parameters: readonly { readonly length: number }[],
): number {
  const model = parameters.reduce((sum, { length }) => sum + length, 0);
  const tokenizer = [...savedTokenizer(files.tokenize).values()];
  return (
    2 * 4 * (isOneOf(config.method, adapterMethods) ? trained : model) +
    2 * total(tokenizer.map((content) => content.length))
  );
}

/** Log lines and TensorBoard points of all logged steps; a pruned matrix has a rank curve too. */
function logBytes({ config, schedule }: PreparedRun, matrices: number): number {
  const [lineBytes, pointBytes, curves] = [250, 140, 6];
  const points = curves + (isOneOf(config.method, pruningMethods) ? matrices : 0);
  return Math.ceil(schedule.steps / config.logSteps) * (lineBytes + pointBytes * points);
}
