import { resolve } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { type RunConfig, settingNames } from "../../core/config/run-config.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { seedFolder } from "../../core/run/run-folder.ts";
import { checkBackend, deviceFor, resolveDtype } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { memoryWarning } from "../memory.ts";
import { runOptions } from "../options.ts";
import { checkOut, checkSpace, type OutOptions } from "../out-folder.ts";
import { type Plan, planJson, planText } from "../plan-text.ts";
import { recipeNames } from "../recipes.ts";
import { requestedRun, storedRun } from "../run-config.ts";
import { openSources } from "../sources.ts";

/** `adalora plan`: what `run` would do with the same arguments, and everything it would reject. */
export const plan = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames,
  options: runOptions,
  scripts: true,
  notes: [
    `Recipes: ${recipeNames.join(" ")}. A FILE is TOML, YAML or JSON, or the config.json of an earlier run; flags override it. Without either, the task of --data is inferred from its columns.`,
    "Everything that run would reject is listed, and nothing is written.",
  ],
  examples: [
    "adalora plan rte --budget 0.32M",
    "adalora plan rte --model ./deberta-v3-base --data glue/RTE --json",
  ],

  async run({ positionals, given, options }, report) {
    const { config, notes } = await requestedRun(positionals[0], given, options, () =>
      openSources(report),
    );
    for (const note of notes) report.info(note);
    const { inspectRun } = await import("../../core/run/prepare.ts");
    const { run, problems } = await inspectRun(config, await openSources(report));
    const planned = run && (await planOf(run, options.seeds));
    const placement = await placeProblems(config, options, planned);
    const all = [...problems, ...placement];
    if (all.length > 0 || !planned) return report.errors(all);
    report.result(planJson(planned), planText(planned, report.stdout));
    return 0;
  },
});

/** Declares and adapts the model to count its parameters; loads no weights. */
async function planOf(run: PreparedRun, seeds: readonly number[] | null): Promise<Plan> {
  const { config, schedule, target, declared, train, warnings } = run;
  const { backboneParameters } = await import("../../core/model/model-files.ts");
  const { adaptRun } = await import("../../core/run/create-trainer.ts");
  const { runNeeds } = await import("../../core/run/needs.ts");
  const modelParameters = backboneParameters(declared);
  const { adapters, trained } = adaptRun(run);
  const device = deviceFor(config);
  const needs = await runNeeds(run, await device.memoryModel(resolveDtype(config)));
  const memory = memoryWarning(needs, device.availableMemory());
  return {
    config,
    schedule,
    rows: train.rows,
    target,
    seeds: seeds ?? undefined,
    matrices: adapters.length,
    modelParameters,
    trainedParameters: trained.reduce((sum, { length }) => sum + length, 0),
    needs,
    warnings: memory === undefined ? warnings : [...warnings, memory],
  };
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
