import { type AdaloraError, errors } from "../errors.ts";
import type { Method } from "./method.ts";
import type { Setting, ValuesOf } from "./setting.ts";
import { settings } from "./settings.ts";
import { kindOf, taskNames, defaultMaxLengths } from "./task-names.ts";

/** The name of an option of a run: "targetRank". */
export type SettingName = keyof typeof settings;

type SettingValues = ValuesOf<typeof settings>;

/**
 * A run, fully resolved: all that repeating it needs, and JSON-serialisable. Of each group of alternatives
 * (target rank, total rank or budget; epochs or steps; warm-up steps or ratio) one is set and the rest are null.
 * Other nulls stand for the default that the option's description in settings.ts names.
 */
export type RunConfig = {
  readonly [Name in SettingName]: Name extends "task" | "model"
    ? NonNullable<SettingValues[Name]>
    : SettingValues[Name];
};

/** Some options of a run, and who set them: later layers override earlier ones. */
export interface Layer {
  readonly values: Partial<SettingValues>;
  /** The option as its writer knows it: `--target-rank`, or `my.toml: "target_rank"`. */
  readonly name: (setting: SettingName) => string;
}

/** Of each group at most one is set by a layer, and it unsets the others below it. */
const alternatives: readonly (readonly SettingName[])[] = [
  ["targetRank", "targetTotalRank", "budget"],
  ["epochs", "maxSteps"],
  ["warmupSteps", "warmupRatio"],
];

/** An initial rank set below one of these no longer belongs to it. */
const initRankDependsOn: readonly SettingName[] = [
  "method",
  "targetRank",
  "targetTotalRank",
  "budget",
];

/**
 * The settings' defaults under the layers, lowest first. Null in a layer means not set.
 * Throws E_CONFIG for two alternatives in one layer, an option that the method has no use for, or no task
 * or model.
 */
export function resolveConfig(layers: readonly Layer[]): RunConfig {
  let config = defaultSettings();
  for (const layer of layers) {
    checkAlternatives(layer);
    config = { ...config, ...resetBy(layer), ...valuesSetBy(layer) };
    checkMethod(layer, config.method);
  }
  const { task, model } = config;
  if (task === null) throw errors.missing("task", "name a recipe, or give --task");
  if (model === null) throw errors.missing("model", "give --model DIR");
  for (const layer of layers) checkTask(layer, task);
  if (config.method === "prune-lora" && config.importance === "magnitude") {
    const hint = "its doublets have no E to be measured: score them by ipt or sensitivity";
    throw errors.unusable("--importance magnitude", "method prune-lora", hint);
  }
  const isMaxLengthSet = layers.some((layer) => namesSetBy(layer).includes("maxLength"));
  const kind = kindOf(task);
  const maxLength =
    isMaxLengthSet || kind === "sequence" ? config.maxLength : defaultMaxLengths[kind];
  return { ...config, task, model, maxLength };
}

/** Every option at its default. */
export function defaultSettings(): SettingValues {
  const values = Object.entries(settings).map(([name, { fallback }]) => [name, fallback] as const);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys and types are the table's own
  return Object.fromEntries(values) as unknown as SettingValues;
}

/**
 * The configuration as a run's `config.json` holds it: options that are set and that its method uses, without
 * `out`. Read back as a layer over the defaults it gives the same run.
 */
export function configToJson(config: RunConfig): Record<string, unknown> {
  const { out: _, ...rest } = config;
  return Object.fromEntries(
    Object.entries(rest).filter(
      ([name, value]) =>
        value !== null &&
        isSettingName(name) &&
        isUsedByMethod(name, config.method) &&
        isUsedByTask(config.task, settings[name]),
    ),
  );
}

/** Whether a word is the name of an option. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

/** Every option of a run, in the table's order. */
export const settingNames: readonly SettingName[] = Object.keys(settings).filter(isSettingName);

/** Whether a method has a use for an option. */
export function isUsedByMethod(name: SettingName, method: Method): boolean {
  return settings[name].methods?.includes(method) ?? true;
}

/** The error of an option that a task has no use for; undefined where it has. `option`: as its writer knows it. */
export function unusedOptionError(
  task: string,
  option: string,
  setting: Pick<Setting<unknown>, "kinds">,
): AdaloraError | undefined {
  if (isUsedByTask(task, setting)) return undefined;
  const users = taskNames.filter((name) => isUsedByTask(name, setting)).join(", ");
  return errors.unusable(option, `task ${task}`, `tasks that use it: ${users}`);
}

// --- internal ---

function isUsedByTask(task: string, { kinds }: Pick<Setting<unknown>, "kinds">): boolean {
  return kinds?.some((one) => one === task || one === kindOf(task)) ?? true;
}

function valuesSetBy({ values }: Layer): Partial<SettingValues> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}

function namesSetBy(layer: Layer): SettingName[] {
  return Object.keys(valuesSetBy(layer)).filter(isSettingName);
}

/** Nulls for what the layer's own options replace. */
function resetBy(layer: Layer): Partial<SettingValues> {
  const names = namesSetBy(layer);
  const replaced = alternatives
    .filter((group) => group.some((name) => names.includes(name)))
    .flat();
  if (initRankDependsOn.some((name) => names.includes(name))) replaced.push("initRank");
  return Object.fromEntries(replaced.map((name) => [name, null]));
}

function checkAlternatives(layer: Layer): void {
  const names = namesSetBy(layer);
  for (const group of alternatives) {
    const [first, second] = group.filter((name) => names.includes(name));
    if (second !== undefined && first !== undefined) {
      throw errors.alternatives(layer.name(first), layer.name(second));
    }
  }
}

function checkMethod(layer: Layer, method: Method): void {
  const unused = namesSetBy(layer).find((name) => !isUsedByMethod(name, method));
  if (unused !== undefined) throw unusedByMethod(layer, unused, method);
}

function checkTask(layer: Layer, task: string): void {
  for (const name of namesSetBy(layer)) {
    const unused = unusedOptionError(task, layer.name(name), settings[name]);
    if (unused !== undefined) throw unused;
  }
}

function unusedByMethod(layer: Layer, name: SettingName, method: Method): AdaloraError {
  const users = settings[name].methods ?? [];
  return errors.unusable(
    layer.name(name),
    `method ${method}`,
    `methods that use it: ${users.join(", ")}`,
  );
}
