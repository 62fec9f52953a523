import { existsSync } from "node:fs";
import { extname } from "node:path";
import { type AdaloraError, errors } from "../core/errors.ts";
import { isSettingName, type Layer, resolveConfig, type RunConfig } from "../core/train/config.ts";
import type { Given } from "./args.ts";
import { configExtensions, readConfigFile, settingsLayer } from "./config-file.ts";
import { nearest } from "./names.ts";
import { loadRecipe, recipeNames } from "./recipes.ts";
import { referenceMethod, settledNote } from "./reference-flags.ts";

/** The run that a command line describes, and remarks on how it was understood. */
export interface RequestedRun {
  readonly config: RunConfig;
  readonly notes: readonly string[];
}

/**
 * Flags over the recipe or file that `base` names; without it, over the recipe of `--task` where there is one.
 * Throws as resolveConfig and readConfigFile do, and E_RECIPE for a name that is neither.
 */
export async function resolveRun(
  base: string | undefined,
  given: ReadonlyMap<string, Given>,
): Promise<RequestedRun> {
  const flags = flagLayer(given);
  const layers = [
    await baseLayer(base ?? flags.values.task ?? undefined, base !== undefined),
    flags,
  ];
  const config = resolveConfig(layers.filter((layer) => layer !== undefined));
  const note = settledNote(given);
  return { config, notes: note === undefined ? [] : [note] };
}

// --- internal ---

function flagLayer(given: ReadonlyMap<string, Given>): Layer {
  const values: Record<string, unknown> = {};
  for (const [key, { value }] of given) {
    if (isSettingName(key)) values[key] = value;
  }
  const script = referenceMethod(given);
  const own = given.get("method");
  if (script !== undefined && own !== undefined) throw errors.alternatives(own.flag, script.flag);
  if (script !== undefined) values["method"] = script.method;
  return { values, name: (setting) => given.get(setting)?.flag ?? setting };
}

async function baseLayer(name: string | undefined, required: boolean): Promise<Layer | undefined> {
  if (name === undefined) return undefined;
  const recipe = await loadRecipe(name);
  if (recipe !== undefined) return settingsLayer(recipe, `recipe ${name}`);
  if (!required) return undefined;
  if (configExtensions.includes(extname(name).toLowerCase()) || existsSync(name)) {
    return readConfigFile(name);
  }
  throw unknownRecipe(name);
}

function unknownRecipe(name: string): AdaloraError {
  return errors.unknownRecipe(name, recipeNames, nearest(name, recipeNames));
}
