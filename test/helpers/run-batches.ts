import { createReferenceBackend } from "../../core/backend/reference.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import type { Model } from "../../core/model/plugin.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { trainingOrder } from "../../core/train/order.ts";

/** The examples of one optimizer step: ids and token types of each, and their classes or scores. */
export interface StepExamples {
  readonly ids: readonly (readonly number[])[];
  /** Undefined for a model without token types. */
  readonly types: readonly (readonly number[])[] | undefined;
  readonly labels: readonly number[];
}

/** What each step of a classification run trains on, as the model would see it. */
export function batchesOf({ config, schedule, train }: PreparedRun): readonly StepExamples[] {
  const backend = createReferenceBackend();
  const order = trainingOrder(train.lengths, config);
  return Array.from({ length: schedule.steps }, (_, step) => {
    const [features, ...others] = order(step);
    if (!features || others.length > 0) throw new Error("one batch a step is wanted");
    return examplesOf(train.batch(features), backend);
  });
}

class Seen extends Error {
  readonly batch: TokenBatch & { readonly labels?: ArrayLike<number> };
  constructor(batch: TokenBatch) {
    super("seen");
    this.batch = batch;
  }
}

function examplesOf(
  batch: ReturnType<PreparedRun["train"]["batch"]>,
  backend: ReturnType<typeof createReferenceBackend>,
): StepExamples {
  const looking: Model = {
    forward(_, packed) {
      throw new Seen(packed);
    },
  };
  try {
    batch.loss(new ForwardPass(backend, { training: false }), looking);
  } catch (error) {
    if (!(error instanceof Seen)) throw error;
    const { ids, typeIds, offsets, labels = [] } = error.batch;
    const rowsOf = (values: Int32Array) =>
      Array.from(labels, (_, b) => Array.from(values.subarray(offsets[b], offsets[b + 1])));
    return {
      ids: rowsOf(ids),
      types: typeIds && rowsOf(typeIds),
      labels: Array.from(labels),
    };
  }
  throw new Error("the loss did not call the model");
}
