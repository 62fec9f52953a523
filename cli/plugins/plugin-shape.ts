import { type AdaloraError, errors } from "../../core/errors.ts";
import { excerpt } from "../../core/excerpt.ts";
import type { HeadKind, ModelPlugin } from "../../core/model/plugin.ts";
import { nearest } from "../../core/nearest.ts";

/**
 * The default export of a plugin's module as a plugin. `where`: its file. Throws E_PLUGIN for a
 * module without one, and for the first field that is missing or of the wrong type.
 */
export function pluginIn(module: Readonly<Record<string, unknown>>, where: string): ModelPlugin {
  if (!Object.hasOwn(module, "default")) throw noDefault(where, Object.keys(module));
  const value = module["default"];
  if (value instanceof Promise) {
    const hint = "export default await …, in a file with top-level await";
    throw errors.plugin(where, "the default export must be a plugin, got a Promise", hint);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const hint =
      typeof value === "function" ? "call it: export default myPlugin(), not myPlugin" : EXPORTED;
    throw errors.plugin(where, `the default export must be a plugin, got ${shown(value)}`, hint);
  }
  for (const [path, [is, want]] of Object.entries(fields)) checkField(value, path, is, want, where);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every field has been checked
  return value as ModelPlugin;
}

// --- internal ---

const EXPORTED = "export default definePlugin({ name, modelTypes, … })";

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isName: Check = (value) => typeof value === "string" && value.trim() !== "";
// What commands, tables and messages show, and what --modules separates by commas.
const isWord: Check = (value) => typeof value === "string" && /^[\w.+-]+$/.test(value);
const isFunction: Check = (value) => typeof value === "function";
// A pattern with the flag g or y starts where its last match ended.
const isPattern: Check = (value) => value instanceof RegExp && !value.global && !value.sticky;
const isList =
  (is: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(is);
const isFull =
  (is: Check): Check =>
  (value) =>
    isList(is)(value) && Array.isArray(value) && value.length > 0;
const isTable =
  (is: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(is);
const isOptional =
  (is: Check): Check =>
  (value) =>
    value === undefined || is(value);
const isModules: Check = (value) =>
  isTable(isPattern)(value) && isFull(isWord)(Object.keys(Object(value)));
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isRename: Check = (value) =>
  Array.isArray(value) && value.length === 2 && isPattern(value[0]) && isText(value[1]);

const tasks: readonly HeadKind[] = ["classification", "regression", "span", "generation"];
const isTask: Check = (value) => tasks.some((task) => task === value);

const WORD = "of letters, digits, ., _, + and -";
const PATTERNS = "a list of regular expressions without the flags g and y";
const NAMED_PATTERNS = "an object of regular expressions without the flags g and y";
const RENAMES = "a list of [regular expression, text], without the flags g and y";

/** Every field by its path, with its type. Fields of an object come after it. */
const fields: Readonly<Record<string, readonly [Check, string]>> = {
  name: [isWord, WORD],
  modelTypes: [isFull(isWord), `a list of words ${WORD}`],
  tasks: [isFull(isTask), `a list of ${tasks.join(", ")}`],
  parseConfig: [isFunction, "a function"],
  limits: [isFunction, "a function"],
  build: [isFunction, "a function"],
  weights: [isRecord, "an object"],
  "weights.prefix": [isText, "text"],
  "weights.rename": [isList(isRename), RENAMES],
  "weights.copies": [isOptional(isList(isRename)), RENAMES],
  "weights.ignore": [isList(isPattern), PATTERNS],
  "weights.optional": [isList(isPattern), PATTERNS],
  adapters: [isRecord, "an object"],
  "adapters.modules": [isModules, `${NAMED_PATTERNS}, at least one, with names ${WORD}`],
  "adapters.prefixes": [isTable(isPattern), NAMED_PATTERNS],
  "adapters.trainable": [isList(isPattern), PATTERNS],
  "adapters.saved": [isList(isName), "a list of texts"],
  tokenizer: [isRecord, "an object"],
  "tokenizer.name": [isName, "text"],
  "tokenizer.special": [isTable(isText), "an object of texts"],
  "tokenizer.special.pad": [isText, "text"],
  "tokenizer.special.cls": [isText, "text"],
  "tokenizer.special.sep": [isText, "text"],
  "tokenizer.special.unk": [isText, "text"],
  "tokenizer.convert": [isOptional(isRecord), "an object"],
};

const convertFields: typeof fields = {
  "tokenizer.convert.files": [isFull(isName), "a list of texts"],
  "tokenizer.convert.build": [isFunction, "a function"],
};

function noDefault(where: string, others: readonly string[]): AdaloraError {
  const found = others.length === 0 ? "nothing" : others.join(", ");
  return errors.plugin(where, `has no default export: it exports ${found}`, EXPORTED);
}

/** A misspelled name of a missing field is suggested. */
function checkField(plugin: object, path: string, is: Check, want: string, where: string): void {
  const names = path.split(".");
  const key = names.at(-1) ?? path;
  const owner = names
    .slice(0, -1)
    .reduce<unknown>((at, name) => Reflect.get(Object(at), name), plugin);
  const value: unknown = Reflect.get(Object(owner), key);
  if (!is(value)) {
    const isMissing = value === undefined;
    const guess = isMissing ? nearest(key, Object.keys(Object(owner))) : undefined;
    const hint = guess === undefined ? undefined : `"${guess}" is not a field: is it misspelled?`;
    const got = isMissing ? "nothing" : shown(value);
    throw errors.plugin(where, `"${path}" must be ${want}, got ${got}`, hint);
  }
  if (path !== "tokenizer.convert" || value === undefined) return;
  for (const [inner, [isInner, wantInner]] of Object.entries(convertFields))
    checkField(plugin, inner, isInner, wantInner, where);
}

function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (value instanceof RegExp) return String(value);
  if (Array.isArray(value) && value.some((one) => one instanceof RegExp))
    return `[${value.map(shown).join(", ")}]`;
  return isRecord(value) && Object.values(value).some((one) => one instanceof RegExp)
    ? `{ ${Object.entries(value)
        .map(([key, one]) => `${key}: ${shown(one)}`)
        .join(", ")} }`
    : excerpt(value);
}
