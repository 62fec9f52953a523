import { type SpanTaskName, spanTaskNames, defaultMaxLengths } from "../config/task-names.ts";
import { groupedRows, pickRows } from "../data/hold-out.ts";
import { namedSplits } from "../data/splits.ts";
import { locateSquadSplits } from "../data/squad-splits.ts";
import { readSquad, type SquadSet, squadColumns } from "../data/squad.ts";
import { commandLineSplit } from "../data/command-line-split.ts";
import { errors } from "../errors.ts";
import { chosenRows, rowLimit } from "./row-limit.ts";
import { spanPredictionSet, type SpanSettings, spanTrainingSet } from "./span-dataset.ts";
import { columnOptions, type TaskOptions } from "./task-options.ts";
import type { Task, SplitText, TaskDefinition } from "./task.ts";

/** Hub data set of each task, and whether its questions may be unanswerable. */
const tasks = {
  squad: { hub: { id: "rajpurkar/squad", config: "plain_text" }, unanswerable: false },
  squad_v2: { hub: { id: "rajpurkar/squad_v2", config: "squad_v2" }, unanswerable: true },
} as const;

/** Metrics shown of an evaluation, named as in the official scripts. */
const metrics = {
  squad: ["exact_match", "f1"],
  squad_v2: ["exact", "f1", "HasAns_f1", "NoAns_f1", "best_exact", "best_f1"],
} as const;

/**
 * Extractive question answering: an answer is a span of the context or, in squad_v2, "no answer".
 */
export function spanTask(name: SpanTaskName, options: TaskOptions): Task {
  const { hub, unanswerable } = tasks[name];
  const settings: SpanSettings = { ...options, unanswerable };
  return {
    name,
    kind: "span",
    hub,
    maxLength: defaultMaxLengths.span,
    labelNames: undefined,
    locate({ path, splits }, validation) {
      const found = validation === undefined ? {} : { validation };
      if (splits !== undefined) return namedSplits(splits, found);
      return locateSquadSplits(path, unanswerable, found);
    },
    fromWords(words, context) {
      if (context === undefined) throw noContext(name);
      const columns = squadColumns(columnOptions(options));
      return commandLineSplit(
        words.map((word) => ({ [columns.question]: word, [columns.context]: context })),
      );
    },
    splitNameOf: () => undefined,
    async read(split, labels) {
      const limit = rowLimit(split, options);
      const set = await readSquad(split, {
        labels,
        unanswerable,
        limit,
        ...columnOptions(options),
      });
      return chosenRows(splitText(split.name, set, settings), split, options);
    },
    spec: () => ({
      kind: "span",
      width: 2,
      ...(settings.spanPadding === "none" ? {} : { paddedQueries: settings.spanPadding }),
      labelNames: undefined,
      metrics: metrics[name],
      defaultMetric: "f1",
      peftType: "QUESTION_ANS",
    }),
  };
}

/** SQuAD 1.1 and 2.0. */
export const spanTasks: readonly TaskDefinition[] = spanTaskNames.map((name) => ({
  name,
  kind: "span",
  create: (options) => spanTask(name, options),
}));

// --- internal ---

function noContext(task: string) {
  const hint = `--context FILE, or the text itself: ${task} extracts the answer from it`;
  return errors.missing("context", hint);
}

function splitText(name: string, set: SquadSet, settings: SpanSettings): SplitText {
  return {
    name,
    featureCount: undefined,
    labelNames: undefined,
    kept: set.kept,
    parts: {
      rows: set.examples.length,
      holdOut: (options) =>
        groupedRows(
          set.examples.map(({ context }) => context),
          options,
        ),
      select(part, rows) {
        const picked = pickRows(set, rows, name);
        const isLabelled = picked.examples.every(({ answers }) => answers !== undefined);
        return splitText(part, { ...set, ...picked, isLabelled }, settings);
      },
    },
    forTraining: (files) => spanTrainingSet(name, set, files, settings),
    forPrediction: (files) => spanPredictionSet(name, set, files, settings),
  };
}
