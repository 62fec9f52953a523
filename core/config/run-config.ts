import { type AdaloraError, errors } from "../errors.ts";
import type { Method } from "./method.ts";
import type { Setting, ValuesOf } from "./setting.ts";
import { settings } from "./settings.ts";
import { taskErrors } from "./task-errors.ts";
import { kindOf, taskNames, defaultMaxLengths } from "./task-names.ts";

/** The name of a run's option, such as "targetRank". */
export type SettingName = keyof typeof settings;

type SettingValues = ValuesOf<typeof settings>;

/**
 * A fully resolved, JSON-serializable run configuration, sufficient to repeat the run. In each
 * group of alternatives (target rank, total rank or budget; epochs or steps; warm-up steps or
 * ratio) one is set and the rest are null. Any other null means the default documented in
 * settings.ts.
 */
export type RunConfig = {
  readonly [Name in SettingName]: Name extends "task" | "model"
    ? NonNullable<SettingValues[Name]>
    : SettingValues[Name];
};

/** Options from one source, such as flags or a file. Later layers override earlier ones. */
export interface Layer {
  readonly values: Partial<SettingValues>;
  /** The option as spelled in the source: `--target-rank`, or `my.toml: "target_rank"`. */
  readonly name: (setting: SettingName) => string;
}

/** Mutually exclusive options: a layer may set one of a group, which clears the others below it. */
const alternatives: readonly (readonly SettingName[])[] = [
  ["targetRank", "targetTotalRank", "budget"],
  ["epochs", "maxSteps"],
  ["warmupSteps", "warmupRatio"],
  ["evalData", "evalFraction"],
];

/** Setting one of these clears an initial rank and a budget's unit set in a lower layer. */
const ranksDependOn: readonly SettingName[] = ["method", "targetRank", "targetTotalRank", "budget"];

/**
 * Applies layers, lowest first, over the defaults. Null in a layer means not set. Throws E_CONFIG
 * for two alternatives in one layer, an option that the method or task does not use, or a missing
 * task or model.
 */
export function resolveConfig(layers: readonly Layer[]): RunConfig {
  let config = defaultSettings();
  for (const layer of layers) {
    checkAlternatives(layer);
    config = { ...config, ...resetBy(layer), ...valuesSetBy(layer) };
    checkMethod(layer, config.method);
  }
  const { task, model } = config;
  if (task === null) throw taskErrors.noTask();
  if (model === null) throw errors.missing("model", "give --model DIR");
  for (const layer of layers) checkTask(layer, task);
  if (config.method === "prune-lora" && config.importance === "magnitude") {
    const hint = "its doublets have no E: use --importance ipt or sensitivity";
    throw errors.unusable("--importance magnitude", "method prune-lora", hint);
  }
  const isMaxLengthSet = layers.some((layer) => namesSetBy(layer).includes("maxLength"));
  const kind = kindOf(task);
  const maxLength =
    isMaxLengthSet || kind === "sequence" ? config.maxLength : defaultMaxLengths[kind];
  return { ...config, task, model, maxLength };
}

/** The default of every option. */
export function defaultSettings(): SettingValues {
  const values = Object.entries(settings).map(([name, { fallback }]) => [name, fallback] as const);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys and types are the table's own
  return Object.fromEntries(values) as unknown as SettingValues;
}

/**
 * The contents of a run's `config.json`: every option that is set and that its method and task use,
 * except `out`. Read back as a layer over the defaults, it yields the same run.
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

/** Whether a string is the name of an option. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

/** Names of all options, in the order of the settings table. */
export const settingNames: readonly SettingName[] = Object.keys(settings).filter(isSettingName);

/** Whether a method uses an option. */
export function isUsedByMethod(name: SettingName, method: Method): boolean {
  return settings[name].methods?.includes(method) ?? true;
}

/**
 * The error for an option that the task does not use; undefined if it does. `option` is its name as
 * the user spelled it.
 */
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

/** Nulls for the lower layers' options that this layer's options replace. */
function resetBy(layer: Layer): Partial<SettingValues> {
  const names = namesSetBy(layer);
  const replaced = alternatives
    .filter((group) => group.some((name) => names.includes(name)))
    .flat();
  if (ranksDependOn.some((name) => names.includes(name))) replaced.push("initRank", "budgetUnit");
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
