import { join } from "node:path";
import type { Evaluation } from "../../core/train/evaluate.ts";
import type { TrainedModel } from "../../core/train/open-trained.ts";
import { choice, text } from "../../core/train/setting.ts";
import { settings } from "../../core/train/settings.ts";
import { checkBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { metricLine, metricLines } from "../metrics-text.ts";
import { checkResultsOut } from "../out-folder.ts";
import { openSources } from "../sources.ts";
import { textColumns, trainedOptions } from "../trained-options.ts";
import type { Predicted } from "../trained-predictions.ts";

/** `adalora eval`: a trained model's metrics on a labelled split. */
export const evaluation = defineCommand({
  usage: "",
  positionals: 0,
  settings: [],
  scripts: false,
  options: {
    ...trainedOptions,
    data: text(null, "labelled data: a folder, a file, or the hub's (default: the run's)", {
      also: ["input", "data-dir"],
      hint: "PATH|org/name",
    }),
    split: choice(["validation", "test", "train"], "validation", "which part of it"),
    ...textColumns,
    labelColumn: settings.labelColumn,
    out: text(null, "write metrics.json and predictions.jsonl there", { hint: "DIR" }),
  },
  notes: [
    "The metrics are those of run: the task's own, and the loss. What is not given is taken from the run that the adapter or the model lies in.",
  ],
  examples: [
    "adalora eval --adapter runs/rte",
    "adalora eval --adapter runs/rte --data glue/RTE --split train --json",
    "adalora eval --model runs/rte-full --task rte --data dev.tsv",
  ],

  async run({ options }, report) {
    if (options.out !== null) checkResultsOut(options.out);
    checkBackend(options);
    const { openTrained } = await import("../../core/train/open-trained.ts");
    const { loadSplits, splitsFor } = await import("../trained-data.ts");
    const { predictAll } = await import("../trained-predictions.ts");
    const sources = await openSources(report);
    const trained = await openTrained(options, sources);
    for (const warning of trained.warnings) report.warn(warning);
    const splits = await splitsFor(options, trained, sources);
    const datasets = await loadSplits(splits, options, trained, "required");
    const predicted = await predictAll(trained, datasets, options, report);
    const scores = await score(predicted, trained);
    for (const remark of scores.remarks) report.warn(remark);
    const result = { task: trained.task, ...scores.result };
    const files = options.out === null ? [] : await write(options.out, result, predicted, trained);
    const lines = [
      ...metricLines(result.metrics, result.majority_baseline ?? undefined),
      metricLine("rows", String(result.rows)),
      ...files,
    ];
    report.result({ ...result, files }, lines.join("\n"));
  },
});

async function score(predicted: readonly Predicted[], { spec }: TrainedModel) {
  const { evaluate, majorityShare } = await import("../../core/train/evaluate.ts");
  const evaluations = predicted.map(({ dataset, predictions }) =>
    evaluate(dataset, predictions, spec.scored, spec.kind),
  );
  const labels = predicted[0]?.dataset.labels;
  const ofSplit = ({ split, metrics, loss }: Evaluation) => [split, { ...metrics, loss }] as const;
  return {
    remarks: evaluations.flatMap(({ remarks }) => remarks),
    result: {
      metrics: Object.fromEntries(evaluations.map(ofSplit)),
      majority_baseline: (labels && majorityShare(labels, spec.kind)) ?? null,
      rows: predicted.reduce((sum, { dataset }) => sum + dataset.examples.length, 0),
    },
  };
}

async function write(
  out: string,
  result: object,
  predicted: readonly Predicted[],
  trained: TrainedModel,
): Promise<string[]> {
  const { writeJson } = await import("../../core/train/run-files.ts");
  const { writePredicted } = await import("../write-predicted.ts");
  const files = writePredicted(out, predicted, trained);
  const metrics = join(out, "metrics.json");
  writeJson(metrics, result);
  return [...files, metrics];
}
