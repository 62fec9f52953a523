import { resolve } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { type RunConfig, settingNames } from "../../core/config/run-config.ts";
import { toggle, type ValuesOf } from "../../core/config/setting.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { seedFolder } from "../../core/run/run-folder.ts";
import { checkBackend, openBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { makePlan } from "../make-plan.ts";
import { runOptions } from "../options.ts";
import { checkOut, checkSpace, type OutOptions } from "../out-folder.ts";
import { type Plan, planJson, planText } from "../plan-text.ts";
import { recipeNames } from "../recipes.ts";
import { requestedRun, storedRun } from "../run-config.ts";
import { openSources } from "../sources.ts";

const own = {
  ...runOptions,
  time: toggle(false, "take a few steps and evaluation batches to estimate the run's time"),
};

/** `adalora plan`: what `run` would do with the same arguments, and everything it would reject. */
export const plan = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames,
  options: own,
  scripts: true,
  notes: [
    `Recipes: ${recipeNames.join(" ")}. A FILE is TOML, YAML or JSON, or the config.json of an earlier run; flags override it. Without either, the task of --data is inferred from its columns.`,
    "Shows the data as the model reads it, the steps, the ranks and what the run needs. Everything that run would reject is listed, and nothing is written.",
  ],
  examples: [
    "adalora plan rte --budget 0.32M",
    "adalora plan rte --model ./deberta-v3-base --data glue/RTE --json",
    "adalora plan rte --time --memory 8G",
  ],

  async run({ positionals, given, options }, report) {
    const sources = openSources(report);
    const { config, notes } = await requestedRun(positionals[0], given, options, sources);
    for (const note of notes) report.info(note);
    const { inspectRun } = await import("../../core/run/prepare.ts");
    const { run, problems } = await inspectRun(config, sources);
    const planned = run && (await planOf(run, options));
    const placement = await placeProblems(config, options, planned);
    const all = [...problems, ...placement];
    if (all.length > 0 || !planned) return report.errors(all);
    report.result(planJson(planned), planText(planned, report.stdout));
    return 0;
  },
});

/** The plan of a run that fits into --memory, with its time if that is to be measured. */
async function planOf(
  prepared: PreparedRun,
  { seeds, memory, time }: ValuesOf<typeof own>,
): Promise<Plan> {
  const { fittedRun } = await import("../fitted-run.ts");
  const { run, note } = await fittedRun(prepared, memory);
  const made = await makePlan(run, { seeds: seeds ?? undefined, samples: 2, fit: note });
  if (!time) return made;
  if (run.untokenized) throw run.untokenized;
  const { estimateTime } = await import("../../core/run/estimate-time.ts");
  return { ...made, time: await estimateTime(await openBackend(run.config), run) };
}

/** Problems with the device, and with the folder of the run or the folders of its seeds. */
async function placeProblems(
  config: RunConfig,
  options: OutOptions & { readonly seeds: readonly number[] | null },
  planned: Plan | undefined,
): Promise<AdaloraError[]> {
  const { out } = config;
  const places = options.seeds?.map((seed) => ({ seed, folder: seedFolder(out ?? "", seed) }));
  const runs = out === null ? [] : (places ?? [{ seed: config.seed, folder: out }]);
  const resumed = options.resume ? planned : undefined;
  const checks: (() => unknown)[] = [
    () => checkBackend(config),
    ...runs.map(
      ({ folder }) =>
        () =>
          checkOut(folder, options),
    ),
    ...runs.map(
      ({ seed, folder }) =>
        () =>
          resumed && storedRun(resolve(folder), { ...resumed.config, seed }),
    ),
    () => out !== null && planned && checkSpace(out, planned.needs.disk * runs.length),
  ];
  const problems: AdaloraError[] = [];
  for (const check of checks) {
    try {
      await check();
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
      problems.push(error);
    }
  }
  return problems;
}
