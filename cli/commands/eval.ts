import { join } from "node:path";
import { classesJson } from "../../core/run/results.ts";
import { classesBySplit, intervalsBySplit, metricsOf } from "../../core/tasks/task.ts";
import { text, toggle } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { trainedArgument } from "../trained-argument.ts";
import { checkBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { classTable } from "../class-table.ts";
import { baselineLines, metricLine, metricLines } from "../metrics-text.ts";
import { printable } from "../printable.ts";
import type { Report } from "../report.ts";
import { type ResultsOut, resultsOut } from "../results-out.ts";
import { openSources } from "../sources.ts";
import {
  checkTaskOptions,
  labelColumn,
  splitSetting,
  textColumns,
  trainedOptions,
} from "../trained-options.ts";
import type { SplitPredictions } from "../trained-predictions.ts";
import { weightsText } from "../weights-text.ts";

const own = {
  ...trainedOptions,
  data: text(
    null,
    "labelled data: a folder, a file, or a data set on the hub (default: the run's)",
    {
      aliases: ["input", "data-dir"],
      hint: "PATH|org/name",
    },
  ),
  split: splitSetting(["validation", "test", "train"], "the split to evaluate"),
  ...textColumns,
  labelColumn,
  out: text(
    null,
    "a folder for metrics.json and predictions.jsonl, or a .csv, .tsv or .jsonl file for the predictions alone",
    { hint: "DIR|FILE" },
  ),
  overwrite: toggle(false, "replace the results in --out"),
};

/** `adalora eval`: a trained model's metrics on a labelled split. */
export const evaluation = defineCommand({
  usage: "[RUN|ADAPTER]",
  positionals: 1,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Reports the task's metrics and the loss, as run does. Options that are not given are those of the run that the adapter or model belongs to.",
    "RUN is the folder of a run, ADAPTER that of an adapter: the same as --adapter, or as --model for a run without adapters.",
    "A run with --eval-fraction or --tune-fraction is evaluated on the rows that it held out, all of them: the limits of the run do not apply.",
  ],
  examples: [
    "adalora eval runs/rte",
    "adalora eval --adapter runs/rte --data glue/RTE --split train --json",
    "adalora eval --model runs/rte-full --task rte --data dev.tsv",
  ],

  async run({ positionals, given, options }, report) {
    const { words, ...named } = trainedArgument(positionals, options);
    if (words[0] !== undefined) throw errors.argument(words[0], "[RUN|ADAPTER]");
    const out = resultsOut(options);
    checkBackend(options);
    const { openTrained } = await import("../../core/run/open-trained.ts");
    const { loadSplits, splitsFor } = await import("../trained-data.ts");
    const { predictAll } = await import("../trained-predictions.ts");
    const sources = openSources(report);
    const trained = await openTrained({ ...options, ...named }, sources);
    for (const warning of trained.warnings) report.warn(warning);
    checkTaskOptions(given, own, trained.task.name);
    const splits = await splitsFor(options, trained, sources);
    report.stage("reading and tokenizing the data");
    const loaded = await loadSplits(splits, trained, "required");
    const predicted = await predictAll(trained, loaded, options, report);
    const scores = score(predicted);
    for (const warning of scores.warnings) report.warn(warning);
    const { weightsOf } = trained;
    const result = {
      task: trained.task.name,
      ...(weightsOf && { which: weightsOf.which }),
      ...scores.result,
    };
    const files = out === null ? [] : await write(out, result, predicted, report);
    const classes = classTable(scores.classes, report.stdout);
    const lines = [
      ...metricLines(result.metrics, result.baseline?.["accuracy"], result.intervals),
      ...baselineLines(result.baseline ?? undefined, result.majority_baseline !== null),
      metricLine("rows", String(result.rows)),
      ...(weightsOf ? [metricLine("weights", weightsText(weightsOf))] : []),
      ...(classes === undefined ? [] : ["", classes, ""]),
      ...files.map(printable),
    ];
    report.result({ ...result, files }, lines.join("\n").trimEnd());
  },
});

function score(predicted: readonly SplitPredictions[]) {
  const evaluations = predicted.map(({ predictions }) => predictions.evaluate());
  const [intervals, classes] = [intervalsBySplit(evaluations), classesBySplit(evaluations)];
  return {
    warnings: evaluations.flatMap(({ warnings }) => warnings),
    classes,
    result: {
      metrics: Object.fromEntries(evaluations.map((one) => [one.split, metricsOf(one)])),
      ...(intervals && { intervals }),
      ...(classes && { classes: classesJson(classes) }),
      majority_baseline: predicted[0]?.dataset.majority ?? null,
      baseline: predicted[0]?.dataset.baseline ?? null,
      rows: predicted.reduce((sum, { dataset }) => sum + dataset.rows, 0),
    },
  };
}

async function write(
  out: ResultsOut,
  result: object,
  predicted: readonly SplitPredictions[],
  report: Report,
): Promise<readonly string[]> {
  const { writeJson } = await import("../../core/run/run-files.ts");
  const { writePredicted } = await import("../trained-predictions.ts");
  const files = writePredicted(out, predicted, report);
  if (out.format !== undefined) return files;
  const metrics = join(out.path, "metrics.json");
  writeJson(metrics, result);
  return [...files, metrics];
}
