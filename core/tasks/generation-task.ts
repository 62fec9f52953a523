import {
  type GenerationTaskName,
  generationTaskNames,
  defaultMaxLengths,
} from "../config/task-names.ts";
import { pickRows, stratifiedRows } from "../data/hold-out.ts";
import { locateSplits, namedSplits } from "../data/splits.ts";
import { readSummaries, type SummarySet, textColumns } from "../data/summaries.ts";
import { commandLineSplit } from "../data/command-line-split.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import { generationDataset } from "./generation-dataset.ts";
import { tokenizeSummaries } from "./generation-examples.ts";
import { generationMetrics } from "./generation-predictions.ts";
import { chosenRows, rowLimit } from "./row-limit.ts";
import { columnOptions, type TaskOptions } from "./task-options.ts";
import type { Task, SplitText, TaskDefinition } from "./task.ts";

/** Hub data set of each task, and the tokens of a text that its recipe reads. */
const tasks = {
  // The data set itself is a loading script; this branch is the hub's conversion to parquet.
  xsum: {
    hub: { id: "EdinburghNLP/xsum@refs/convert/parquet", config: undefined },
    maxLength: 768,
  },
  cnn_dailymail: { hub: { id: "abisee/cnn_dailymail", config: "3.0.0" }, maxLength: 1024 },
  summarization: { hub: undefined, maxLength: defaultMaxLengths.generation },
} as const;

/** Summarization. */
function generationTask(name: GenerationTaskName, settings: TaskOptions): Task {
  const { hub, maxLength } = tasks[name];
  return {
    name,
    kind: "generation",
    hub,
    maxLength,
    labelNames: undefined,
    locate({ path, splits }, validation) {
      const found = { validation };
      return splits === undefined ? locateSplits(path, found) : namedSplits(splits, found);
    },
    fromWords(words) {
      const column = settings.textColumn ?? textColumns[0];
      return commandLineSplit(words.map((word) => ({ [column]: word })));
    },
    splitNameOf: () => undefined,
    async read(split, labels) {
      const set = await readSummaries(split, {
        labels,
        limit: rowLimit(split, settings),
        ...columnOptions(settings),
      });
      return chosenRows(splitText(split.name, set, settings), split, settings);
    },
    spec: () => ({
      kind: "generation",
      width: 0,
      labelNames: undefined,
      metrics: [...generationMetrics, "loss"],
      // As in the first summarization scripts of transformers.
      defaultMetric: "rouge2",
      peftType: "SEQ_2_SEQ_LM",
    }),
  };
}

/** XSum, CNN/DailyMail and "summarization". */
export const generationTasks: readonly TaskDefinition[] = generationTaskNames.map((name) => ({
  name,
  kind: "generation",
  create: (options) => generationTask(name, options),
}));

// --- internal ---

function splitText(name: string, set: SummarySet, settings: TaskOptions): SplitText {
  const tokenize = async (files: TokenizeOptions) =>
    generationDataset(await tokenizeSummaries(name, set, files, settings), files, settings);
  return {
    name,
    featureCount: set.examples.length,
    labelNames: undefined,
    kept: set.kept,
    parts: {
      rows: set.examples.length,
      holdOut: (options) => stratifiedRows(new Uint8Array(set.examples.length), options),
      select(part, rows) {
        const picked = pickRows(set, rows, name);
        const isLabelled = picked.examples.every(({ summary }) => summary !== undefined);
        return splitText(part, { ...set, ...picked, isLabelled }, settings);
      },
    },
    forTraining: tokenize,
    forPrediction: tokenize,
  };
}
