import { list, text, toggle } from "../../core/config/setting.ts";
import { trainedArgument } from "../trained-argument.ts";
import { checkBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { printable } from "../printable.ts";
import { resultsOut } from "../results-out.ts";
import { openSources } from "../sources.ts";
import { checkTaskOptions, splitSetting, textColumns, trainedOptions } from "../trained-options.ts";
import { weightsText } from "../weights-text.ts";

const own = {
  ...trainedOptions,
  context: text(null, "the context of questions given as arguments: a file, - or the text", {
    kinds: ["span"],
    hint: "FILE|TEXT",
  }),
  input: text(null, "TSV, CSV, JSON lines, SQuAD's JSON or parquet; - is standard input", {
    hint: "FILE|-",
  }),
  data: text(null, "instead of --input: a folder, or a data set on the hub", {
    aliases: ["data-dir"],
    hint: "DIR|org/name",
  }),
  split: splitSetting(["test", "validation", "train"], "the split of --data"),
  ...textColumns,
  keepColumns: list("columns of the input to carry through to the predictions", {
    hint: "all|A,B",
  }),
  out: text(
    null,
    "a .csv, .tsv or .jsonl file for the predictions, or a folder for predictions.jsonl and the task's submission files",
    { hint: "FILE|DIR" },
  ),
  overwrite: toggle(false, "replace the results in --out"),
};

/** `adalora predict`: a trained model's predictions for texts, labelled or not. */
export const predict = defineCommand({
  usage: "[RUN|ADAPTER] [TEXT…]",
  positionals: Infinity,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Predicts the TEXTs, the rows of --input or --data, or by default the test set of the run that the adapter or model belongs to. Labels are not read. Without --out the predictions are JSON lines on stdout.",
    "A first argument that is the folder of a run or of an adapter is the same as --adapter, or as --model for a run without adapters.",
    "A TEXT is a text to classify (two for a task about pairs), a question about --context, or a text to summarize. As a TEXT or as --context, - reads standard input as one plain text; as --input, as rows.",
  ],
  examples: [
    "adalora predict --adapter runs/rte --input pairs.csv --keep-columns all --out predictions.csv",
    "adalora predict --adapter runs/rte --data glue/RTE --out submission",
    "cat pairs.tsv | adalora predict --adapter runs/rte --input -",
    'adalora predict --adapter runs/rte "It rained all day." "It was wet."',
    'adalora predict --adapter runs/squad --context page.txt "Who won?" "When?"',
    "adalora predict --adapter runs/xsum - < article.txt",
  ],

  async run({ positionals, given, options }, report) {
    const { checkInput, inputSplits } = await import("../predict-input.ts");
    const { words, ...named } = trainedArgument(positionals, options);
    const requested = { ...options, words, isSplitGiven: given.has("split") };
    checkInput(requested);
    const out = resultsOut(options);
    checkBackend(options);
    const { openTrained } = await import("../../core/run/open-trained.ts");
    const { loadSplits } = await import("../trained-data.ts");
    const { allRecords, predictAll, writePredicted } = await import("../trained-predictions.ts");
    const sources = openSources(report);
    const trained = await openTrained({ ...options, ...named, labelColumn: null }, sources);
    for (const warning of trained.warnings) report.warn(warning);
    const { weightsOf } = trained;
    const weights = weightsOf?.other && `weights: ${weightsText(weightsOf)}`;
    // Predictions in a pipe are the whole output; a user at a terminal sees which weights.
    if (weights !== undefined && out === null && report.isLive) report.info(weights);
    checkTaskOptions(given, own, trained.task.name);
    const splits = await inputSplits(requested, trained, sources, report);
    report.stage("reading and tokenizing the data");
    const loaded = await loadSplits(splits, trained, "ignored");
    const predicted = await predictAll(trained, loaded, options, report);
    const task = trained.task.name;
    const rows = loaded.reduce((sum, { dataset }) => sum + dataset.rows, 0);
    const which = weightsOf && { which: weightsOf.which };
    if (out === null) {
      const records = allRecords(predicted);
      const lines = records.map((record) => JSON.stringify(record));
      report.result({ task, rows, ...which, predictions: records }, lines.join("\n"));
      return;
    }
    const files = writePredicted(out, predicted, report);
    const count = `${rows} ${rows === 1 ? "row" : "rows"} predicted`;
    const lines = [count, ...(weights === undefined ? [] : [weights]), ...files.map(printable)];
    report.result({ task, rows, ...which, files }, lines.join("\n"));
  },
});
