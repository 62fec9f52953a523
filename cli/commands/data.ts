import { statSync } from "node:fs";
import { dirname } from "node:path";
import { choice, integer, list, text } from "../../core/config/setting.ts";
import { defaultSettings } from "../../core/config/run-config.ts";
import { columnSettings } from "../../core/config/settings.ts";
import { taskNames } from "../../core/config/task-names.ts";
import { errors } from "../../core/errors.ts";
import { defineCommand } from "../command.ts";
import { openSources } from "../sources.ts";

const own = {
  task: choice(taskNames, null, "how the data are read (default: by folder, columns and labels)", {
    aliases: ["task-name"],
    hint: "NAME",
  }),
  evalData: text(null, "evaluation data, if PATH is a file", {
    aliases: ["validation-file"],
    hint: "PATH",
  }),
  ...columnSettings,
  labels: list("class names; any other label is a mistake (default: those of the training data)"),
  limit: integer(null, "check only the first N rows of each split", { min: 1 }),
};

/** `adalora data check`: checks data without a model. */
export const data = defineCommand({
  usage: "check PATH",
  positionals: 2,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Reads every row of a folder, a file or a data set on the hub as run would, and lists every row that can't be used, by file and line. Then: classes, lengths, duplicates, texts that stand in two splits, labels that may be typos. Needs no model.",
    "Exits with 1 if a row can't be used: a run would stop there.",
  ],
  examples: [
    "adalora data check glue/RTE",
    "adalora data check reviews.csv --text-column review --label-column stars",
    "adalora data check train.jsonl --eval-data dev.jsonl --task summarization --json",
  ],

  async run({ positionals: [verb, path], options }, report) {
    if (verb !== "check") {
      throw verb === undefined
        ? errors.missing("action", "adalora data check PATH")
        : errors.argument(verb, "check PATH");
    }
    if (path === undefined) throw errors.missing("data", "adalora data check PATH");
    const { checkData } = await import("../../core/tasks/check-data.ts");
    const { taskNamed } = await import("../../core/tasks/index.ts");
    const { checkText, unusableRows } = await import("../data-check-text.ts");
    const { task, evalData, ...rest } = options;
    const settings = { ...defaultSettings(), ...rest };
    const sources = openSources(report);
    const hub = task === null ? undefined : taskNamed(task, settings).hub;
    const place = await sources.data(path, hub);
    const check = await checkData(place, settings, { task, evalData });
    const isFile = statSync(place.path).isFile();
    const folder = isFile ? dirname(place.path) : place.path;
    report.result(check, checkText(check, { path, folder }, report.stdout));
    return unusableRows(check) === 0 ? 0 : 1;
  },
});
