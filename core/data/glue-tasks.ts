// The GLUE tasks as data: columns, labels, metrics, official files. Label order follows the hub
// (nyu-mll/glue).

type GlueTaskName = "cola" | "sst2" | "mrpc" | "stsb" | "qqp" | "mnli" | "qnli" | "rte" | "wnli";

/** The role of a split; MNLI has two validation and two test splits. */
export type SplitRole = "train" | "validation" | "test";

interface GlueSplit {
  readonly role: SplitRole;
  /** The split's name on the hub: the stem of its parquet files. */
  readonly name: string;
  /** The file's name in the official GLUE folder. */
  readonly file: string;
  /** Test splits: the file's name inside a GLUE submission. */
  readonly submission?: string;
}

/** Names of the columns that a task reads. */
export interface GlueColumns {
  readonly text: string;
  readonly pair?: string;
  readonly label: string;
}

/** The official TSV layout. */
interface GlueTsv {
  readonly columns: GlueColumns;
  /** Field names, in order, where train and dev have no header (CoLA). Every test file has one. */
  readonly fields?: readonly string[];
}

/** A metric of GLUE, by its key in the `evaluate` library. */
export type GlueMetricName = "accuracy" | "f1" | "matthews_correlation" | "pearson" | "spearmanr";

/** A GLUE task: its columns, labels, metrics and official files. */
export interface GlueTask {
  readonly name: GlueTaskName;
  /** Its folder in the official release, "RTE". */
  readonly folder: string;
  readonly kind: "classification" | "regression";
  /** Class names by index; undefined for regression. */
  readonly labelNames: readonly string[] | undefined;
  /** Regression: the range of scores; a score outside it is a warning. */
  readonly scoreRange?: readonly [low: number, high: number];
  /** In the reference's order. If there are several, the combined score is their mean. */
  readonly metrics: readonly GlueMetricName[];
  /**
   * Tokens, special ones included: from the authors' scripts; wnli has no script and uses
   * run_glue's default.
   */
  readonly maxLength: number;
  /**
   * Columns of the hub's parquet files, and of any file with a header other than the official TSV.
   */
  readonly columns: GlueColumns;
  readonly tsv: GlueTsv;
  /**
   * The official release has rows broken by line breaks (QQP); they are skipped with a warning, as
   * on the hub.
   */
  readonly hasBrokenRows?: true;
  readonly splits: readonly GlueSplit[];
  /**
   * Format of a prediction in a submission: the class name, its index, or a score with 3 decimals.
   */
  readonly submission: "name" | "integer" | "score";
}

const splits = (folder: string): readonly GlueSplit[] => [
  { role: "train", name: "train", file: "train.tsv" },
  { role: "validation", name: "validation", file: "dev.tsv" },
  { role: "test", name: "test", file: "test.tsv", submission: `${folder}.tsv` },
];

const sentence = { text: "sentence", label: "label" } as const;
const sentences = { text: "sentence1", pair: "sentence2", label: "label" } as const;
const questions = { text: "question1", pair: "question2" } as const;
const questionSentence = { text: "question", pair: "sentence", label: "label" } as const;

/**
 * Every GLUE task by its recipe name. Sources: the official release, the hub's features, the
 * authors' scripts.
 */
export const glueTasks: Readonly<Record<GlueTaskName, GlueTask>> = {
  cola: {
    name: "cola",
    folder: "CoLA",
    kind: "classification",
    labelNames: ["unacceptable", "acceptable"],
    metrics: ["matthews_correlation"],
    maxLength: 64,
    columns: sentence,
    tsv: { columns: sentence, fields: ["source", "label", "source_mark", "sentence"] },
    splits: splits("CoLA"),
    submission: "integer",
  },
  sst2: {
    name: "sst2",
    folder: "SST-2",
    kind: "classification",
    labelNames: ["negative", "positive"],
    metrics: ["accuracy"],
    maxLength: 128,
    columns: sentence,
    tsv: { columns: sentence },
    splits: splits("SST-2"),
    submission: "integer",
  },
  mrpc: {
    name: "mrpc",
    folder: "MRPC",
    kind: "classification",
    labelNames: ["not_equivalent", "equivalent"],
    metrics: ["accuracy", "f1"],
    maxLength: 320,
    columns: sentences,
    tsv: { columns: { text: "#1 String", pair: "#2 String", label: "Quality" } },
    splits: splits("MRPC"),
    submission: "integer",
  },
  stsb: {
    name: "stsb",
    folder: "STS-B",
    kind: "regression",
    labelNames: undefined,
    scoreRange: [0, 5],
    metrics: ["pearson", "spearmanr"],
    maxLength: 128,
    columns: sentences,
    tsv: { columns: { ...sentences, label: "score" } },
    splits: splits("STS-B"),
    submission: "score",
  },
  qqp: {
    name: "qqp",
    folder: "QQP",
    kind: "classification",
    labelNames: ["not_duplicate", "duplicate"],
    metrics: ["accuracy", "f1"],
    maxLength: 320,
    columns: { ...questions, label: "label" },
    tsv: { columns: { ...questions, label: "is_duplicate" } },
    hasBrokenRows: true,
    splits: splits("QQP"),
    submission: "integer",
  },
  mnli: {
    name: "mnli",
    folder: "MNLI",
    kind: "classification",
    labelNames: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
    maxLength: 256,
    columns: { text: "premise", pair: "hypothesis", label: "label" },
    tsv: { columns: { ...sentences, label: "gold_label" } },
    splits: [
      { role: "train", name: "train", file: "train.tsv" },
      { role: "validation", name: "validation_matched", file: "dev_matched.tsv" },
      { role: "validation", name: "validation_mismatched", file: "dev_mismatched.tsv" },
      {
        role: "test",
        name: "test_matched",
        file: "test_matched.tsv",
        submission: "MNLI-m.tsv",
      },
      {
        role: "test",
        name: "test_mismatched",
        file: "test_mismatched.tsv",
        submission: "MNLI-mm.tsv",
      },
    ],
    submission: "name",
  },
  qnli: {
    name: "qnli",
    folder: "QNLI",
    kind: "classification",
    labelNames: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    maxLength: 512,
    columns: questionSentence,
    tsv: { columns: questionSentence },
    splits: splits("QNLI"),
    submission: "name",
  },
  rte: {
    name: "rte",
    folder: "RTE",
    kind: "classification",
    labelNames: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    maxLength: 320,
    columns: sentences,
    tsv: { columns: sentences },
    splits: splits("RTE"),
    submission: "name",
  },
  wnli: {
    name: "wnli",
    folder: "WNLI",
    kind: "classification",
    labelNames: ["not_entailment", "entailment"],
    metrics: ["accuracy"],
    maxLength: 128,
    columns: sentences,
    tsv: { columns: sentences },
    splits: splits("WNLI"),
    submission: "integer",
  },
};

/** Whether a name is a GLUE task (type guard). */
export function isGlueTask(name: string): name is GlueTaskName {
  return Object.hasOwn(glueTasks, name);
}
