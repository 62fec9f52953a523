import { existsSync } from "node:fs";
import { errors } from "../../core/errors.ts";
import { defineCommand } from "../command.ts";
import { runsText } from "../runs-text.ts";

/** Where `adalora run` puts runs without --out. */
const DEFAULT_FOLDER = "runs";

/** `adalora runs`: what runs there are, how they did, and how the stopped ones go on. */
export const runs = defineCommand({
  usage: "[DIR]",
  positionals: 1,
  settings: [],
  scripts: false,
  options: {},
  notes: [
    "Lists the runs in DIR (default: runs) and in the folders within it: task, method, ranks kept, the metric after the newest evaluation, and whether a run is finished, running, stopped or unreadable. For each stopped run it shows the command that resumes it.",
  ],
  examples: ["adalora runs", "adalora runs /data/experiments --json"],

  async run({ positionals: [folder = DEFAULT_FOLDER] }, report) {
    if (!existsSync(folder)) {
      throw errors.out(folder, "does not exist", "name the folder of your runs: adalora runs DIR");
    }
    const { listRuns } = await import("../list-runs.ts");
    const listed = await listRuns(folder);
    report.result({ runs: listed }, runsText(listed, folder, report.stdout));
  },
});
