import type { Hash } from "node:crypto";
import type { Backend } from "../backend.ts";
import type { TaskKind } from "../config/task-names.ts";
import type { ClassCount } from "../data/class-names.ts";
import type { DataLocation, HubData } from "../data/data-location.ts";
import type { DataSplit, ReadSpec } from "../data/examples.ts";
import type { KeptCells } from "../data/kept-columns.ts";
import type { LengthFlag } from "../data/summary-features.ts";
import type { HoldOutOptions } from "../data/hold-out.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Interval } from "../metrics/bootstrap.ts";
import type { ClassReport } from "../metrics/class-report.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { Model, HeadKind } from "../model/plugin.ts";
import type { PaddedQueries } from "../ops/padding-rows.ts";
import type { StopRequested } from "../stopped.ts";
import type { Tensor } from "../tensor.ts";
import type { WeightedBatch } from "./batch.ts";
import type { ClassOrder } from "./class-order.ts";
import type { PaddedQueriesOption } from "./padded-queries.ts";
import type { TaskOptions } from "./task-options.ts";

/** An entry of the task registry. */
export interface TaskDefinition {
  /** The value of --task. */
  readonly name: string;
  readonly kind: TaskKind;
  create(options: TaskOptions): Task;
}

/** A task: where its data are, how they are read, and what it requires of a model. */
export interface Task {
  /**
   * A recipe's name, or "classification", "regression" or "summarization" for the user's own data.
   */
  readonly name: string;
  readonly kind: HeadKind;
  /** The task's data set on the hub. */
  readonly hub: HubData | undefined;
  /** Default tokens per feature. */
  readonly maxLength: number | undefined;
  /** Class names fixed by the task. */
  readonly labelNames: readonly string[] | undefined;
  /**
   * Finds the splits of a data set, in the order train, validation, test. Throws E_FILE if there
   * are none.
   */
  locate(place: DataLocation, validation?: string): readonly DataSplit[];
  /**
   * A split made from command-line arguments: texts, or questions on a context. Throws E_FLAG or
   * E_CONFIG if the task takes different arguments.
   */
  fromWords(words: readonly string[], context: string | undefined): DataSplit;
  /** The task's split that a file name belongs to. */
  splitNameOf(path: string): string | undefined;
  /** Reads and checks a split; labelNames: the classes of the training set or the model. */
  read(
    split: DataSplit,
    labels: ReadSpec["labels"],
    labelNames?: readonly string[],
  ): Promise<SplitText>;
  /** What the task requires of a model; labelNames: the classes, once known. */
  spec(labelNames: readonly string[] | undefined): TaskSpec;
}

/** What a task requires of a model. */
export interface TaskSpec {
  readonly kind: HeadKind;
  /** Width of the model's output. */
  readonly width: number;
  /** What padding attends to, if the loss counts it. */
  readonly paddedQueries?: PaddedQueriesOption;
  readonly labelNames: readonly string[] | undefined;
  /** Metrics that an evaluation shows and --metric accepts; its files may hold more. */
  readonly metrics: readonly string[];
  /** The metric that picks the best evaluation by default. */
  readonly defaultMetric: string;
  /** PEFT's task type. */
  readonly peftType: "SEQ_CLS" | "QUESTION_ANS" | "SEQ_2_SEQ_LM";
}

/** A spec resolved for a concrete model. */
export interface RunSpec extends TaskSpec {
  readonly paddedQueries: PaddedQueries | undefined;
}

/** A split, read and checked but not yet tokenised. */
export interface SplitText {
  readonly name: string;
  /** Number of features; undefined if it depends on the tokenizer. */
  readonly featureCount: number | undefined;
  readonly labelNames: readonly string[] | undefined;
  /** [rows] the cells that the split keeps, if it keeps any. */
  readonly kept?: readonly KeptCells[] | undefined;
  /** Divides it by rows; undefined if the task can't. */
  readonly parts?: SplitParts;
  /**
   * Tokenises for training. Throws E_FLAG, E_TOKENIZE or E_FILE if texts do not fit the lengths or
   * the model.
   */
  forTraining(files: TokenizeOptions): Promise<TrainingSet>;
  /** Tokenises for prediction; throws as `forTraining`. */
  forPrediction(files: TokenizeOptions): Promise<PredictionSet>;
}

/** How a split is divided into parts of its rows. */
export interface SplitParts {
  readonly rows: number;
  /** Indices of rows to hold out for evaluation. Throws E_FLAG if there are none. */
  holdOut(options: HoldOutOptions): readonly number[];
  /** These rows as a split. Throws E_FILE if there is no such row. */
  select(name: string, rows: readonly number[]): SplitText;
}

/**
 * A tokenised split. A feature is what a model reads as one sequence: an example, or a window of a
 * long one; a row is an example of the input.
 */
export interface Dataset {
  /** The split's name, "validation_matched". */
  readonly name: string;
  readonly rows: number;
  /** Token count of each feature, [features]. */
  readonly lengths: Int32Array;
  /** Whether every row has a label; those of a test split have none. */
  readonly isLabelled: boolean;
  /** Texts that the model reads as one sequence: 1, or 2 for pairs; undefined for other tasks. */
  readonly textsPerRow?: number | undefined;
  /** Share of the most frequent class. */
  readonly majority: number | undefined;
  /**
   * The task's metrics of a constant prediction: the most frequent class, or the mean score; NaN
   * where one is undefined then. Undefined for other tasks and without labels.
   */
  readonly baseline: Readonly<Record<string, number>> | undefined;
  readonly warnings: readonly string[];
  /** Memory footprint. */
  readonly bytes: number;
  /** What it holds; `samples`: how many of its first features to include. */
  overview(samples: number): Overview;
}

/** What a split holds, for people to check. */
export interface Overview {
  /** The classes and their rows; undefined without classes or labels. */
  readonly classes: readonly ClassCount[] | undefined;
  readonly lengths: readonly TokenLengths[];
  readonly samples: readonly Sample[];
}

/** Lengths of what a row consists of, and the rows that are too long. */
export interface TokenLengths {
  /** A window is a part of a row's context. */
  readonly of: "text" | "summary" | "window";
  /** The option that limits them, and its value. */
  readonly flag: LengthFlag;
  readonly limit: number;
  /** Tokens of each one before truncation, special ones included. */
  readonly tokens: Int32Array;
  /** Rows that are too long: truncated, or read as several windows. */
  readonly tooLong: number;
}

/** A feature as the model reads it. */
export interface Sample {
  /** [T]. */
  readonly ids: Int32Array;
  /** A class, score or answer; for summaries their ids. Undefined without a label. */
  readonly label: string | Int32Array | undefined;
}

/** A split to train on, indexed by feature. */
export interface TrainingSet extends Dataset {
  /** Feeds everything that training depends on into a hash. */
  digest(hash: Hash): void;
  /** The batch of some features, by index. */
  batch(features: ArrayLike<number>): TrainingBatch;
}

/** A split to predict, with one result per row of the input. */
export interface PredictionSet extends Dataset {
  /**
   * Runs an evaluation batch without reading its results, to measure the memory of an evaluation.
   */
  forward(pass: ForwardPass, model: Model, features: ArrayLike<number>): void;
  /** Predicts every row. */
  predict(backend: Backend, model: Model, options: PredictOptions): Promise<Predictions>;
}

/** A batch of features and its loss. */
export interface TrainingBatch extends WeightedBatch {
  readonly tokens: number;
  /** The mean loss of the batch, [1]. */
  loss(pass: ForwardPass, model: Model): Tensor;
}

/** Options of a prediction. */
export interface PredictOptions {
  readonly batchSize: number;
  /** Called after each batch with the number of features done so far. */
  readonly onBatch?: (done: number) => void;
  /** Maps the model's classes to the task's. */
  readonly order?: ClassOrder;
  /** Polled between batches and decode steps; on true the prediction throws `Stopped`. */
  readonly stopRequested?: StopRequested;
}

/** A model's predictions for a split. */
export interface Predictions {
  /** One JSON object per row, in input order: the lines of predictions.jsonl. */
  readonly records: readonly object[];
  /** Further output files in the formats of the official scripts: name -> contents. */
  readonly files: ReadonlyMap<string, string>;
  /** Scores the predictions. Throws if the split has no labels. */
  evaluate(): Evaluation;
}

/** Predictions of a labelled split, scored. */
export interface Evaluation {
  readonly split: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** 95 % confidence intervals of some of the metrics, by name; absent if the task computes none. */
  readonly intervals?: Readonly<Record<string, Interval>>;
  /** Task loss without the orthogonality term; undefined if the task's evaluation computes none. */
  readonly loss: number | undefined;
  /** For classification: the scores of each class. */
  readonly classes?: ClassReport;
  /** Caveats: metrics that are undefined, or defined by convention. */
  readonly warnings: readonly string[];
  readonly predictions: Predictions;
}

/** An evaluation's metrics by name, the loss last. */
export function metricsOf({ metrics, loss }: Evaluation): Record<string, number> {
  return loss === undefined ? { ...metrics } : { ...metrics, loss };
}

/** The reports on the classes, by split; undefined if the task has none. */
export function classesBySplit(evaluations: readonly Evaluation[]): SplitClasses | undefined {
  const found = evaluations.flatMap(({ split, classes }) =>
    classes === undefined ? [] : [[split, classes] as const],
  );
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Reports on classes, by split. */
export type SplitClasses = Readonly<Record<string, ClassReport>>;

/** The confidence intervals of evaluations, by split and metric; undefined if none has any. */
export function intervalsBySplit(evaluations: readonly Evaluation[]): SplitIntervals | undefined {
  const found = evaluations.flatMap(({ split, intervals }) =>
    intervals === undefined ? [] : [[split, intervals] as const],
  );
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Confidence intervals by split and metric. */
export type SplitIntervals = Readonly<Record<string, Readonly<Record<string, Interval>>>>;
