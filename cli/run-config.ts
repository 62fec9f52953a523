import { existsSync } from "node:fs";
import { extname, join } from "node:path";
import { errors } from "../core/errors.ts";
import {
  isSettingName,
  type Layer,
  resolveConfig,
  type RunConfig,
} from "../core/config/run-config.ts";
import type { RunResult } from "../core/run/execute.ts";
import { taskNames } from "../core/config/task-names.ts";
import { isFinishedRun, runFiles } from "../core/run/run-folder.ts";
import type { FlagValue } from "./args.ts";
import { resolveDtype } from "./backend.ts";
import { configExtensions, readConfigFile, settingsLayer } from "./config-file.ts";
import { kebab, nearest } from "./names.ts";
import { configIn, type OutOptions } from "./out-folder.ts";
import { scaledRecipe } from "./recipe-length.ts";
import { loadRecipe, recipeNames } from "./recipes.ts";
import { checkScript, type ScriptValues, scriptValues } from "./reference-flags.ts";

/** The run that a command line describes, and notes on how it was interpreted. */
export interface RequestedRun {
  readonly config: RunConfig;
  readonly notes: readonly string[];
}

/** A run whose output folder is decided. */
export type PlacedRun = RunConfig & { readonly out: string };

/**
 * Resolves the run that `run` and `plan` are asked for: a recipe or file, the task's recipe, the
 * run in `--out` to resume, or the demo. Throws E_CONFIG for --resume without a folder, and for
 * --seed beside --seeds.
 */
export async function requestedRun(
  name: string | undefined,
  given: ReadonlyMap<string, FlagValue>,
  { resume, overwrite }: OutOptions,
): Promise<RequestedRun> {
  const [seed, seeds] = [given.get("seed"), given.get("seeds")];
  if (seed && seeds) throw errors.alternatives(seed.flag, seeds.flag);
  const out = given.get("out")?.value;
  const isNamed = name !== undefined || given.has("task");
  const stored = !isNamed && resume && typeof out === "string" ? configIn(out) : undefined;
  const requested = await resolveRun(isNamed ? name : (stored ?? "demo"), given);
  if (!resume || overwrite || requested.config.out !== null) return requested;
  throw errors.missing("--out", "--out names the folder of the run to resume");
}

/**
 * The result of the run in a folder that is to be resumed; undefined where it is not finished.
 * Throws E_RESUME where the folder holds a run with other settings.
 */
export async function storedRun(out: string, config: RunConfig): Promise<RunResult | undefined> {
  if (!existsSync(join(out, runFiles.config))) return undefined;
  const { differingSettings } = await import("../core/run/fingerprint.ts");
  const stored = resolveConfig([readConfigFile(configIn(out))]);
  const differing = differingSettings(stored, config).map((one) => `--${kebab(one)}`);
  if (differing.length > 0) throw errors.otherRun(out, differing);
  if (!isFinishedRun(out)) return undefined;
  const { readFinishedRun } = await import("../core/run/finished-run.ts");
  return readFinishedRun(out);
}

/**
 * Resolves flags over the recipe or file that `base` names; without it, over the recipe of
 * `--task`, if it has one. Throws as resolveConfig and readConfigFile do, and E_RECIPE for a name
 * that is neither.
 */
export async function resolveRun(
  base: string | undefined,
  given: ReadonlyMap<string, FlagValue>,
): Promise<RequestedRun> {
  const script = scriptValues(given);
  const flags = flagLayer(given, script.values);
  const layers = [
    await baseLayer(base ?? flags.values.task ?? undefined, flags, base !== undefined),
    flags,
  ];
  const resolved = resolveConfig(layers.filter((layer) => layer !== undefined));
  // A resumed run keeps the dtype that it started with.
  const config = { ...resolved, dtype: resolveDtype(resolved) };
  checkScript(given, config);
  return { config, notes: script.notes };
}

// --- internal ---

function flagLayer(given: ReadonlyMap<string, FlagValue>, script: ScriptValues["values"]): Layer {
  const values: Record<string, unknown> = {};
  for (const [key, { value }] of given) {
    if (isSettingName(key)) values[key] = value;
  }
  Object.assign(values, script);
  return { values, name: (setting) => given.get(setting)?.flag ?? setting };
}

async function baseLayer(
  name: string | undefined,
  flags: Layer,
  required: boolean,
): Promise<Layer | undefined> {
  if (name === undefined) return undefined;
  const recipe = await loadRecipe(name);
  if (recipe !== undefined)
    return scaledRecipe(name, settingsLayer(recipe, `recipe ${name}`), flags);
  if (!required) return undefined;
  if (configExtensions.includes(extname(name).toLowerCase()) || existsSync(name)) {
    return readConfigFile(name);
  }
  if (taskNames.some((task) => task === name)) throw errors.taskOfOwn(name);
  throw errors.unknownRecipe(name, recipeNames, nearest(name, recipeNames));
}
