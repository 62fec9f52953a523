import { cutText, excerpt, shownShape as shown } from "./excerpt.ts";

interface ErrorOptions {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  readonly where?: string;
  /** Lines below the message, such as each path that was tried. */
  readonly details?: readonly string[];
}

/** An error that a user can cause. `hint` says what to do next; `cause` keeps the native error. */
export class AdaloraError extends Error {
  override readonly name = "AdaloraError";
  readonly code: string;
  readonly hint: string | undefined;
  /**
   * What to print: the message without details, then these. A line end in one is part of a name.
   */
  readonly lines: readonly string[];
  /** Files: what comes before the rule in `message`, the path with `:line` or a key. */
  readonly where: string | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    const { hint, cause, details = [], where } = options;
    super([message, ...details].join("\n  "), { cause });
    this.code = code;
    this.hint = hint;
    this.lines = [message, ...details];
    this.where = where;
  }
}

interface Shaped {
  readonly shape: readonly number[];
}

/** A flag by its bare name, as it is typed: "-o", "--out". */
const dashed = (flag: string) => (flag.length === 1 ? `-${flag}` : `--${flag}`);

/** How to choose the task of data of one's own. */
const TASK_CHOICES =
  "give --task: classification (classes), regression (scores), squad (answers in a context), squad_v2 (or no answer), summarization, or a recipe's name; --text-column, --pair-column and --label-column name columns";

/**
 * Every message in one place, in one style, for tests to quote. Format: `[where] rule: got facts`.
 */
export const errors = {
  shape(op: string, rule: string, tensors: Readonly<Record<string, Shaped>>) {
    const got = Object.entries(tensors).map(([name, t]) => `${name} ${shown(t.shape)}`);
    return new AdaloraError("E_SHAPE", `[${op}] ${rule}: got ${got.join(", ")}`);
  },

  unknownModelType(modelType: string, known: readonly string[]) {
    return new AdaloraError(
      "E_MODEL_TYPE",
      `no plugin handles model_type "${cutText(modelType)}"`,
      {
        hint: `known: ${known.join(", ")}; --plugin FILE|PACKAGE adds a family, and adalora plugin new NAME starts one`,
      },
    );
  },

  /** A plugin that can't be used, or that failed; `where`: its file, or its name and function. */
  plugin(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_PLUGIN", `${where}: ${rule}`, { hint, cause, where });
  },

  /** Two plugins from outside for one model type. */
  sameModelType(modelType: string, first: string, second: string) {
    const rule = `model_type "${cutText(modelType)}" is handled by ${first} too`;
    return new AdaloraError("E_PLUGIN", `${second}: ${rule}`, { hint: "load one of the two" });
  },

  otherTask(family: string, task: string, tasks: readonly string[]) {
    const rule = `the model family "${family}" does not support ${task}`;
    return new AdaloraError("E_TASK", rule, { hint: `supported: ${tasks.join(", ")}` });
  },

  config(source: string, key: string, want: string, got: unknown, hint?: string) {
    return new AdaloraError(
      "E_CONFIG",
      `${source}: "${cutText(key)}" must be ${want}, got ${excerpt(got)}`,
      { hint },
    );
  },

  /** A file that a reader cannot use; `where` is the path, with `:line` or a key if known. */
  file(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_FILE", `${where}: ${rule}`, { hint, cause, where });
  },

  /** A hub repository that cannot be used; `where` is its name, with the file if known. */
  hub(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_HUB", `${where}: ${rule}`, { hint, cause });
  },

  /** The hub or the network fails, though the request may be correct. */
  hubUnreachable(where: string, rule: string, hint: string, cause?: unknown) {
    return new AdaloraError("E_HUB_UNREACHABLE", `${where}: ${rule}`, { hint, cause });
  },

  /** A name that is not a local path, with the hub's error for it. */
  neitherHereNorThere(name: string, { code, message, hint, cause }: AdaloraError) {
    return new AdaloraError(code, message, {
      hint: `${hint === undefined ? "" : `${hint}; `}there is no local path ${name} either`,
      cause,
    });
  },

  /** Text that cannot be truncated or split as requested. */
  tokenize(rule: string, got: string, hint?: string) {
    return new AdaloraError("E_TOKENIZE", `[tokenize] ${rule}: got ${got}`, { hint });
  },

  metric(name: string, rule: string) {
    return new AdaloraError("E_METRIC", `[${name}] ${rule}`);
  },

  /** Sources, options or scores that generation cannot use. */
  generation(rule: string, got: string) {
    return new AdaloraError("E_GENERATION", `[generate] ${rule}: got ${got}`);
  },

  missingWeights(where: string, names: readonly string[]) {
    const some =
      names
        .slice(0, 3)
        .map((name) => cutText(name))
        .join(", ") + (names.length > 3 ? ", …" : "");
    return new AdaloraError("E_WEIGHTS", `${where}: ${names.length} weights are missing: ${some}`, {
      hint: "config.json and the weights do not describe the same model",
    });
  },

  unmappedWeights(where: string, plugin: string, keys: readonly string[]) {
    const some =
      keys
        .slice(0, 3)
        .map((key) => cutText(key))
        .join(", ") + (keys.length > 3 ? ", …" : "");
    const count = keys.length === 1 ? "1 key is" : `${keys.length} keys are`;
    const rule = `neither mapped nor ignored by plugin "${plugin}"`;
    return new AdaloraError("E_WEIGHTS", `${where}: ${count} ${rule}: ${some}`, {
      hint: "config.json and the weights do not describe the same model; adalora plugin check says what a plugin of your own lacks",
    });
  },

  /** `key` is tied to `parameter` in this architecture, but holds other values. */
  untiedWeights(where: string, key: string, parameter: string) {
    return new AdaloraError(
      "E_WEIGHTS",
      `${where}: ${key} differs from ${parameter}: a model with untied embeddings is not supported`,
      { hint: "transformers runs such a checkpoint with both; here they are one matrix" },
    );
  },

  weightShape(where: string, name: string, expected: readonly number[], got: readonly number[]) {
    const rule = `${name} must be ${shown(expected)} for this config.json`;
    return new AdaloraError("E_WEIGHTS", `${where}: ${rule}: got ${shown(got)}`);
  },

  notFinite(
    { step, taskLoss, gradNorm }: { step: number; taskLoss: number; gradNorm: number },
    rows: readonly number[],
    checkpoints: string,
  ) {
    const some = rows.slice(0, 8).join(", ") + (rows.length > 8 ? ", …" : "");
    return new AdaloraError(
      "E_NOT_FINITE",
      `step ${step}: the loss must be finite: got loss ${taskLoss}, gradient norm ${gradNorm} (training rows ${some})`,
      {
        hint: `lower --lr, or inspect these rows; --resume continues from the last checkpoint in ${checkpoints}`,
      },
    );
  },

  /** The step's loss was finite, but its update was not; no checkpoint is written. */
  weightsNotFinite(step: number, checkpoints: string) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `step ${step}: the trained weights must be finite: got NaN or Infinity, which is not saved`,
      { hint: `lower --lr; --resume continues from the last checkpoint in ${checkpoints}` },
    );
  },

  /** The model's outputs for some rows of a split, by index or id, contain NaN or Infinity. */
  outputNotFinite(
    { split, what }: { readonly split: string; readonly what: string },
    rows: readonly string[],
    count: number,
  ) {
    const some = rows.slice(0, 8).join(", ") + (rows.length > 8 ? ", …" : "");
    return new AdaloraError(
      "E_NOT_FINITE",
      `${split}: ${what} must be finite: got NaN or Infinity in ${rows.length} of ${count} rows, counted from 0: ${some}`,
      {
        hint: "all rows: the weights of the model or its adapter contain NaN or overflow; some rows: inspect their texts",
      },
    );
  },

  /**
   * An evaluation during training failed with E_NOT_FINITE. `checkpoints`: the folder that the
   * training state was saved to, undefined where it is not finite itself.
   */
  evaluationNotFinite(step: number, { code, message }: AdaloraError, checkpoints?: string) {
    return new AdaloraError(code, `evaluation after step ${step}: ${message}`, {
      hint: checkpoints
        ? `inspect these rows; --resume continues from the checkpoint of this step in ${checkpoints}`
        : "the trained weights are not finite either: lower --lr",
    });
  },

  /** The frozen model computes NaN or Infinity on training data. */
  inputNotFinite(path: string, batch: number) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `--start eva: the inputs of ${path} must be finite: got NaN or Infinity in batch ${batch}`,
      { hint: "check the model's weights; --start paper does not run the model" },
    );
  },

  /** Every batch has fewer tokens than the rank. */
  batchBelowRank(path: string, rank: number, rows: number) {
    return new AdaloraError(
      "E_FLAG",
      `--start eva needs a batch of at least ${rank} tokens, the initial rank: ${path} got at most ${rows}`,
      { hint: "raise --batch-size or lower --init-rank" },
    );
  },

  /** The user stopped a run, after it saved a checkpoint. */
  interrupted(step: number, command: string) {
    const when = step === 0 ? "before the first step" : `after step ${step}`;
    return new AdaloraError("E_INTERRUPTED", `interrupted ${when}`, {
      hint: `${command} continues from there`,
    });
  },

  /** Several runs of one command that a signal stopped. */
  interruptedRuns(command: string) {
    return new AdaloraError("E_INTERRUPTED", "interrupted: not all runs are finished", {
      hint: `${command} continues from there`,
    });
  },

  /** Parameters that neither the model's files nor the adapter's contain. */
  untrained(
    where: string,
    names: readonly string[],
    { hasAdapter, trainedFor }: { hasAdapter: boolean; trainedFor: string | undefined },
  ) {
    const modules = [...new Set(names.map((name) => name.replace(/\.[^.]+$/, "")))].join(" and ");
    const both = hasAdapter ? ", nor does the adapter" : "";
    return new AdaloraError("E_UNTRAINED", `${where}: the model has no trained ${modules}${both}`, {
      hint: trainedFor
        ? `it was trained for ${trainedFor}: leave --task out`
        : hasAdapter
          ? "the adapter must have been saved with these modules (PEFT: modules_to_save)"
          : "give the adapter of a run with --adapter DIR, or a model that was fine-tuned for the task",
    });
  },

  /** The base model that an adapter names, with the reason why it cannot be opened. */
  baseModel(adapter: string, { code, message, cause }: AdaloraError) {
    return new AdaloraError(code, `cannot open the base model of ${adapter}: ${message}`, {
      hint: "give it with --model DIR or --model org/name",
      cause,
    });
  },

  /** `differing`: the names of the settings that differ; empty if the data may differ. */
  otherRun(where: string, differing: readonly string[] = []) {
    const what =
      differing.length === 0 ? "other settings or data" : `another ${differing.join(", ")}`;
    return new AdaloraError("E_RESUME", `${where}: was written by a run with ${what}`, {
      hint: "repeat the run's own command to resume it, or name another --out",
    });
  },

  /** A run of a comparison, trained at another rate than the one that is picked now. */
  otherPickedRate(where: string, picked: number) {
    const rule = `${where}: was trained at another learning rate than ${picked}, which is picked now`;
    return new AdaloraError("E_RESUME", rule, {
      hint: "repeat the --lr-grid of the comparison to resume it, or name another --out",
    });
  },

  /** A checkpoint of a run whose plugin has other bytes now. */
  changedPlugin(folder: string) {
    return new AdaloraError(
      "E_RESUME",
      `${folder}: was written with another version of the plugin`,
      {
        hint: "restore the plugin's files as they were, or start again with --overwrite or another --out",
      },
    );
  },

  /** A checkpoint without the digest that would show whether it was changed. */
  earlierCheckpoint(folder: string) {
    return new AdaloraError(
      "E_RESUME",
      `${folder}: was written by an earlier version of adalora, without a digest`,
      { hint: "finish the run with that version, or start it again with --overwrite" },
    );
  },

  /** A child process that failed; `signal`: what killed it, if anything did. */
  process(command: string, output: string, signal: string | number | null) {
    const last = output.trim().split("\n").slice(-3);
    const end = signal === null ? "failed" : `was killed by ${signal}`;
    const outOfMemory = "the system kills processes when memory runs out";
    return new AdaloraError("E_PROCESS", `${command} ${end}`, {
      hint: signal === "SIGKILL" ? outOfMemory : undefined,
      details: last.filter((line) => line.trim() !== ""),
    });
  },

  nothingTrained(method: string) {
    return new AdaloraError("E_METHOD", `--method ${method} trains nothing of this model`);
  },

  noModules(short: string, known: readonly string[]) {
    return new AdaloraError("E_MODULES", `no module of this model is called "${short}"`, {
      hint: `known: ${known.join(", ")}; --modules chooses among them`,
    });
  },

  /** A family's pattern that selects nothing in this model; `paths`: its linear layers. */
  emptyPattern(plugin: string, short: string, pattern: RegExp, paths: readonly string[]) {
    const rule = `adapters.modules "${short}" matches no linear layer of this model`;
    const some = paths.slice(0, 4).join(", ") + (paths.length > 4 ? ", …" : "");
    return new AdaloraError("E_MODULES", `plugin "${plugin}": ${rule}: got ${String(pattern)}`, {
      hint: `its ${paths.length} linear layers: ${some}`,
    });
  },

  /** A layer that has an adapter is not trained in full as well, nor saved as a head. */
  adaptedHead(plugin: string, short: string, path: string) {
    const rule = `adapters.modules "${short}" matches ${path}, which adapters.trainable trains in full`;
    return new AdaloraError("E_MODULES", `plugin "${plugin}": ${rule}`, {
      hint: "narrow one of the two patterns: a layer has an adapter or is trained in full",
    });
  },

  library(what: string, tried: readonly string[], hint: string) {
    return new AdaloraError("E_LIBRARY", `cannot load ${what}`, { hint, details: tried });
  },

  native(call: string, status: number, text: string) {
    return new AdaloraError("E_NATIVE", `[${call}] ${text} (status ${status})`);
  },

  /** `free`: bytes that the device still has, where it has memory of its own. */
  memory(bytes: number, live: number, free?: number) {
    const gib = (n: number) => `${(n / 2 ** 30).toFixed(2)} GiB`;
    return new AdaloraError(
      "E_MEMORY",
      `out of memory: cannot allocate ${gib(bytes)} with ${gib(live)} in use${free === undefined ? "" : `, ${gib(free)} are free on the device`}`,
      {
        hint: "reduce --batch-size, --max-length or --init-rank, or use --checkpointing",
      },
    );
  },

  /** Something that this machine lacks: a compiler, an instruction set or a package. */
  machine(what: string, hint: string) {
    return new AdaloraError("E_MACHINE", what, { hint });
  },

  flag(flag: string, rule: string, hint?: string, details: readonly string[] = []) {
    return new AdaloraError("E_FLAG", `${dashed(flag)} ${rule}`, { hint, details });
  },

  missing(what: string, hint: string) {
    return new AdaloraError("E_CONFIG", `no ${what} given`, { hint });
  },

  /** The user's own data, whose columns do not show the task. */
  undecidedTask(where: string, what: string) {
    return new AdaloraError("E_CONFIG", `no task given, and ${where} does not show it: ${what}`, {
      hint: TASK_CHOICES,
    });
  },

  /** No task, and no data to infer it from. */
  noTask() {
    return new AdaloraError("E_CONFIG", "no task given", {
      hint: `name a recipe, give --data, from whose columns the task is inferred, or ${TASK_CHOICES}`,
    });
  },

  /** Two options that exclude each other. */
  alternatives(first: string, second: string) {
    return new AdaloraError("E_CONFIG", `${first} and ${second} exclude each other: give one`);
  },

  /** An option that does not apply to `where`, a method, task or workload. */
  unusable(option: string, where: string, hint: string) {
    return new AdaloraError("E_CONFIG", `${option} does not apply to ${where}`, { hint });
  },

  phases(steps: number, initWarmup: number, finalWarmup: number) {
    return new AdaloraError(
      "E_SCHEDULE",
      `--init-warmup ${initWarmup} and --final-warmup ${finalWarmup} leave no steps for pruning: the run has ${steps}`,
      { hint: "train longer, or give shares of the run: --init-warmup 15% --final-warmup 40%" },
    );
  },

  targetAboveStart(
    initRank: number,
    budget: { unit: "ranks" | "parameters"; initial: number; target: number },
  ) {
    const { unit, initial, target } = budget;
    const what = unit === "ranks" ? "triplets" : unit;
    return new AdaloraError(
      "E_SCHEDULE",
      `the target, ${target} ${what} in total, exceeds the start: --init-rank ${initRank} gives ${initial}`,
      { hint: "lower the target, or leave --init-rank out" },
    );
  },

  /** A rank that none of `count` matrices can have; `option` with its value: "--budget 99M". */
  rankAboveMatrices(
    option: string,
    rank: number,
    count: number,
    largest: number,
    hint = "a matrix has at most the rank of its shorter side",
  ) {
    const shownRank = rank.toLocaleString("en", { maximumFractionDigits: 2 });
    return new AdaloraError(
      "E_SCHEDULE",
      `${option} is rank ${shownRank} in each of ${count} matrices: the largest that they can have is ${largest}`,
      { hint },
    );
  },

  /** A target that rounds to no triplet at all. */
  targetBelowRankOne(option: string, count: number, hint: string) {
    const rule = `${option} is less than one triplet in all of the ${count} matrices`;
    return new AdaloraError("E_SCHEDULE", rule, { hint });
  },

  /** A budget of parameters that holds no triplet of the largest matrices, of `least` parameters. */
  budgetBelowTriplet(option: string, least: number, hint: string) {
    const rule = `${option} is less than one triplet of the largest matrices, ${least.toLocaleString("en")} parameters`;
    return new AdaloraError("E_SCHEDULE", rule, { hint });
  },

  argument(word: string, usage: string) {
    const takes = usage === "" ? "only flags: --help lists them" : `${usage}, and flags`;
    return new AdaloraError("E_FLAG", `unexpected argument "${word}"`, {
      hint: `the command takes ${takes}`,
    });
  },

  unknownCommand(name: string, known: readonly string[], nearest: string | undefined) {
    const guess = nearest === undefined ? "" : `did you mean ${nearest}? `;
    return new AdaloraError("E_COMMAND", `unknown command "${name}"`, {
      hint: `${guess}commands: ${known.join(", ")}`,
    });
  },

  out(folder: string, rule: string, hint?: string) {
    return new AdaloraError("E_OUT", `${folder} ${rule}`, { hint });
  },

  /** A run's folder that another process is writing to; `holder`: which one, if known. */
  folderInUse(
    folder: string,
    holder: { readonly pid: number; readonly host: string; readonly since: string } | undefined,
  ) {
    const who = holder && `: process ${holder.pid} on ${holder.host}, since ${holder.since}`;
    return new AdaloraError("E_OUT", `${folder} is in use by another run${who ?? ""}`, {
      hint: "wait until it ends, stop it, or write elsewhere with --out DIR",
    });
  },

  /** A run's folder that is no longer at its path. */
  folderGone(folder: string) {
    return new AdaloraError(
      "E_OUT",
      `${folder} was moved or deleted while the run was writing to it`,
      { hint: "what was trained since the last checkpoint is lost" },
    );
  },

  /** A mapped file of weights that was changed in place. */
  changedFile(path: string) {
    return new AdaloraError("E_FILE", `${path}: was changed while the run was using it`, {
      hint: "--resume continues from the last checkpoint, once the file is as it was",
    });
  },

  /** --which best for a folder of weights by itself; `run`: the run's folder that it lies in. */
  noChoice(folder: string, run: string | undefined) {
    return new AdaloraError("E_FILE", `${folder}: holds one set of weights, not a run's two`, {
      hint: `--which best chooses in a run's folder${run === undefined ? "" : `, such as ${run}`}`,
    });
  },

  /** Weights that a run's folder lacks, where it has its others. */
  otherWeightsOnly(folder: string, which: "last" | "best", other: "last" | "best") {
    const why = which === "last" ? "the run has not ended" : "nothing was evaluated";
    return new AdaloraError("E_FILE", `${folder}: holds no ${which} weights: ${why}`, {
      hint: `--which ${other} takes the ${other} ones`,
    });
  },

  /** A conversion whose result computes other values than the adapter that it was made from. */
  conversion(what: string, difference: number, limit: number) {
    const rule = `must be at most ${limit.toExponential(1)}: got ${difference.toExponential(1)}`;
    return new AdaloraError("E_EXPORT", `the largest difference of ${what} ${rule}`, {
      hint: "nothing was written; the adapter's weights may be too large for f32, or damaged",
    });
  },

  unknownRecipe(name: string, known: readonly string[], nearest: string | undefined) {
    const guess = nearest === undefined ? "" : `did you mean ${nearest}? `;
    return new AdaloraError("E_RECIPE", `no recipe or configuration file "${name}"`, {
      hint: `${guess}recipes: ${known.join(", ")}`,
    });
  },

  /** The name of a task for the user's own data, given instead of a recipe or file. */
  taskOfOwn(name: string) {
    return new AdaloraError("E_RECIPE", `${name} is a task for your own data, not a recipe`, {
      hint: `give it as --task ${name}, with --model and --data`,
    });
  },

  unknownFlag(flag: string, nearest: string | undefined) {
    return new AdaloraError("E_FLAG", `unknown flag ${dashed(flag)}`, {
      hint: nearest === undefined ? undefined : `did you mean --${nearest}?`,
    });
  },
};

/**
 * Throws if `condition` does not hold, which only a bug in adalora can cause. In hot code `message`
 * is a function, so that it is built only on failure.
 */
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new Error(`internal: ${typeof message === "string" ? message : message()}`);
}
