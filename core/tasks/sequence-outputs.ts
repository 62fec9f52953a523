import { argmax } from "../metrics/classification.ts";
import type { ClassOrder } from "./class-order.ts";

/** A model's outputs for each row of a split. */
export interface SequenceOutputs {
  /** [n, width], in input order. */
  readonly logits: Float64Array;
  readonly width: number;
  /** [n]: the class with the largest logit, or the score. */
  readonly values: Float64Array;
}

/** Softmax of a row's logits, in f64. */
export function softmax(logits: ArrayLike<number>): number[] {
  const row = Array.from(logits);
  const highest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = row.map((logit) => Math.exp(logit - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Reorders the classes of outputs from the model's order to the task's. */
export function inTaskOrder(outputs: SequenceOutputs, { columns }: ClassOrder): SequenceOutputs {
  if (columns === undefined) return outputs;
  const { logits, width, values } = outputs;
  const ordered = logits.map((_, i) => logits[i - (i % width) + columns[i % width]!]!);
  return {
    logits: ordered,
    width,
    values: values.map((_, row) => argmax(ordered.subarray(row * width, (row + 1) * width))),
  };
}
