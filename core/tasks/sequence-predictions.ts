import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import { submissionText } from "../data/glue-submission.ts";
import type { GlueTask } from "../data/glue-tasks.ts";
import { ForwardPass } from "../forward-pass.ts";
import { classReport } from "../metrics/class-report.ts";
import { argmax } from "../metrics/classification.ts";
import { explainMetrics, glueMetrics, type TaskMetrics } from "../metrics/glue-metrics.ts";
import type { Model, SequenceHeadKind } from "../model/plugin.ts";
import { checkFiniteRows } from "./finite-rows.ts";
import { checkStop } from "../stopped.ts";
import { sequenceBatch, type SequenceExamples } from "./sequence-examples.ts";
import { inTaskOrder, type SequenceOutputs, softmax } from "./sequence-outputs.ts";
import type { Evaluation, PredictOptions, Predictions } from "./task.ts";

/** A split and the task it is predicted for. */
export interface SequenceSplit {
  readonly set: SequenceExamples;
  readonly glue: GlueTask | undefined;
  readonly kind: SequenceHeadKind;
  /** Whether it holds all rows of its file, as a submission requires. */
  readonly isWhole: boolean;
}

/**
 * Runs the model over a split in batches bucketed by length, without a tape. Yields to the event
 * loop after each batch, since a large split takes minutes. Throws E_NOT_FINITE, with the rows, for
 * outputs that are not finite.
 */
export async function predictSequences(
  backend: Backend,
  model: Model,
  split: SequenceSplit,
  { order, ...options }: PredictOptions,
): Promise<SequencePredictions> {
  const width = outputWidth(split.kind, split.set.labelNames);
  const outputs = await sequenceOutputs(backend, model, split.set, { ...options, width });
  const what = split.kind === "regression" ? "scores" : "logits";
  checkFiniteRows({ split: split.set.name, what }, split.set.lengths.length, (row) =>
    outputs.logits.subarray(row * width, (row + 1) * width),
  );
  return new SequencePredictions(split, order ? inTaskOrder(outputs, order) : outputs);
}

/** Logits and predicted value of every row; width: the model's output width. */
export async function sequenceOutputs(
  backend: Backend,
  model: Model,
  set: Pick<SequenceExamples, "lengths" | "tokens" | "labels">,
  {
    width,
    batchSize,
    onBatch,
    stopRequested,
  }: Omit<PredictOptions, "order"> & { readonly width: number },
): Promise<SequenceOutputs> {
  const rows = set.lengths.length;
  const logits = new Float64Array(rows * width);
  let done = 0;
  for (const batch of evaluationBatches(set.lengths, batchSize)) {
    checkStop(stopRequested);
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const output = backend.download(model.forward(pass, sequenceBatch(set, batch)).buffer);
      batch.forEach((row, i) =>
        logits.set(output.subarray(i * width, (i + 1) * width), row * width),
      );
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

/** The prediction of one row: a line of predictions.jsonl. */
export interface SequenceRecord {
  readonly index: number;
  /** The row's own class or score, if known. */
  readonly label?: string | number;
  readonly prediction: string | number;
  /** Of each class, by name, in the order of the logits. */
  readonly probabilities?: Readonly<Record<string, number>>;
  /** [width] */
  readonly logits: readonly number[];
}

/** Predicted classes or scores, one per row. */
export class SequencePredictions implements Predictions {
  readonly outputs: SequenceOutputs;
  readonly #split: SequenceSplit;

  constructor(split: SequenceSplit, outputs: SequenceOutputs) {
    this.#split = split;
    this.outputs = outputs;
  }

  /** Classes by name with their probabilities, or scores; the label too where the row has one. */
  get records(): readonly SequenceRecord[] {
    const { logits, width, values } = this.outputs;
    const { kind, set } = this.#split;
    const isScore = kind === "regression";
    const nameOf = (value: number) => (isScore ? value : (set.labelNames?.[value] ?? value));
    return set.examples.map(({ index, label }) => {
      const row = Array.from(logits.subarray(index * width, (index + 1) * width));
      const named = softmax(row).map((probability, i) => [nameOf(i), probability] as const);
      return {
        index,
        ...(label === undefined ? {} : { label: nameOf(label) }),
        prediction: nameOf(values[index]!),
        ...(isScore ? {} : { probabilities: Object.fromEntries(named) }),
        logits: row,
      };
    });
  }

  /** The GLUE submission file, for a whole test split. */
  get files(): ReadonlyMap<string, string> {
    const { glue, set, isWhole } = this.#split;
    const file = glue?.splits.find(({ name }) => name === set.name)?.submission;
    if (!glue || file === undefined || !isWhole) return new Map();
    return new Map([[file, submissionText(glue, this.outputs.values)]]);
  }

  evaluate(): Evaluation {
    const { set, kind } = this.#split;
    const { name, labels } = set;
    if (!labels) throw new Error(`internal: split ${name} has no labels to score against`);
    const task = taskMetrics(this.#split, this.outputs.width);
    const lossOf = kind === "regression" ? squaredError : negativeLogLikelihood;
    return {
      split: name,
      metrics: glueMetrics(task, this.outputs.values, labels),
      loss: lossOf(this.outputs, labels),
      ...this.#classes(labels),
      warnings: explainMetrics(task, this.outputs.values, labels),
      predictions: this,
    };
  }

  #classes(labels: Float64Array): Pick<Evaluation, "classes"> {
    const { kind, set } = this.#split;
    if (kind === "regression") return {};
    const { values, width } = this.outputs;
    const names = set.labelNames ?? Array.from({ length: width }, (_, i) => String(i));
    return { classes: classReport(values, labels, names) };
  }
}

/**
 * The metrics of a task: GLUE's, or for the user's own data accuracy (with F1 for two classes) and,
 * for scores, correlations.
 */
export function taskMetrics(
  { glue, kind }: { readonly glue: GlueTask | undefined; readonly kind: SequenceHeadKind },
  classes: number,
): TaskMetrics {
  if (glue) return glue;
  if (kind === "regression") return { metrics: ["pearson", "spearmanr"] };
  return { metrics: classes === 2 ? ["accuracy", "f1"] : ["accuracy"] };
}

/** Width of the output of one sequence: 1 for a score, else the number of classes. */
export function outputWidth(
  kind: SequenceHeadKind,
  labelNames: readonly string[] | undefined,
): number {
  return kind === "regression" ? 1 : (labelNames?.length ?? 2);
}

/** The share of the most frequent class; undefined for scores. */
export function majorityShare(labels: Float64Array, task: SequenceHeadKind): number | undefined {
  if (task === "regression") return undefined;
  return majorityOf(labels).count / labels.length;
}

/** The task's metrics of a constant prediction: the most frequent class, or the mean score. */
export function baselineMetrics(
  labels: Float64Array,
  task: { readonly glue: GlueTask | undefined; readonly kind: SequenceHeadKind },
  classes: number,
): Record<string, number> {
  const mean = () => labels.reduce((sum, label) => sum + label, 0) / labels.length;
  const constant = task.kind === "regression" ? mean() : majorityOf(labels).label;
  return glueMetrics(
    taskMetrics(task, classes),
    labels.map(() => constant),
    labels,
  );
}

/** The most frequent class, the first one that occurs among equals. */
function majorityOf(labels: Float64Array): { readonly label: number; readonly count: number } {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  let best = { label: 0, count: 0 };
  for (const [label, count] of counts) if (count > best.count) best = { label, count };
  return best;
}

function squaredError({ values }: SequenceOutputs, labels: Float64Array): number {
  return values.reduce((sum, value, i) => sum + (value - labels[i]!) ** 2, 0) / labels.length;
}

function negativeLogLikelihood({ logits, width }: SequenceOutputs, labels: Float64Array): number {
  let total = 0;
  labels.forEach((label, i) => {
    const row = logits.subarray(i * width, (i + 1) * width);
    const highest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((a, b) => a + Math.exp(b - highest), 0);
    total += Math.log(sum) + highest - row[label]!;
  });
  return total / labels.length;
}
