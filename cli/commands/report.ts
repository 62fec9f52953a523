import { join, relative, resolve } from "node:path";
import { text, toggle } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import { defineCommand } from "../command.ts";
import { printable } from "../printable.ts";
import type { ReportedRun } from "../report-page/read-run.ts";

const own = {
  out: text(
    null,
    "the file to write, which may hold an earlier report; default: report.html in RUN, or of several runs here",
    {
      hint: "FILE",
    },
  ),
  svg: text(null, "also write each chart as an SVG file into this folder", { hint: "DIR" }),
  open: toggle(false, "open the report in the browser"),
};

/** More runs make no readable chart. */
const MOST_RUNS = 100;

/** `adalora report`: a page that shows what happened in one run or several. */
export const report = defineCommand({
  usage: "RUN…",
  positionals: MOST_RUNS,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Writes one HTML file that needs no network and no other file: metrics, confusion matrix, curves, the rank of every matrix at every mask, singular values, importance, time, configuration and environment. Several runs share their charts; runs that differ in their seed alone get mean and standard deviation.",
    "A RUN is a run's folder, finished or not, or that of a run with --seeds. Its log is enough: no weights are read. `adalora run` keeps report.html in its folder up to date.",
  ],
  examples: [
    "adalora report runs/rte --open",
    "adalora report runs/rte runs/rte-lora --out compared.html",
    "adalora report runs/rte --svg figures",
  ],

  async run({ positionals, options }, output) {
    const [name] = positionals;
    if (name === undefined) throw errors.missing("run", "name a run's folder, or several");
    const { runFolders, readRun } = await import("../report-page/read-run.ts");
    const { checkReportFile } = await import("../report-page/report-file.ts");
    const { writeReport } = await import("../report-page/write-report.ts");
    const folders = [...new Set(positionals.flatMap(runFolders))];
    const file = resolve(options.out ?? defaultFile(positionals));
    checkReportFile(file);
    const runs = folders.map(readRun);
    writeReport(runs, file);
    const svg = options.svg === null ? [] : await svgFiles(runs, resolve(options.svg));
    if (options.open) {
      const { openInBrowser } = await import("../open-in-browser.ts");
      if (!openInBrowser(file)) output.warn(`no browser could be started: open ${file}`);
    }
    const shown = [file, ...svg].map((path) => printable(relative(process.cwd(), path)));
    output.result({ report: file, runs: folders, svg }, shown.join("\n"));
  },
});

// --- internal ---

/** In the run's folder, as `adalora run` writes it; of several runs in the current one. */
const defaultFile = ([name = "", ...others]: readonly string[]) =>
  others.length === 0 ? join(name, runFiles.report) : "adalora-report.html";

async function svgFiles(runs: readonly ReportedRun[], folder: string): Promise<readonly string[]> {
  const { writeSvgFiles } = await import("../report-page/svg-files.ts");
  return writeSvgFiles(runs, folder);
}
