import { errors } from "../core/errors.ts";
import type { Method } from "../core/config/method.ts";
import type { RunConfig } from "../core/config/run-config.ts";
import { integer, type SettingTable } from "../core/config/setting.ts";
import type { FlagValue } from "./args.ts";
import { kebab } from "./names.ts";
import type { Instead } from "./report-to.ts";
import { overriddenBy, overriddenSettings, unusedSettings } from "./script-overrides.ts";
import {
  checkedFlags,
  ignoredFlags,
  methodFlags,
  refusedFlags,
  renamedFlags,
  translatedFlags,
} from "./script-flags.ts";

/** In the summarization script, --max_length beside --max_source_length is a padded length. */
const paddedLength = {
  paddedLength: integer(128, "--max_source_length decides", { aliases: ["max-length"] }),
};

/** Flags that only the authors' and transformers' scripts have, for the words of a pasted line. */
export function scriptFlags(words: readonly string[]): SettingTable {
  const hasSourceLength = words.some((word) => /^--max[-_]source[-_]length(=|$)/.test(word));
  const refused = Object.entries(refusedFlags).map(([key, { setting }]) => [key, setting] as const);
  return {
    ...methodFlags,
    ...ignoredFlags,
    ...Object.fromEntries(refused),
    ...checkedFlags,
    ...translatedFlags,
    ...renamedFlags,
    ...(hasSourceLength ? paddedLength : {}),
  };
}

type FlagMap = ReadonlyMap<string, FlagValue>;

/** What the flags of a script mean as settings, and notes on how they were read. */
export interface ScriptValues {
  /** Null unsets a setting. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/**
 * Translates script flags to settings. Throws E_FLAG for flags that are refused, E_CONFIG for two
 * that exclude each other unless the second is appended to a pasted line.
 */
export function scriptValues(given: FlagMap): ScriptValues {
  refuseFlags(given);
  const values: Record<string, unknown> = {};
  const overrides: string[] = [];
  for (const { setting, value, key, flag } of [...methodOf(given), ...translations(given)]) {
    const own = overriddenBy(given, setting, { value, key, flag });
    if (own === undefined) values[setting] = value;
    else overrides.push(`${flag} by ${own}`);
  }
  const epochs = overriddenEpochs(given);
  const alternatives = overriddenSettings(given, epochs && "epochs");
  const unused = unusedSettings(given);
  for (const key of [...alternatives.keys, ...unused.keys]) values[key] = null;
  if (epochs) values["epochs"] = null;
  const processes = processesOf(given);
  if (processes !== undefined) values["gradAccum"] = processes * accumulationOf(given);
  overrides.push(...alternatives.notes);
  return {
    values,
    notes: [
      ...scriptNotes(given, epochs),
      ...(overrides.length === 0 ? [] : [`overridden: ${overrides.join(", ")}`]),
      ...unused.notes,
    ],
  };
}

/**
 * Checks script flags against the resolved run. Throws E_FLAG for one that contradicts it.
 */
export function checkScript(given: FlagMap, { evalSteps, seed, metric }: RunConfig): void {
  const refuse = (key: string, isWrong: (value: unknown) => boolean, instead: string) => {
    const flag = given.get(key);
    if (flag && isWrong(flag.value)) throw notHere(flag, true, { hint: instead });
  };
  refuse(
    "evaluationStrategy",
    (value) => value === "epoch" && evalSteps !== null,
    `--eval-steps: this run evaluates every ${evalSteps} steps`,
  );
  refuse("dataSeed", (value) => value !== seed, "--seed is the seed of the data order too");
  refuse(
    "greaterIsBetter",
    (value) => value !== (metric !== "loss"),
    "--metric decides: of loss the lowest value is best, of others the highest",
  );
}

/**
 * Removes the launcher from a pasted line, `python -m torch.distributed.launch … run_glue.py`. Its
 * number of processes, if above 1, and its precision are appended to the script's flags: batches of
 * processes add up.
 */
export function withoutLauncher(args: readonly string[]): readonly string[] {
  if (!/^(python[\d.]*|torchrun|accelerate)$/.test(args[0] ?? "")) return args;
  const script = args.findIndex((arg) => arg.endsWith(".py"));
  if (script < 0) return args;
  const launcher = args.slice(0, script).join(" ");
  const [, flag, count] = /(--(?:nproc_per_node|num_processes))[= ](\d+)/.exec(launcher) ?? [];
  const [, precision] = /--mixed_precision[= ](bf16|fp16)/.exec(launcher) ?? [];
  return [
    ...args.slice(script + 1),
    ...(flag === undefined || count === undefined || count === "1" ? [] : [flag, count]),
    ...(precision === undefined ? [] : [`--${precision}`]),
  ];
}

// --- internal ---

function refuseFlags(given: FlagMap): void {
  for (const [key, { allows, instead, insteadOf }] of Object.entries(refusedFlags)) {
    const flag = given.get(key);
    const isNamed = allows.some((one) => typeof one === "string" && one !== "");
    if (!flag || allows.includes(flag.value)) continue;
    throw notHere(flag, isNamed, insteadOf?.(flag.value) ?? { hint: instead });
  }
  const evaluation = given.get("evaluationStrategy");
  if (evaluation?.value === "no") {
    const hint = "run always evaluates; --eval-limit N makes that short";
    throw notHere(evaluation, true, { hint });
  }
  const train = given.get("doTrain");
  const other = given.get("doEval") ?? given.get("doPredict");
  const notTraining = train ? train.value === false && train : other?.value === true && other;
  if (notTraining) {
    const rule = train ? "false is not supported" : "without --do_train is not supported";
    const hint = "adalora eval and adalora predict use a trained model: --adapter DIR";
    throw errors.flag(notTraining.flag.slice(2), rule, hint);
  }
  const negative = given.get("version2WithNegative");
  if (negative?.value === true && given.get("task")?.value === "squad") {
    const hint = "squad_v2 is the task with questions that have no answer";
    throw errors.unusable(negative.flag, "task squad", hint);
  }
}

/** The error for a flag that run has no use for. Its value may be a secret unless it has names. */
function notHere({ flag, value }: FlagValue, isNamed: boolean, { hint, details }: Instead) {
  const shown = isNamed || value === false ? ` ${String(value)}` : "";
  return errors.flag(flag.slice(2) + shown, "is not supported", hint, details);
}

/** A setting's value that follows from a script's flag. */
interface Derived {
  readonly setting: string;
  readonly value: unknown;
  /** The flag's key, and how it was typed. */
  readonly key: string;
  readonly flag: string;
}

/** The method that the script's flags select. Throws E_FLAG for pruned LoRA pairs. */
function methodOf(given: FlagMap): readonly Derived[] {
  const keys = [...given.keys()].filter((key) => Object.hasOwn(methodFlags, key));
  const [first, last] = [keys[0] ?? "", keys.at(-1) ?? ""];
  const flag = given.get(first)?.flag;
  if (flag === undefined) return [];
  const select = (value: Method) => [{ setting: "method", value, key: last, flag }];
  const on = (key: keyof typeof methodFlags) => given.get(key)?.value === true;
  const svd = given.get("loraType")?.value === "svd";
  if (on("applyBitfit")) return select("bitfit");
  if (on("applyAdalora")) {
    if (svd) return select("adalora");
    const rule = "prunes SVD triplets only: add --lora_type svd";
    const hint = "for LoRA pairs there is --method prune-lora";
    throw errors.flag(given.get("applyAdalora")?.flag.slice(2) ?? "", rule, hint);
  }
  if (on("applyLora")) return select(svd ? "svd-lora" : "lora");
  return select("full");
}

function translations(given: FlagMap): readonly Derived[] {
  const derive = (key: string, setting: string, translate: (value: unknown) => unknown) => {
    const one = given.get(key);
    const value = one && translate(one.value);
    return one && value !== undefined ? [{ setting, value, key, flag: one.flag }] : [];
  };
  const whenOn = (result: unknown) => (value: unknown) => (value === true ? result : undefined);
  const share = (value: unknown) =>
    typeof value === "number" && value > 0 && value < 1 ? value : undefined;
  return [
    ...derive("bf16", "dtype", whenOn("bf16")),
    ...derive("useCpu", "device", whenOn("cpu")),
    ...derive("sortishSampler", "bucketed", whenOn(true)),
    ...derive("trainSamplingStrategy", "bucketed", (value) => value !== "random"),
    ...derive("valMaxTargetLength", "maxTargetLength", (value) => value),
    ...derive("warmupSteps", "warmupRatio", share),
    ...derive("warmupSteps", "warmupSteps", (value) =>
      share(value) === undefined ? undefined : null,
    ),
  ];
}

function scriptNotes(given: FlagMap, epochs: FlagValue | undefined): readonly string[] {
  const ignored = [...given].flatMap(([key, { flag, value }]) => {
    const why = ineffective[key];
    const hasEffect = refusedFlags[key]?.hasEffect?.(value) === true;
    return why === undefined || hasEffect ? [] : [`${flag} (${why})`];
  });
  const steps = given.get("maxSteps");
  if (epochs && steps) ignored.push(`${epochs.flag} (${steps.flag} decides)`);
  const processes = processesOf(given);
  const isShort = steps && kebab(steps.flag) === "--max-step";
  return [
    ...(ignored.length === 0 ? [] : [`no effect here: ${ignored.join(", ")}`]),
    ...(isShort ? [`${steps.flag} is read as --max-steps, as by the script's parser`] : []),
    ...(processes === undefined
      ? []
      : [
          `${processes} processes become one: --grad-accum ${processes * accumulationOf(given)} makes the same batch`,
        ]),
  ];
}

/** Flags that have no effect here, and why. */
const ineffective: Readonly<Record<string, string | undefined>> = Object.fromEntries([
  ...Object.entries({ ...ignoredFlags, ...checkedFlags, ...paddedLength }).map(
    ([key, { about }]) => [key, about] as const,
  ),
  ...Object.entries(refusedFlags).map(([key, { note }]) => [key, note] as const),
]);

/** The number of processes, if above 1. */
function processesOf(given: FlagMap): number | undefined {
  const count = given.get("processes")?.value;
  return typeof count === "number" && count > 1 ? count : undefined;
}

function accumulationOf(given: FlagMap): number {
  const own = given.get("gradAccum")?.value;
  return typeof own === "number" ? own : 1;
}

/** The flag for epochs where the scripts ignore it: their trainer stops after --max_steps. */
function overriddenEpochs(given: FlagMap): FlagValue | undefined {
  const epochs = given.get("epochs");
  const isTheirs = epochs !== undefined && kebab(epochs.flag) === "--num-train-epochs";
  return isTheirs && typeof given.get("maxSteps")?.value === "number" ? epochs : undefined;
}
