import type { ForwardPass } from "../../core/forward-pass.ts";
import {
  type HeadKind,
  isGenerationModel,
  type Model,
  type SequenceHeadKind,
} from "../../core/model/plugin.ts";
import { packSequences, type TokenBatch } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { generationLoss } from "../../core/tasks/generation-loss.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { answerSpanLoss } from "../../core/tasks/span-loss.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { Example } from "./examples.ts";

/** How a task runs a model on examples. */
export interface TaskRunner {
  /** The model's logits, with one or more rows per example. */
  logits(pass: ForwardPass, examples: readonly Example[]): Tensor;
  /** The task's loss, [1]. */
  loss(pass: ForwardPass, examples: readonly Example[]): Tensor;
  /** Rows of the logits that belong to an example. */
  readonly rowsOf: (example: Example) => number;
}

/**
 * The runner of a task's model. `padded`: whether a span loss counts padded positions, whose rows
 * then follow those of all examples. Throws for a model that lacks the task's methods.
 */
export function taskRunner(
  task: HeadKind,
  model: Model,
  { typed, padded }: { readonly typed: boolean; readonly padded: boolean },
): TaskRunner {
  const pack = (examples: readonly Example[]) => packed(examples, typed, padded);
  if (task === "generation") return generationRunner(model, pack);
  return task === "span" ? spanRunner(model, pack) : sequenceRunner(task, model, pack);
}

/** Padded positions of each example where a loss counts them: none for the first. */
export const paddingOf = (examples: readonly Example[]): Int32Array =>
  Int32Array.from(examples, (_, b) => b);

// --- internal ---

type Pack = (examples: readonly Example[]) => TokenBatch;

function sequenceRunner(task: SequenceHeadKind, model: Model, pack: Pack): TaskRunner {
  return {
    logits: (pass, examples) => model.forward(pass, pack(examples)),
    loss: (pass, examples) =>
      sequenceLoss(model, task)(pass, {
        ...pack(examples),
        labels: examples.map(({ label }) => label),
      }),
    rowsOf: () => 1,
  };
}

function spanRunner(model: Model, pack: Pack): TaskRunner {
  return {
    logits: (pass, examples) => model.forward(pass, pack(examples)),
    loss: (pass, examples) =>
      answerSpanLoss(model)(pass, {
        ...pack(examples),
        starts: examples.map(({ start }) => start),
        ends: examples.map(({ end }) => end),
      }),
    rowsOf: ({ ids }) => ids.length,
  };
}

function generationRunner(model: Model, pack: Pack): TaskRunner {
  if (!isGenerationModel(model)) {
    throw new Error("build must return a model with encode, decode, decodeStep and loss");
  }
  const batchOf = (examples: readonly Example[]) => {
    const targets = examples.map(({ target }) => [...target, model.special.end]);
    return { ...pack(examples), ...packTargets(targets, model.special) };
  };
  return {
    logits: (pass, examples) => model.forward(pass, batchOf(examples)),
    loss: (pass, examples) => generationLoss(model, { smoothing: 0.1 })(pass, batchOf(examples)),
    rowsOf: ({ target }) => target.length + 1,
  };
}

function packed(examples: readonly Example[], typed: boolean, padded: boolean): TokenBatch {
  const ids = examples.map((example) => example.ids);
  const types = typed ? examples.map(({ typeIds }) => typeIds) : undefined;
  const batch = packSequences(ids, types);
  const positions = Int32Array.from(examples.flatMap((example) => example.positions));
  return { ...batch, positions, ...(padded ? { padding: paddingOf(examples) } : {}) };
}
