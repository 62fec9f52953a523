import type { Hash } from "node:crypto";
import type { Backend } from "../backend.ts";
import type { DataPlace, HubData } from "../data/data-place.ts";
import type { DataSplit, ReadSpec } from "../data/examples.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { Model, Task } from "../model/plugin.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";
import type { ClassOrder } from "./class-order.ts";
import type { PaddedQueriesOption } from "./padded-queries.ts";
import type { WeightedBatch } from "./batch.ts";

/** A task as a run sees it, whatever it is: where its data are, how they are read, what it asks of a model. */
export interface RunTask {
  /** A recipe's name, or the kind of data of one's own. */
  readonly name: string;
  readonly kind: Task;
  /** The task's own data set on the hub. */
  readonly hub: HubData | undefined;
  /** Tokens of an example where nobody says. */
  readonly maxLength: number | undefined;
  /** The classes that the task itself names. */
  readonly labelNames: readonly string[] | undefined;
  /** The splits of some data, in the order train, validation, test. Throws E_FILE where there is none. */
  locate(place: DataPlace, validation?: string): readonly DataSplit[];
  /**
   * What is to be predicted of words of a command line: texts, or questions on a context. Throws E_FLAG or E_CONFIG where the task
   * has another use for them.
   */
  fromWords(words: readonly string[], context: string | undefined): DataSplit;
  /** The name of the task's split that a file's name stands for. */
  splitNameOf(path: string): string | undefined;
  /** Reads and checks a split; `labelNames` are the classes as the training set or the model has them. */
  read(
    split: DataSplit,
    labels: ReadSpec["labels"],
    labelNames?: readonly string[],
  ): Promise<SplitText>;
  /** What is asked of a model, once the classes are known. */
  spec(labelNames: readonly string[] | undefined): TaskSpec;
}

/** What a task asks of a model. */
export interface TaskSpec {
  readonly kind: Task;
  /** Width of the model's output. */
  readonly width: number;
  /** What padding attends to, where the loss counts it. */
  readonly paddedQueries?: PaddedQueriesOption;
  readonly labelNames: readonly string[] | undefined;
  /** Names of the numbers that an evaluation is told by, and judged by: there may be more in its files. */
  readonly metrics: readonly string[];
  /** The one that picks the best evaluation where nobody says. */
  readonly defaultMetric: string;
  /** PEFT's name for the kind of task. */
  readonly peftType: "SEQ_CLS" | "QUESTION_ANS" | "SEQ_2_SEQ_LM";
}

/** The same, settled for a model. */
export interface RunSpec extends TaskSpec {
  readonly paddedQueries: PaddedQueries | undefined;
}

/** A split that has been read and checked, but not tokenised. */
export interface SplitText {
  readonly name: string;
  /** Items that it is trained on; undefined where only the tokenizer can tell. */
  readonly featureCount: number | undefined;
  readonly labelNames: readonly string[] | undefined;
  /** Both throw E_FLAG, E_TOKENIZE or E_FILE where the texts do not fit the lengths or the model. */
  forTraining(files: TokenizeOptions): Promise<TrainingSet>;
  forPrediction(files: TokenizeOptions): Promise<PredictionSet>;
}

/** A split, read, checked and tokenised. An item is what a model sees as one sequence: an example or a window of a long one. */
export interface Dataset {
  /** The split's name, "validation_matched". */
  readonly name: string;
  readonly rows: number;
  /** [items] tokens of each. */
  readonly lengths: Int32Array;
  /** Whether every row has its label: a test split has none. */
  readonly isLabelled: boolean;
  /** Share of the most frequent class. */
  readonly majority: number | undefined;
  readonly warnings: readonly string[];
  /** What it takes in memory. */
  readonly bytes: number;
}

/** A split to be trained on, by item. */
export interface TrainingSet extends Dataset {
  /** Tells a hash all that training on it depends on. */
  digest(hash: Hash): void;
  batch(features: ArrayLike<number>): TrainingBatch;
}

/** A split to be predicted, by row of the input. */
export interface PredictionSet extends Dataset {
  /** The forward pass of an evaluation's batch: what it takes is what an evaluation takes. */
  forward(pass: ForwardPass, model: Model, features: ArrayLike<number>): void;
  predict(backend: Backend, model: Model, options: PredictOptions): Promise<Predictions>;
}

/** Packed rows and the loss that they are trained on. */
export interface TrainingBatch extends WeightedBatch {
  readonly tokens: number;
  /** The mean over its rows, [1]. */
  loss(pass: ForwardPass, model: Model): Tensor;
}

export interface PredictOptions {
  readonly batchSize: number;
  /** Hears how many items are done. */
  readonly onBatch?: (done: number) => void;
  /** Puts the model's classes into the task's order. */
  readonly order?: ClassOrder;
}

/** What a model says of each row of a split. */
export interface Predictions {
  /** A JSON object a row, in input order: the lines of predictions.jsonl. */
  readonly records: readonly object[];
  /** Contents of further files by their names, as the field's own scripts read them. */
  readonly files: ReadonlyMap<string, string>;
  /** Throws where the split has no labels. */
  evaluate(): Evaluation;
}

/** Predictions of a labelled split, scored. */
export interface Evaluation {
  readonly split: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** The task loss alone: the orthogonality term belongs to training. Undefined where the task's evaluation has none. */
  readonly loss: number | undefined;
  /** Why a metric does not mean what it seems to. */
  readonly warnings: readonly string[];
  readonly predictions: Predictions;
}

/** An evaluation's numbers by their names, the loss last. */
export function metricsOf({ metrics, loss }: Evaluation): Record<string, number> {
  return loss === undefined ? { ...metrics } : { ...metrics, loss };
}
