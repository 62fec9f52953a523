import { existsSync } from "node:fs";
import { extname, join } from "node:path";
import { errors } from "../core/errors.ts";
import { trainErrors } from "../core/train/train-errors.ts";
import {
  isSettingName,
  type Layer,
  resolveConfig,
  type RunConfig,
} from "../core/config/run-config.ts";
import type { RunResult } from "../core/run/results.ts";
import { adapterMethods, isOneOf } from "../core/config/method.ts";
import { taskNames } from "../core/config/task-names.ts";
import { isFinishedRun, runFiles } from "../core/run/run-folder.ts";
import type { Sources } from "../core/model/model-files.ts";
import type { FlagValue } from "./args.ts";
import { resolveDtype } from "./backend.ts";
import { cliErrors } from "./cli-errors.ts";
import { configExtensions, readConfigFile, settingsLayer } from "./config-file.ts";
import { nearest } from "../core/nearest.ts";
import { kebab } from "./names.ts";
import { configIn, type OutOptions } from "./out-folder.ts";
import { withPluginNames } from "./plugins/plugin-name.ts";
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

/** Flags that bring a model or data of the user's own. */
const ownFlags = ["data", "model", "tokenizer", "evalData"] as const;

/**
 * Resolves the run that `run` and `plan` request: a recipe or file, the task's recipe, the
 * run in `--out` to resume, the user's own data, or the demo. Throws E_CONFIG for --resume without a
 * folder, for --seed beside --seeds, and for the demo's recipe with other data or another model.
 */
export async function requestedRun(
  name: string | undefined,
  given: ReadonlyMap<string, FlagValue>,
  { resume, overwrite }: OutOptions,
  sources: Sources,
): Promise<RequestedRun> {
  const [seed, seeds] = [given.get("seed"), given.get("seeds")];
  if (seed && seeds) throw errors.alternatives(seed.flag, seeds.flag);
  const out = given.get("out")?.value;
  const isNamed = name !== undefined || given.has("task");
  const stored = !isNamed && resume && typeof out === "string" ? configIn(out) : undefined;
  const own = ownFlags.map((flag) => given.get(flag)?.flag).find((flag) => flag !== undefined);
  if (name === "demo" && own !== undefined) {
    const hint = "without it the task is inferred from --data, or given with --task";
    throw errors.unusable(own, "recipe demo", hint);
  }
  const fallback = own === undefined ? "demo" : undefined;
  const requested = await resolveRun(isNamed ? name : (stored ?? fallback), given, sources);
  if (!resume || overwrite || requested.config.out !== null) return requested;
  throw errors.missing("--out", "--out names the folder of the run to resume");
}

/**
 * Settings in which the run in a folder differs from a configuration, so that it can't be resumed
 * with it; undefined where the folder holds no run.
 */
export async function differencesFromStored(
  out: string,
  config: RunConfig,
): Promise<readonly string[] | undefined> {
  if (!existsSync(join(out, runFiles.config))) return undefined;
  const { differingSettings } = await import("../core/run/fingerprint.ts");
  return differingSettings(resolveConfig([readConfigFile(configIn(out))]), config);
}

/**
 * The result of the run in a folder that is to be resumed; undefined where it is not finished.
 * Throws E_RESUME where the folder holds a run with other settings.
 */
export async function storedRun(out: string, config: RunConfig): Promise<RunResult | undefined> {
  const differing = await differencesFromStored(out, config);
  if (differing === undefined) return undefined;
  if (differing.length > 0)
    throw trainErrors.otherRun(
      out,
      differing.map((one) => `--${kebab(one)}`),
    );
  if (!isFinishedRun(out)) return undefined;
  const { readFinishedRun } = await import("../core/run/finished-run.ts");
  return readFinishedRun(out);
}

/**
 * Resolves flags over the recipe or file that `base` names; without it, over the recipe of
 * `--task`, if it has one. If neither names a task, it is inferred from the data in `sources`, and
 * the other options are the defaults.
 * Throws as resolveConfig, readConfigFile and inferTask do, and E_RECIPE for a name that is neither.
 */
export async function resolveRun(
  base: string | undefined,
  given: ReadonlyMap<string, FlagValue>,
  sources?: Sources,
): Promise<RequestedRun> {
  const script = scriptValues(given);
  const flags = flagLayer(given, script.values);
  const lower = await baseLayer(base ?? flags.values.task ?? undefined, flags, base !== undefined);
  const starting = await startingLayers(lower, flags, sources);
  const requested = [lower, starting?.fixed, flags].filter((layer) => layer !== undefined);
  const inferred = sources && (await inferredTask(requested, sources));
  const below = [starting?.defaults, inferred?.layer].filter((layer) => layer !== undefined);
  const layered = resolveConfig([...below, ...requested]);
  // The adapter's own layers: a recipe's modules don't apply.
  const resolved = starting && !given.has("modules") ? { ...layered, modules: null } : layered;
  // A resumed run keeps the dtype that it started with.
  const config = { ...resolved, dtype: resolveDtype(resolved) };
  checkScript(given, config);
  return { config, notes: [...script.notes, ...(inferred ? [inferred.note] : [])] };
}

// --- internal ---

/**
 * The task that the data show, where no layer names one, and a note that says it. A recipe of that
 * task is left out: its phases are numbers of steps, made for the size of its own data.
 */
async function inferredTask(
  requested: readonly Layer[],
  sources: Sources,
): Promise<{ readonly layer: Layer; readonly note: string } | undefined> {
  const values = requested.reduce<Layer["values"]>((all, one) => ({ ...all, ...one.values }), {});
  const { task, data, textColumn = null, pairColumn = null, labelColumn = null } = values;
  const { delimiter = null, labels = null, plugins = null } = values;
  if ((task ?? null) !== null || typeof data !== "string") return undefined;
  await sources.families(plugins); // a plugin that is refused costs no reading of data
  const location = await sources.data(data, undefined);
  const { inferTask } = await import("../core/tasks/infer-task.ts");
  const columns = { textColumn, pairColumn, labelColumn, delimiter, labels };
  const inferred = await inferTask(location, columns);
  return {
    layer: { values: { task: inferred.task }, name: () => "the inferred task" },
    note: `task ${inferred.task}, from ${inferred.reason}; --task names another, or a recipe`,
  };
}

/** What the adapter of `--from` sets: below everything else, and above a recipe. */
async function startingLayers(
  lower: Layer | undefined,
  { values: flags }: Layer,
  sources: Sources | undefined,
): Promise<{ readonly defaults: Layer; readonly fixed: Layer } | undefined> {
  const from = flags.from ?? lower?.values.from ?? null;
  if (from === null || !sources) return undefined;
  const { startingSettings } = await import("../core/run/starting-adapter.ts");
  // A recipe's method is for a new adapter; a file that names the adapter means its method.
  const ofFile = (lower?.values.from ?? null) === null ? undefined : lower?.values.method;
  const method = flags.method ?? ofFile ?? undefined;
  if (method && !isOneOf(method, adapterMethods)) return undefined; // it has no --from
  const { defaults, fixed } = await startingSettings(from, method, sources);
  const name = (setting: string) => `--from: "${setting}"`;
  return { defaults: { values: defaults, name }, fixed: { values: fixed, name } };
}

function flagLayer(given: ReadonlyMap<string, FlagValue>, script: ScriptValues["values"]): Layer {
  const values: Record<string, unknown> = {};
  for (const [key, { value }] of given) {
    if (isSettingName(key)) values[key] = value;
  }
  Object.assign(values, script);
  const layer = { values, name: (setting: string) => given.get(setting)?.flag ?? setting };
  return withPluginNames(layer, process.cwd());
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
  if (taskNames.some((task) => task === name)) throw cliErrors.taskNotRecipe(name);
  throw cliErrors.unknownRecipe(name, recipeNames, nearest(name, recipeNames));
}
