import type { Backend } from "../core/backend.ts";
import { openCheckpoint } from "../core/io/checkpoint-files.ts";
import { sequenceLoss } from "../core/tasks/sequence-loss.ts";
import { loadWeights } from "../core/nn/load-weights.ts";
import { batchOf } from "../core/train/dataset.ts";
import { evaluate, predict } from "../core/train/evaluate.ts";
import { declareRunModel } from "../core/train/model-files.ts";
import { trainingOrder } from "../core/train/order.ts";
import type { PreparedRun } from "../core/train/prepare.ts";
import { Trainer } from "../core/train/trainer.ts";

export interface FrozenOptions {
  readonly steps: number;
  readonly lr: number;
  readonly stopRequested: () => boolean;
}

/**
 * Accuracy on the first validation split of the run's pretrained model when its head alone is trained, on the run's data, in
 * its batches: what the adapters have to beat. The learning rate falls linearly to 0.
 */
export async function frozenHeadAccuracy(
  backend: Backend,
  { config, files, spec, train, validation }: PreparedRun,
  { steps, lr, stopRequested }: FrozenOptions,
): Promise<number | undefined> {
  const { model, tree, plugin } = declareRunModel(files, spec, config);
  const isHead = (name: string) => plugin.adapters.trainable.some((pattern) => pattern.test(name));
  const trained = [...tree.parameters.values()].filter(({ name }) => isHead(name));
  for (const parameter of trained) parameter.requiresGrad = true;
  const { tensors } = openCheckpoint(files.dir);
  loadWeights(backend, tree, tensors, plugin, { where: files.dir, seed: config.seed });
  const trainer = new Trainer(
    backend,
    { adapters: [], trained, lossOf: sequenceLoss(model, spec.kind) },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
      learningRate: (step) => lr * (1 - step / steps),
      maxGradNorm: config.maxGradNorm,
      orthogonality: 0,
      seed: config.seed,
      allocator: undefined,
    },
  );
  const order = trainingOrder(train.lengths, { ...config, gradAccum: 1 });
  while (trainer.steps < steps && !stopRequested()) {
    trainer.step(order(trainer.steps).map((batch) => batchOf(train, batch)));
    await Bun.sleep(0); // signals get their turn
  }
  const [held] = validation;
  if (!held) return undefined;
  const rows = { width: spec.width, batchSize: config.evalBatchSize };
  const predictions = await predict(backend, model, held, rows);
  return evaluate(held, predictions, spec.scored, spec.kind).metrics["accuracy"];
}
