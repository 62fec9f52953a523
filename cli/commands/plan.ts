import { settingNames } from "../../core/train/config.ts";
import type { PreparedRun } from "../../core/train/prepare.ts";
import { defineCommand } from "../command.ts";
import { runOptions } from "../options.ts";
import { checkOut } from "../out-folder.ts";
import { type Plan, planJson, planText } from "../plan-text.ts";
import { recipeNames } from "../recipes.ts";
import { resolveRun } from "../run-config.ts";
import { localSources } from "../sources.ts";

/** `adalora plan`: what `run` would do with the same words, and all that it would reject. */
export const plan = defineCommand({
  usage: "[RECIPE|FILE]",
  positionals: 1,
  settings: settingNames,
  options: runOptions,
  scripts: true,
  notes: [
    `Recipes: ${recipeNames.join(" ")}. A FILE is TOML, YAML or JSON, or the config.json of an earlier run; flags override it.`,
  ],
  examples: [
    "adalora plan rte --model deberta-v3-base --data glue/RTE",
    "adalora plan rte --budget 0.32M --model deberta-v3-base --data glue/RTE --json",
  ],

  async run({ positionals, given, options }, report) {
    const { config, notes } = await resolveRun(positionals[0], given);
    for (const note of notes) report.info(note);
    if (config.out !== null) checkOut(config.out, options);
    const { prepareRun } = await import("../../core/train/prepare.ts");
    const planned = await planOf(await prepareRun(config, await localSources()));
    report.result(planJson(planned), planText(planned, report.stdout));
  },
});

/** The model is declared and adapted, so that its parameters can be counted; it gets no numbers. */
async function planOf({
  config,
  schedule,
  target,
  declared,
  warnings,
}: PreparedRun): Promise<Plan> {
  const { backboneParameters } = await import("../../core/train/prepare.ts");
  const { adaptModel } = await import("../../core/train/open-model.ts");
  const modelParameters = backboneParameters(declared);
  const { adapters, trained } = adaptModel(declared, {
    method: config.method,
    modules: config.modules,
    rank: target?.initRank ?? 0,
    alpha: config.alpha,
    dropout: config.loraDropout,
    seed: config.seed,
  });
  return {
    config,
    schedule,
    target,
    matrices: adapters.length,
    modelParameters,
    trainedParameters: trained.reduce((sum, { length }) => sum + length, 0),
    warnings,
  };
}
