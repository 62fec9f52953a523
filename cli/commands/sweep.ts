import { join } from "node:path";
import { settingNames } from "../../core/config/run-config.ts";
import { integer, real, toggle } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { writeJson } from "../../core/run/run-files.ts";
import { checkBackend } from "../backend.ts";
import { cliErrors } from "../cli-errors.ts";
import { defineCommand } from "../command.ts";
import { checkExperimentOut } from "../compare/experiment-folder.ts";
import { threadsFor } from "../compare/run-jobs.ts";
import { checkOut, defaultOut } from "../out-folder.ts";
import { recipeNames } from "../recipes.ts";
import { whileLocked } from "../run-lock.ts";
import { programWords, sameCommand, shellCommand } from "../shell-command.ts";
import { listenForStop } from "../signals.ts";
import { openSources } from "../sources.ts";
import { splitAxes, sweptSetting } from "../sweep/axes.ts";
import { bestCommand } from "../sweep/best-command.ts";
import { attemptWrite } from "../attempt-write.ts";
import { planSweep } from "../sweep/plan-sweep.ts";
import { requestedChoices } from "../sweep/requested-choices.ts";
import { clearSweep, runSweep, sweepFiles, sweepFolders } from "../sweep/run-sweep.ts";
import { sweepCostsJson, sweepJson } from "../sweep/sweep.ts";
import { planLines, sweepText } from "../sweep/sweep-text.ts";

const own = {
  random: integer(null, "draw N configurations by the seed, instead of every combination", {
    min: 1,
  }),
  halving: toggle(false, "successive halving: short runs first, the best of them train longer"),
  reduction: integer(
    3,
    "each rung of --halving trains N times longer, with one in N configurations of the rung before",
    {
      min: 2,
    },
  ),
  heldOut: real(0.1, "share of the training rows that configurations are chosen on", {
    above: 0,
    below: 1,
  }),
  jobs: integer(1, "runs at a time, each in a process with its share of the threads", { min: 1 }),
  resume: toggle(false, "continue the sweep in --out"),
  overwrite: toggle(false, "replace the sweep in --out"),
};

/** `adalora sweep`: chooses settings on rows held out of training. */
export const sweep = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames.filter((name) => name !== "tuneFraction"),
  settingOf: sweptSetting,
  options: own,
  scripts: false,
  notes: [
    "A flag whose hint ends in … takes several values, separated by commas: --lr 5e-4,1e-3. The sweep trains every combination of them, or N with --random N, where a number may also be a range to draw from: --lr 1e-4..1e-2.",
    "Configurations are chosen by their metric on --held-out of the training rows, which they train without. The evaluation data stay unseen. All runs have the same seed, rows and order.",
    "--halving trains all configurations for a short run, the best third three times as long, and so on up to the whole length. A rung continues the runs of the one before where their first steps are those of a shorter run: with a constant rate, and without pruning. Other runs start from scratch, with their phases scaled down. Runs that continue are evaluated at the end of each rung too, besides every --eval-steps.",
    "Writes sweep.json, whose bytes are the same for the same settings and machine, costs.json, with times and memory, and report.html. Prints the command that trains the best configuration on all rows.",
  ],
  examples: [
    "adalora sweep rte --lr 5e-4,1e-3,2e-3 --budget 0.16M,0.32M --halving --out runs/sweep-rte",
    "adalora sweep my.toml --random 20 --lr 1e-4..1e-2 --reg-orth-coef 0.1,0.3 --halving --jobs 2",
  ],

  async run({ positionals: [name], given, options }, report) {
    const { resume, overwrite, jobs: parallel, heldOut, halving } = options;
    const { fixed, axes } = splitAxes(given);
    if (axes.length === 0) {
      throw errors.missing("values to sweep over", "give a flag several: --lr 5e-4,1e-3");
    }
    const sources = openSources(report);
    const requested = await requestedChoices({ name, fixed, axes, options, sources });
    for (const note of requested.notes) report.info(note);
    for (const warning of requested.warnings) report.warn(warning);
    const [first] = requested.choices;
    checkBackend(first.config);
    report.stage("checking every configuration");
    const reduction = halving ? options.reduction : null;
    const planned = await planSweep(requested.choices, { heldOut, reduction }, sources);
    for (const warning of planned.warnings) report.warn(warning);
    for (const line of planLines(planned)) report.info(line);
    const out = first.config.out ?? defaultOut(`${first.config.task}-sweep`, new Date());
    checkExperimentOut(out, "sweep", { resume, overwrite });
    const folders = sweepFolders(planned, out);
    for (const folder of folders) checkOut(folder, { resume, overwrite });
    const again = sameCommand(out, { isNamed: name !== undefined || given.has("task") });
    return whileLocked(out, async () => {
      if (overwrite) clearSweep(folders, out);
      using stop = listenForStop(report);
      const threads = threadsFor(
        first.config.threads,
        Math.min(parallel, requested.choices.length),
      );
      const found = await runSweep(planned, { report, stop, threads, out, parallel });
      if (!found) {
        report.error(cliErrors.interruptedRuns(again));
        return stop.exitCode ?? 130;
      }
      const words = found.best ? bestCommand(name, fixed, found.best.configuration.choice) : null;
      const [result, costs] = [sweepJson(found, words), sweepCostsJson(found)];
      writeJson(join(out, sweepFiles.result), result);
      writeJson(join(out, sweepFiles.costs), costs);
      const command = words ? shellCommand([...programWords(), ...words]) : null;
      const { sweepReport } = await import("../sweep/sweep-report.ts");
      const { writeArmsReport } = await import("../report-page/write-report.ts");
      const page = join(out, sweepFiles.report);
      const warn = (text: string) => report.warn(text);
      attemptWrite("the report", () => writeArmsReport(sweepReport(found, command), page), warn);
      report.result({ ...result, costs, out }, sweepText(found, command, out, report.stdout));
      return found.failures.length > 0 ? 1 : 0;
    });
  },
});
