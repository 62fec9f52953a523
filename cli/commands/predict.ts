import type { DataSplit } from "../../core/data/examples.ts";
import { errors } from "../../core/errors.ts";
import type { Sources } from "../../core/train/model-files.ts";
import type { TrainedModel } from "../../core/train/open-trained.ts";
import { choice, text } from "../../core/train/setting.ts";
import { checkBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { checkResultsOut } from "../out-folder.ts";
import { openSources } from "../sources.ts";
import { textColumns, trainedOptions } from "../trained-options.ts";

/** `adalora predict`: what a trained model says of texts, labelled or not. */
export const predict = defineCommand({
  usage: "",
  positionals: 0,
  settings: [],
  scripts: false,
  options: {
    ...trainedOptions,
    input: text(null, "TSV, CSV, JSON lines or parquet; - is standard input", {
      hint: "FILE|-",
    }),
    data: text(null, "instead of --input: a folder, or a data set of the hub", {
      also: ["data-dir"],
      hint: "DIR|org/name",
    }),
    split: choice(["test", "validation", "train"], "test", "which part of --data"),
    ...textColumns,
    out: text(null, "write predictions.jsonl there, and GLUE's file for a test set", {
      hint: "DIR",
    }),
  },
  notes: [
    "Labels are not needed, and not read. Without --out the predictions are JSON lines on stdout. Without --input and --data: the test set of the run that the adapter or the model lies in.",
  ],
  examples: [
    "adalora predict --adapter runs/rte --input pairs.csv --out predictions",
    "adalora predict --adapter runs/rte --data glue/RTE --out submission",
    "cat pairs.tsv | adalora predict --adapter runs/rte --input -",
  ],

  async run({ options }, report) {
    const { input, data, out } = options;
    if (input !== null && data !== null) throw errors.alternatives("--input", "--data");
    if (out !== null) checkResultsOut(out);
    checkBackend(options);
    const { openTrained } = await import("../../core/train/open-trained.ts");
    const { loadSplits } = await import("../trained-data.ts");
    const { predictAll, writePredicted } = await import("../trained-predictions.ts");
    const sources = await openSources(report);
    const trained = await openTrained({ ...options, labelColumn: null }, sources);
    for (const warning of trained.warnings) report.warn(warning);
    const splits = await inputSplits(options, trained, sources);
    const datasets = await loadSplits(splits, trained, "ignored");
    const predicted = await predictAll(trained, datasets, options, report);
    const task = trained.task.name;
    const rows = datasets.reduce((sum, dataset) => sum + dataset.rows, 0);
    if (out === null) {
      const several = predicted.length > 1;
      const records = predicted.flatMap(({ dataset, predictions }) =>
        predictions.records.map((record) =>
          several ? { split: dataset.name, ...record } : record,
        ),
      );
      const lines = records.map((record) => JSON.stringify(record));
      report.result({ task, rows, predictions: records }, lines.join("\n"));
      return;
    }
    const files = writePredicted(out, predicted);
    report.result({ task, rows, files }, [`${rows} rows predicted`, ...files].join("\n"));
  },
});

async function inputSplits(
  options: {
    readonly input: string | null;
    readonly data: string | null;
    readonly split: "test" | "validation" | "train";
  },
  trained: TrainedModel,
  sources: Sources,
): Promise<readonly DataSplit[]> {
  const { input } = options;
  if (input === "-") {
    const source = { name: "standard input", bytes: await Bun.stdin.bytes() };
    return [{ name: "input", role: "test", files: [source] }];
  }
  if (input !== null) {
    const name = trained.task.splitNameOf(input) ?? "input";
    return [{ name, role: "test", files: [input] }];
  }
  const { splitsFor } = await import("../trained-data.ts");
  return splitsFor(options, trained, sources);
}
