import { relative } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { Stopped } from "../stopped.ts";
import type { Family, PluginOrigin } from "./families.ts";
import type { Model, ModelPlugin } from "./plugin.ts";

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
      guard(owner, "parseConfig", () => plugin.parseConfig(raw), isObject, "an object"),
    ),
    limits: constant((config: object) =>
      guard(owner, "limits", () => plugin.limits(config), isLimits, LIMITS),
    ),
    build: constant((...args: Parameters<ModelPlugin["build"]>) => {
      const model = guard(owner, "build", () => plugin.build(...args), isModel, MODEL);
      return guardedModel(model, owner);
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

const LIMITS = "vocabSize and maxLength, both above 0";
const MODEL = "a model with a function forward";

const constant = (value: unknown) => ({ value, enumerable: true });

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isModel = (value: unknown) => isObject(value) && isFunction(Reflect.get(value, "forward"));
const isFunction = (value: unknown) => typeof value === "function";
const isTensor = (value: unknown) => isObject(value) && "shape" in value && "buffer" in value;
const isLimits = (value: unknown) =>
  isObject(value) &&
  [Reflect.get(value, "vocabSize"), Reflect.get(value, "maxLength")].every((one) => one > 0);

/** Runs a function of a plugin; `want` describes the results that `is` accepts. */
function guard<T>(
  owner: Owner,
  hook: string,
  work: () => T,
  is: (value: unknown) => boolean = () => true,
  want = "",
): T {
  let value: T;
  try {
    value = work();
  } catch (error) {
    throw ownedError(error, owner, hook);
  }
  if (is(value)) return value;
  const where = `plugin "${owner.name}", ${hook}`;
  throw errors.plugin(where, `must return ${want}, got ${excerpt(value)}`);
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

/** The model with every method guarded. A proxy keeps fields and private members where they are. */
function guardedModel(model: Model, owner: Owner): Model {
  return new Proxy(model, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      const is = key === "forward" ? isTensor : undefined;
      return (...args: unknown[]): unknown =>
        guard(owner, String(key), () => Reflect.apply(value, target, args), is, "a tensor");
    },
  });
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
        guard(owner, "convert", () => convert.build(files, config), isObject, "a tokenizer.json"),
    },
  };
}
