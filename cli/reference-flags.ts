import { errors } from "../core/errors.ts";
import type { Method } from "../core/config/method.ts";
import { choice, integer, type SettingTable, text, toggle } from "../core/config/setting.ts";
import { settings } from "../core/config/settings.ts";
import type { FlagValue } from "./args.ts";
import { kebab } from "./names.ts";

/** Flags of the authors' scripts that together select what `--method` selects here. */
const methodFlags = {
  applyAdalora: toggle(false, "train with AdaLoRA", { aliases: ["apply-rankselector"] }),
  applyLora: toggle(false, "train LoRA matrices"),
  applyBitfit: toggle(false, "train biases"),
  loraType: choice(["svd", "frd"], "frd", "LoRA's form: SVD triplets or pairs"),
};

/** Flags of the authors' scripts that have no effect here; `about` says why. */
const ignoredFlags = {
  doTrain: toggle(true, "run trains"),
  doEval: toggle(true, "run evaluates"),
  evaluationStrategy: choice(["steps"], "steps", "--eval-steps decides"),
  saveStrategy: choice(["steps"], "steps", "--save-steps decides"),
  loggingStrategy: choice(["steps"], "steps", "--log-steps decides"),
  reportTo: choice(["tensorboard"], "tensorboard", "TensorBoard files are always written"),
  tbWritterLoginterval: integer(500, "--log-steps decides", { min: 1 }),
  loggingDir: text(null, "logs are in the run's folder"),
  padToMaxLength: toggle(true, "padding is never computed"),
  version2WithNegative: toggle(true, "the task decides", { aliases: ["version-2-with-negative"] }),
  datasetConfig: choice(["3.0.0"], "3.0.0", "the recipe's own", {
    aliases: ["dataset-config-name"],
  }),
  withTracking: toggle(true, "TensorBoard files are always written"),
  useFastTokenizer: toggle(true, "there is one tokenizer"),
  useDeterministicAlgorithms: toggle(true, "runs repeat exactly"),
  overwriteCache: toggle(false, "the cache is keyed by content"),
};

/** Settings with further names in the scripts, whose parser accepts abbreviated flags. */
const renamedFlags = {
  task: { ...settings.task, aliases: [...settings.task.aliases, "dataset-name"] },
  maxSteps: { ...settings.maxSteps, aliases: [...settings.maxSteps.aliases, "max-step"] },
};

/** Flags of the launcher of several processes. */
const launcherFlags = {
  processes: integer(1, "processes", { min: 1, aliases: ["nproc-per-node", "num-processes"] }),
};

/** In the summarization script, --max_length beside --max_source_length is a padded length. */
const paddedLength = {
  paddedLength: integer(128, "--max_source_length decides", { aliases: ["max-length"] }),
};

/** Flags that only the authors' scripts have, for the words of a pasted line. */
export function scriptFlags(words: readonly string[]): SettingTable {
  const hasSourceLength = words.some((word) => /^--max[-_]source[-_]length(=|$)/.test(word));
  return {
    ...methodFlags,
    ...ignoredFlags,
    ...renamedFlags,
    ...launcherFlags,
    ...(hasSourceLength ? paddedLength : {}),
  };
}

type FlagMap = ReadonlyMap<string, FlagValue>;

/**
 * The method that the script's flags select, and the flag to name in errors; undefined without
 * them.
 */
export function referenceMethod(given: FlagMap): { method: Method; flag: string } | undefined {
  const flags = Object.keys(methodFlags).map((key) => given.get(key)?.flag);
  const flag = flags.find((one) => one !== undefined);
  if (flag === undefined) return undefined;
  const on = (key: keyof typeof methodFlags) => given.get(key)?.value === true;
  const svd = given.get("loraType")?.value === "svd";
  if (on("applyBitfit")) return { method: "bitfit", flag };
  if (on("applyAdalora")) {
    if (svd) return { method: "adalora", flag };
    const rule = "prunes SVD triplets only: add --lora_type svd";
    throw errors.flag(flag.slice(2), rule, "for LoRA pairs there is --method prune-lora");
  }
  if (on("applyLora")) return { method: svd ? "svd-lora" : "lora", flag };
  return { method: "full", flag };
}

/**
 * Settings that follow from combinations of script flags; null unsets one. Throws E_CONFIG for
 * --version_2_with_negative with a task that has no unanswerable questions.
 */
export function scriptValues(given: FlagMap): Readonly<Record<string, unknown>> {
  const negative = given.get("version2WithNegative");
  if (negative?.value === true && given.get("task")?.value === "squad") {
    const hint = "squad_v2 is the task with questions that have no answer";
    throw errors.unusable(negative.flag, "task squad", hint);
  }
  const processes = processesOf(given);
  return {
    ...(overriddenEpochs(given) ? { epochs: null } : {}),
    ...(processes === undefined ? {} : { gradAccum: processes * accumulationOf(given) }),
  };
}

/** Notes on how script flags were interpreted. */
export function scriptNotes(given: FlagMap): readonly string[] {
  const resolved = { ...ignoredFlags, ...paddedLength };
  const ignored = Object.entries(resolved).flatMap(([key, { about }]) => {
    const flag = given.get(key)?.flag;
    return flag === undefined ? [] : [`${flag} (${about})`];
  });
  const steps = given.get("maxSteps");
  const epochs = overriddenEpochs(given);
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

/**
 * Removes the launcher from a pasted line, `python -m torch.distributed.launch … run_glue.py`. Its
 * number of processes, if above 1, is appended to the script's flags: their batches add up.
 */
export function withoutLauncher(args: readonly string[]): readonly string[] {
  if (!/^(python[\d.]*|torchrun|accelerate)$/.test(args[0] ?? "")) return args;
  const script = args.findIndex((arg) => arg.endsWith(".py"));
  if (script < 0) return args;
  const launcher = args.slice(0, script).join(" ");
  const [, flag, count] = /(--(?:nproc_per_node|num_processes))[= ](\d+)/.exec(launcher) ?? [];
  const rest = args.slice(script + 1);
  return flag === undefined || count === undefined || count === "1" ? rest : [...rest, flag, count];
}

// --- internal ---

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
  return isTheirs && given.has("maxSteps") ? epochs : undefined;
}
