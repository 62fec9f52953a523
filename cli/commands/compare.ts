import { join } from "node:path";
import { settingNames } from "../../core/config/run-config.ts";
import { settings } from "../../core/config/settings.ts";
import { integer, integers, list, real, toggle } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { writeJson } from "../../core/run/run-files.ts";
import { seedFolder } from "../../core/run/run-folder.ts";
import { checkBackend } from "../backend.ts";
import { cliErrors } from "../cli-errors.ts";
import { defineCommand } from "../command.ts";
import { armKinds, armSets, armSpecs } from "../compare/arm-specs.ts";
import { compareArms, type ComparedArm, comparisonJson, costsJson } from "../compare/comparison.ts";
import { comparisonText } from "../compare/comparison-text.ts";
import { planArms, type PlannedComparison } from "../compare/plan-arms.ts";
import {
  clearComparison,
  comparisonFiles,
  runComparison,
  runFolders,
} from "../compare/run-comparison.ts";
import { checkExperimentOut } from "../compare/experiment-folder.ts";
import { threadsFor } from "../compare/run-jobs.ts";
import { checkOut, defaultOut } from "../out-folder.ts";
import { attemptWrite } from "../attempt-write.ts";
import { recipeNames } from "../recipes.ts";
import { requestedRun } from "../run-config.ts";
import { whileLocked } from "../run-lock.ts";
import { sameCommand } from "../shell-command.ts";
import { listenForStop } from "../signals.ts";
import { openSources } from "../sources.ts";

const own = {
  methods: list(`arms to compare, the first is the baseline: ${Object.keys(armKinds).join(", ")}`),
  seeds: integers("number of seeds, from 1 on, or the seeds themselves (default: 5)"),
  lrGrid: list("learning rates to pick each arm's from, on rows held out of training"),
  lrSeeds: integer(
    null,
    "seeds of the runs whose mean --lr-grid picks a rate by, the first of --seeds (default: 1)",
    { min: 1 },
  ),
  heldOut: real(null, "share of the training rows that --lr-grid picks rates on (default: 0.1)", {
    above: 0,
    below: 1,
  }),
  jobs: integer(1, "runs at a time, each in a process with its share of the threads", { min: 1 }),
  resume: toggle(false, "continue the comparison in --out"),
  overwrite: toggle(false, "replace the comparison in --out"),
};

/** Settings that arms have in common, or that `--methods` sets. */
const notSettings: ReadonlySet<string> = new Set([
  "method",
  "allocator",
  "seed",
  "from",
  "fromPruned",
  "tuneFraction",
  "budgetUnit",
]);

const setsText = Object.entries(armSets)
  .map(([name, arms]) => `${name} (${arms.join(", ")})`)
  .join("; ");

/** `adalora compare`: methods at equal budgets, paired by seed, with honest statistics. */
export const compare = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames.filter((name) => !notSettings.has(name)),
  options: own,
  scripts: false,
  notes: [
    `Arms: ${Object.entries(armKinds)
      .map(([name, { about }]) => `${name} (${about})`)
      .join(
        "; ",
      )}. An arm may have settings of its own: adalora:start=lora:lr-e=0.01. The arms of the paper's ablations: ${setsText}.`,
    "All arms end with as many parameters as the target rank, a whole number, has in every matrix, or less than one triplet fewer; those with a rank or modules of their own are named. Increments are scaled by alpha / initial rank: an own alpha (lora:alpha=8) makes scales equal. Runs of one seed see the same rows in the same order from the same head.",
    "The rate that --lr-grid picks is the best in a run of the first seed (or in the mean of --lr-seeds runs) that trains without --held-out of the training rows and is evaluated on those (of equals, the first in the grid); the evaluation data stay unseen. lora-cut is tuned before the cut.",
    "Writes compare.json, whose bytes are the same for the same settings, seeds, machine and threads of a run (--threads over --jobs), costs.json, with times and memory, and report.html, with all arms.",
  ],
  examples: [
    "adalora compare rte --methods lora,svd-lora,adalora --seeds 5 --out runs/compare-rte",
    "adalora compare my.toml --methods lora,adalora,adalora:start=lora --lr-grid 5e-4,1e-3,2e-3",
    "adalora compare --jobs 2 --seeds 3",
  ],

  async run({ positionals, given, options }, report) {
    const { resume, overwrite, jobs: parallel } = options;
    const specs = armSpecs(options.methods ?? ["lora", "adalora"]);
    const seeds = seedsOf(options.seeds);
    const rates = ratesOf(options.lrGrid);
    checkGridOptions(options, rates, seeds);
    const rateSeeds = seeds.slice(0, options.lrSeeds ?? 1);
    const tuneFraction = options.heldOut ?? HELD_OUT;
    const sources = openSources(report);
    const { config, notes } = await requestedRun(positionals[0], given, options, sources);
    for (const note of notes) report.info(note);
    if (config.from !== null) {
      throw errors.unusable("--from", "compare", "its arms start from new adapters");
    }
    if (config.tuneFraction !== null) {
      const hint = "--held-out is the share of the training rows that --lr-grid picks rates on";
      throw errors.unusable("tune_fraction", "compare", hint);
    }
    checkBackend(config);
    report.stage("checking every arm");
    const planned = await planArms(config, specs, seeds, sources);
    for (const warning of planned.warnings) report.warn(warning);
    const out = config.out ?? defaultOut(`${config.task}-compare`, new Date());
    checkExperimentOut(out, "comparison", { resume, overwrite });
    const tuning = { out, rates, rateSeeds, tuneFraction };
    const folders = runFolders(planned, tuning);
    for (const folder of folders) checkOut(folder, { resume, overwrite });
    const again = sameCommand(out, { isNamed: positionals.length > 0 || given.has("task") });
    return whileLocked(out, async () => {
      if (overwrite) clearComparison(folders, out);
      using stop = listenForStop(report);
      const threads = threadsFor(config.threads, Math.min(parallel, folders.length));
      const context = { ...tuning, report, stop, threads, parallel };
      const ran = await runComparison(planned, context);
      if (!ran) {
        report.error(cliErrors.interruptedRuns(again));
        return stop.exitCode ?? 130;
      }
      const comparison = compareArms(planned.subject, ran.arms, ran.failures);
      const [result, costs] = [comparisonJson(comparison), costsJson(comparison)];
      writeJson(join(out, comparisonFiles.result), result);
      writeJson(join(out, comparisonFiles.costs), costs);
      const { comparisonReport } = await import("../compare/comparison-report.ts");
      const { writeArmsReport } = await import("../report-page/write-report.ts");
      const runsOf = (arm: ComparedArm) => finishedFolders(planned, arm, out);
      const page = () => comparisonReport(comparison, runsOf);
      const warn = (text: string) => report.warn(text);
      const path = join(out, comparisonFiles.report);
      attemptWrite("the report", () => writeArmsReport(page(), path), warn);
      report.result({ ...result, costs, out }, comparisonText(comparison, out, report.stdout));
      return ran.failures.length > 0 ? 1 : 0;
    });
  },
});

// --- internal ---

/** Share of the training rows that rates are picked on, unless --held-out gives one. */
const HELD_OUT = 0.1;
/** A count above this was meant as a seed. */
const MOST_SEEDS = 1000;

/** Folders of the runs of an arm that finished. */
function finishedFolders(
  { arms }: PlannedComparison,
  { name, runs }: ComparedArm,
  out: string,
): readonly string[] {
  const folder = arms.find((arm) => arm.name === name)?.folder ?? name;
  return runs.map(({ seed }) => seedFolder(join(out, folder), seed));
}

/** One number is how many seeds, several are the seeds. */
function seedsOf(given: readonly number[] | null): readonly number[] {
  const [first = 5, ...more] = given ?? [];
  if (more.length > 0) return [first, ...more];
  if (first < 1 || first > MOST_SEEDS) {
    throw errors.flag("seeds", `must be 1 to ${MOST_SEEDS} seeds, got ${first}`);
  }
  return Array.from({ length: first }, (_, i) => i + 1);
}

/** Throws E_CONFIG for options of --lr-grid without it, and E_FLAG for more seeds than there are. */
function checkGridOptions(
  { heldOut, lrSeeds }: { readonly heldOut: number | null; readonly lrSeeds: number | null },
  rates: readonly number[],
  seeds: readonly number[],
): void {
  const withoutGrid = "a comparison without --lr-grid";
  if (heldOut !== null && rates.length === 0) {
    throw errors.unusable("--held-out", withoutGrid, "all rows train");
  }
  if (lrSeeds !== null && rates.length === 0) {
    throw errors.unusable("--lr-seeds", withoutGrid, "no rate is picked");
  }
  if ((lrSeeds ?? 1) > seeds.length) {
    throw errors.flag("lr-seeds", `must be at most the ${seeds.length} of --seeds, got ${lrSeeds}`);
  }
}

function ratesOf(given: readonly string[] | null): readonly number[] {
  const rates = (given ?? []).map((word) => settings.lr.read(word));
  const read = rates.filter((rate) => rate !== undefined);
  if (read.length === rates.length) return [...new Set(read)];
  throw errors.flag("lr-grid", `must be numbers above 0, got ${given?.join(",")}`);
}
