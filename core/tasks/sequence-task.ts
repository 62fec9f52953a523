import { basename, extname } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import type { columnSettings } from "../config/settings.ts";
import { sequenceTaskNames } from "../config/task-names.ts";
import { type ExampleSet, type ReadSpec, readExamples } from "../data/examples.ts";
import { type GlueColumns, type GlueTask, glueTasks, isGlueTask } from "../data/glue-tasks.ts";
import { pickRows, stratifiedRows } from "../data/hold-out.ts";
import { locateSplits, namedSplits } from "../data/splits.ts";
import { commandLineSplit } from "../data/command-line-split.ts";
import { errors } from "../errors.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { SequenceHeadKind } from "../model/plugin.ts";
import { chosenRows, rowLimit } from "./row-limit.ts";
import { sequenceDataset } from "./sequence-dataset.ts";
import { tokenizeExamples } from "./sequence-examples.ts";
import { outputWidth, type SequenceSplit, taskMetrics } from "./sequence-predictions.ts";
import { columnOptions } from "./task-options.ts";
import type { Task, SplitText, TaskDefinition, TaskSpec } from "./task.ts";

/** How the data are read; null: the task's default. */
export type SequenceOptions = Pick<
  RunConfig,
  | keyof typeof columnSettings
  | "limit"
  | "evalLimit"
  | "trainLimit"
  | "evalFraction"
  | "tuneFraction"
  | "labels"
>;

/**
 * A task with one output per sequence: one of GLUE's, or "classification" or "regression" on the
 * user's own data.
 */
export function sequenceTask(name: string, settings: SequenceOptions): Task {
  const glue = isGlueTask(name) ? glueTasks[name] : undefined;
  const kind = glue?.kind ?? (name === "regression" ? "regression" : "classification");
  return {
    name,
    kind,
    hub: glue && { id: "nyu-mll/glue", config: glue.name },
    maxLength: glue?.maxLength,
    labelNames: glue?.labelNames,
    locate({ path, splits }, validation) {
      const found = { task: glue, validation };
      return splits === undefined ? locateSplits(path, found) : namedSplits(splits, found);
    },
    fromWords: (words) => commandLineSplit([rowOfWords(words, name, glue, settings)]),
    splitNameOf(path) {
      const stem = basename(path, extname(path)).replace(/-00000-of-00001$/, "");
      const found = glue?.splits.find(
        (split) => stem === split.name || stem === stemOf(split.file),
      );
      return found?.name;
    },
    async read(split, labels, labelNames) {
      const limit = rowLimit(split, settings);
      const spec = { ...readSpec(settings, glue, kind, labels), ...(labelNames && { labelNames }) };
      const set = await readExamples(split, { ...spec, limit });
      const isWhole = limit === undefined;
      const text = splitText(split.name, set, { name, glue, kind, isWhole });
      return chosenRows(text, split, settings);
    },
    spec: (labelNames) => specOf({ glue, kind }, labelNames),
  };
}

/** GLUE's tasks, "classification" and "regression". */
export const sequenceTasks: readonly TaskDefinition[] = sequenceTaskNames.map((name) => ({
  name,
  kind: "sequence",
  create: (options) => sequenceTask(name, options),
}));

// --- internal ---

const stemOf = (file: string) => basename(file, extname(file));

type TextColumns = Pick<GlueColumns, "text" | "pair">;

/** One row of a text and, for a pair task, its second text, keyed by column names. */
function rowOfWords(
  words: readonly string[],
  task: string,
  glue: GlueTask | undefined,
  { textColumn, pairColumn }: SequenceOptions,
): Readonly<Record<string, string>> {
  const [text = "", pair, extra] = words;
  const columns: TextColumns =
    glue?.tsv.columns ?? (pair === undefined ? singleColumns : pairColumns);
  const textName = textColumn ?? columns.text;
  // Column names set by the user decide whether there is a second text.
  const pairName = pairColumn ?? (textColumn === null || glue ? columns.pair : undefined);
  if (pair === undefined && pairName !== undefined) {
    throw errors.missing("second text", `${task} takes a pair of texts: pass both as arguments`);
  }
  const unexpected = pairName === undefined ? pair : extra;
  if (unexpected !== undefined) throw errors.argument(unexpected, pairName ? "TEXT TEXT" : "TEXT");
  if (pair === undefined || pairName === undefined) return { [textName]: text };
  return { [textName]: text, [pairName]: pair };
}

/** Default column names of the user's own data. */
const singleColumns: TextColumns = { text: "text" };
const pairColumns: TextColumns = { text: "sentence1", pair: "sentence2" };

function splitText(
  name: string,
  set: ExampleSet,
  task: Pick<SequenceSplit, "glue" | "kind" | "isWhole"> & { readonly name: string },
): SplitText {
  const tokenize = async (files: TokenizeOptions) =>
    sequenceDataset(await tokenizeExamples(name, set, files), task);
  return {
    name,
    featureCount: set.examples.length,
    labelNames: set.labelNames,
    kept: set.kept,
    parts: {
      rows: set.examples.length,
      // scores are not classes: all rows are of one kind
      holdOut: (options) =>
        stratifiedRows(
          set.examples.map(({ label = 0 }) => (task.kind === "regression" ? 0 : label)),
          options,
        ),
      select(part, rows) {
        const picked = pickRows(set, rows, name);
        return splitText(part, { ...set, ...picked }, { ...task, isWhole: false });
      },
    },
    forTraining: tokenize,
    forPrediction: tokenize,
  };
}

function specOf(
  task: { readonly glue: GlueTask | undefined; readonly kind: SequenceHeadKind },
  labelNames: readonly string[] | undefined,
): TaskSpec {
  const width = outputWidth(task.kind, labelNames);
  const { metrics } = taskMetrics(task, width);
  return {
    kind: task.kind,
    width,
    labelNames: task.kind === "regression" ? undefined : labelNames,
    metrics: [...metrics, ...(metrics.length > 1 ? ["combined_score"] : []), "loss"],
    defaultMetric: metrics.length > 1 ? "combined_score" : (metrics[0] ?? "loss"),
    peftType: "SEQ_CLS",
  };
}

function readSpec(
  options: SequenceOptions,
  task: GlueTask | undefined,
  kind: SequenceHeadKind,
  labels: ReadSpec["labels"],
): ReadSpec {
  return {
    task,
    kind,
    labels,
    ...columnOptions(options),
    ...(options.labels === null ? {} : { labelNames: options.labels }),
  };
}
