import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import { glueMetrics, explainMetrics, type Scored } from "../metrics/glue-metrics.ts";
import { argmax } from "../metrics/classification.ts";
import type { Model, SequenceTask } from "../plugin.ts";
import { Run } from "../run.ts";
import { type Dataset, batchOf } from "./dataset.ts";

/** What a model says of each row of a split. */
export interface Predictions {
  /** [n, width], in input order. */
  readonly logits: Float64Array;
  readonly width: number;
  /** [n]: the class with the largest logit, or the score. */
  readonly values: Float64Array;
}

export interface PredictOptions {
  /** Of the model's output. */
  readonly width: number;
  readonly batchSize: number;
  /** Hears how many rows are done. */
  readonly onBatch?: (done: number) => void;
}

/**
 * Runs the model over a split, without a tape, rows of like length together. Signals and timers get their turn after each batch:
 * a large split takes minutes.
 */
export async function predict(
  backend: Backend,
  model: Model,
  dataset: Dataset,
  { width, batchSize, onBatch }: PredictOptions,
): Promise<Predictions> {
  const rows = dataset.lengths.length;
  const logits = new Float64Array(rows * width);
  let done = 0;
  for (const batch of evaluationBatches(dataset.lengths, batchSize)) {
    const run = new Run(backend, { training: false });
    run.scope(() => {
      const got = backend.download(model.forward(run, batchOf(dataset, batch)).buffer);
      batch.forEach((row, i) => logits.set(got.subarray(i * width, (i + 1) * width), row * width));
    });
    onBatch?.((done += batch.length));
    await Bun.sleep(0);
  }
  const rowOf = (i: number) => logits.subarray(i * width, (i + 1) * width);
  const values = Float64Array.from({ length: rows }, (_, i) =>
    width === 1 ? logits[i]! : argmax(rowOf(i)),
  );
  return { logits, width, values };
}

export interface Evaluation {
  readonly split: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** The task loss alone: the orthogonality term belongs to training. */
  readonly loss: number;
  /** Why a metric does not mean what it seems to. */
  readonly remarks: readonly string[];
  readonly predictions: Predictions;
}

/** Predictions of a labelled split, scored. */
export function evaluate(
  dataset: Dataset,
  predictions: Predictions,
  scored: Scored,
  task: SequenceTask,
): Evaluation {
  const { labels } = dataset;
  if (!labels) throw new Error(`internal: split ${dataset.name} has no labels to be scored with`);
  return {
    split: dataset.name,
    metrics: glueMetrics(scored, predictions.values, labels),
    loss:
      task === "regression"
        ? squaredError(predictions, labels)
        : negativeLogLikelihood(predictions, labels),
    remarks: explainMetrics(scored, predictions.values, labels),
    predictions,
  };
}

/** The share of the most frequent class; undefined for scores. */
export function majorityShare(labels: Float64Array, task: SequenceTask): number | undefined {
  if (task === "regression") return undefined;
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Math.max(...counts.values()) / labels.length;
}

function squaredError({ values }: Predictions, labels: Float64Array): number {
  return values.reduce((sum, value, i) => sum + (value - labels[i]!) ** 2, 0) / labels.length;
}

function negativeLogLikelihood({ logits, width }: Predictions, labels: Float64Array): number {
  let total = 0;
  labels.forEach((label, i) => {
    const row = logits.subarray(i * width, (i + 1) * width);
    const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((a, b) => a + Math.exp(b - top), 0);
    total += Math.log(sum) + top - row[label]!;
  });
  return total / labels.length;
}
