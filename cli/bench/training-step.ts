import { adaloraAllocator } from "../../core/adalora/allocators/adalora.ts";
import type { Backend } from "../../core/backend.ts";
import { learningRateAt } from "../../core/optim/schedule.ts";
import type { AdaptedModel, AdaptOptions } from "../../core/model/open-model.ts";
import { Trainer } from "../../core/train/trainer.ts";
import type { Profile } from "./profile.ts";
import type { BatchLoss, WeightedBatch } from "../../core/tasks/batch.ts";

/**
 * As for the peer: ranks 12 to 8, pruning at every step after the first, the checkpoint's dropout.
 */
export const INITIAL_RANK = 12;
const [TARGET_RANK, ORTHOGONALITY, STEPS, FINAL] = [8, 0.1, 1000, 100];

/** Options of the adapters, as for the peer. */
export const ADAPTERS: AdaptOptions = {
  method: "adalora",
  modules: null,
  rank: INITIAL_RANK,
  alpha: 32,
  dropout: 0,
};

/** How training steps are run and profiled. */
export interface StepOptions {
  /** Whether backward recomputes activations. */
  readonly checkpointing: boolean;
  readonly profile?: Profile | undefined;
}

/** Returns a function that runs one whole AdaLoRA step on a batch and returns the task's loss. */
export function trainingStep<Batch extends WeightedBatch>(
  backend: Backend,
  { adapters, trained }: AdaptedModel,
  lossOf: BatchLoss<Batch>,
  { checkpointing, profile }: StepOptions,
): (batch: Batch) => number {
  const watched: BatchLoss<Batch> = (pass, batch) =>
    profile ? profile.phase("forward", () => lossOf(pass, batch)) : lossOf(pass, batch);
  const trainer = new Trainer<Batch>(
    backend,
    { adapters, trained, lossOf: watched },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      learningRate: (step) =>
        learningRateAt(step, { name: "linear", base: 1e-3, warmup: 10, total: STEPS }),
      maxGradNorm: 1,
      orthogonality: ORTHOGONALITY,
      seed: 0,
      checkpointing,
      allocator: {
        rule: adaloraAllocator,
        schedule: {
          initial: INITIAL_RANK * adapters.length,
          target: TARGET_RANK * adapters.length,
          warmup: 0,
          finalTuning: FINAL,
          interval: 1,
          steps: STEPS,
        },
        beta1: 0.85,
        beta2: 0.85,
        importance: "ipt",
        semantics: "reference",
      },
    },
  );
  return (batch) => trainer.step([batch]).taskLoss;
}
