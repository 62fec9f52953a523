import { relative } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { excerpt, shownShape } from "../excerpt.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";
import { Stopped } from "../stopped.ts";
import type { Family, PluginOrigin } from "./families.ts";
import type { Model, ModelPlugin, TaskHead } from "./plugin.ts";

/**
 * A plugin from outside whose failures name it: what its functions and its model throw becomes
 * E_PLUGIN with the plugin's name, the function and the line of its own file. Errors that adalora
 * raises on purpose stay as they are; a shape error gets the line as its hint. Results of the wrong
 * kind are E_PLUGIN too.
 */
export function guardedPlugin(plugin: ModelPlugin, { files, digest }: PluginOrigin): ModelPlugin {
  const owner = { name: plugin.name, files };
  const { tokenizer } = plugin;
  // Inherits every other field, so that a new one needs no line here.
  const guarded: ModelPlugin = Object.create(plugin, {
    parseConfig: constant((raw: Readonly<Record<string, unknown>>) =>
      // A copy: a plugin that changes it must not change what is saved or read next.
      guard(owner, "parseConfig", () => plugin.parseConfig(structuredClone(raw)), CONFIG),
    ),
    limits: constant((config: object) =>
      guard(owner, "limits", () => plugin.limits(config), LIMITS),
    ),
    build: constant((...args: Parameters<ModelPlugin["build"]>) => {
      const [, head] = args;
      const model = guard(owner, "build", () => plugin.build(...args), MODEL);
      if (head.task === "generation") checkGenerator(model, owner);
      return guardedModel(model, owner, head);
    }),
    tokenizer: constant(guardedTokenizer(tokenizer, owner, digest)),
  });
  return guarded;
}

/**
 * E_PLUGIN for an error from a file of the plugin that none of its guarded functions threw: backward
 * calls its layers again with checkpointing. Undefined if no line of the plugin is involved.
 */
export function callbackError(error: unknown, { plugin, origin }: Family): unknown {
  if (error instanceof AdaloraError || origin === undefined) return undefined;
  if (lineIn(error, origin.files) === undefined) return undefined;
  return ownedError(error, { name: plugin.name, files: origin.files }, "called back");
}

/** The innermost frame of an error that lies in one of the files: "bert.ts:12:7". */
export function lineIn(error: unknown, files: readonly string[]): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  for (const line of stack.split("\n")) {
    const file = files.find((one) => line.includes(`${one}:`));
    if (file === undefined) continue;
    const [position] =
      /^:\d+(:\d+)?/.exec(line.slice(line.indexOf(`${file}:`) + file.length)) ?? [];
    if (position !== undefined) return shownPath(file) + position;
  }
  return undefined;
}

/** A path relative to the current folder if it lies in it, else as it is. */
export function shownPath(file: string): string {
  const shorter = relative(process.cwd(), file);
  return shorter === "" || shorter.startsWith("..") ? file : shorter;
}

// --- internal ---

interface Owner {
  readonly name: string;
  readonly files: readonly string[];
}

/** The results that a function of a plugin may return. */
interface Expected {
  readonly is: (value: unknown) => boolean;
  /** What the function "must return". */
  readonly want: string;
  readonly hint?: string;
}

const constant = (value: unknown) => ({ value, enumerable: true });

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isRecord = (value: unknown): value is object => isObject(value) && !Array.isArray(value);
const isModel = (value: unknown) => isObject(value) && isFunction(Reflect.get(value, "forward"));
const isFunction = (value: unknown) => typeof value === "function";
const isTokenizerJson = (value: unknown) =>
  isObject(value) &&
  isObject(Reflect.get(value, "model")) &&
  Array.isArray(Reflect.get(value, "added_tokens"));
const isTensor = (value: unknown) => isObject(value) && "shape" in value && "buffer" in value;
const isPositive = (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0;
const isPromise = (value: unknown) => isObject(value) && isFunction(Reflect.get(value, "then"));

const CONFIG: Expected = { is: isRecord, want: "an object" };
const TOKENIZER: Expected = {
  is: isTokenizerJson,
  want: "a tokenizer.json: an object with a model and added_tokens",
};
const MODEL: Expected = { is: isModel, want: "a model with a function forward" };

/** Getters run here, so that what they throw is the function's own failure. */
function isLimits(value: unknown): boolean {
  if (!isObject(value)) return false;
  const length: unknown = Reflect.get(value, "maxLength");
  return isPositive(Reflect.get(value, "vocabSize")) && (isPositive(length) || length === Infinity);
}

const LIMITS: Expected = {
  is: isLimits,
  want: "vocabSize and maxLength, whole numbers above 0 (maxLength may be Infinity)",
  hint: "vocabSize: the rows of the word embeddings; maxLength: the longest sequence in tokens",
};

/** Runs a function of a plugin. Throws E_PLUGIN for what it throws, and for other results. */
function guard<T>(
  owner: Owner,
  hook: string,
  work: () => T,
  { is, want, hint }: Expected = { is: () => true, want: "" },
): T {
  let value: T;
  let isRight: boolean;
  try {
    value = work();
    isRight = !isPromise(value) && is(value);
  } catch (error) {
    throw ownedError(error, owner, hook);
  }
  if (isRight) return value;
  const where = `plugin "${owner.name}", ${hook}`;
  if (!isPromise(value)) {
    throw errors.plugin(where, `must return ${want}, got ${excerpt(value)}`, hint);
  }
  // Nobody awaits it: what it throws would be reported as an error of its own.
  Promise.resolve(value).catch(() => {});
  throw errors.plugin(
    where,
    `must return ${want}, got a Promise`,
    "a plugin's functions are not async",
  );
}

function ownedError(error: unknown, { name, files }: Owner, hook: string): unknown {
  if (error instanceof Stopped) return error;
  const line = lineIn(error, files);
  const where = `plugin "${name}", ${hook}${line === undefined ? "" : `, ${line}`}`;
  if (error instanceof AdaloraError) {
    const isExplained = error.code !== "E_SHAPE" || error.hint !== undefined;
    return isExplained
      ? error
      : new AdaloraError(error.code, error.message, { hint: `in ${where}`, cause: error });
  }
  return errors.plugin(where, messageOf(error), undefined, error);
}

/** An error's name and message in one line; names say more than messages of the engine's own. */
function messageOf(error: unknown): string {
  const text =
    error instanceof Error ? `${error.name}: ${error.message}` : `threw ${String(error)}`;
  return text.replace(/^Error: (internal: )?/, "").replaceAll(/\s*\n\s*/g, " ");
}

/**
 * The model with every method guarded, and the shape of its logits checked: columns beyond the
 * labels would be trained without an error. A proxy keeps fields and private members where they
 * are.
 */
function guardedModel(model: Model, owner: Owner, head: TaskHead): Model {
  const forward: Model["forward"] = (pass, batch) => {
    const work = () => model.forward(pass, batch);
    const logits = guard(owner, "forward", work, { is: isTensor, want: "a tensor" });
    checkLogits(logits.shape, batch, head, owner);
    return logits;
  };
  return new Proxy(model, {
    get(target, key) {
      if (key === "forward") return forward;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown =>
        guard(owner, String(key), () => Reflect.apply(value, target, args));
    },
  });
}

/** Throws E_PLUGIN for a model that lacks something of `GenerationModel`. */
function checkGenerator(model: Model, { name }: Owner): void {
  const has = (key: string, is: (value: unknown) => boolean) => is(Reflect.get(model, key));
  const lacking = [
    ...["encode", "decode", "decodeStep", "topTokens", "logits", "loss"].filter(
      (key) => !has(key, isFunction),
    ),
    ...["special", "limits", "cacheShape"].filter((key) => !has(key, isObject)),
  ];
  if (lacking.length === 0) return;
  const rule = `must return a model that generates: it lacks ${lacking.join(", ")}`;
  throw errors.plugin(`plugin "${name}", build`, rule, "the type GenerationModel describes them");
}

/**
 * Throws E_PLUGIN for logits of a shape that the task cannot have; generation has its own checks.
 */
function checkLogits(
  shape: readonly number[],
  { offsets, ids }: TokenBatch,
  { task, labels }: TaskHead,
  { name }: Owner,
): void {
  if (task === "generation") return;
  const [rows = 0, columns] = shape;
  // A span loss that counts padding has rows of padded positions below the tokens.
  const isSpan = task === "span";
  const want = isSpan ? ids.length : offsets.length - 1;
  const hasRows = isSpan ? rows >= want : rows === want;
  if (hasRows && columns === labels && shape.length === 2) return;
  const hint = isSpan
    ? "return one row per token, of head.labels columns"
    : "return one row per sequence, of head.labels columns";
  const rule = `must return logits ${shownShape([want, labels])}, got ${shownShape(shape)}`;
  throw errors.plugin(`plugin "${name}", forward`, rule, hint);
}

function guardedTokenizer(
  tokenizer: ModelPlugin["tokenizer"],
  owner: Owner,
  digest: string,
): ModelPlugin["tokenizer"] {
  const { convert } = tokenizer;
  if (convert === undefined) return tokenizer;
  return {
    ...tokenizer,
    convert: {
      files: convert.files,
      version: digest,
      build: (files, config) =>
        guard(owner, "convert", () => convert.build(files, config), TOKENIZER),
    },
  };
}
