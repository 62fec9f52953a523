import { errors } from "../errors.ts";
import { type BoundedRegex, compileRegex, regexBudget, type WorkBudget } from "./bounded-regex.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";
import { PlainKeys } from "./peft-plain-keys.ts";
import { RegexError } from "./regex-parser.ts";

/** Runs an action; a RegexError becomes the file's error for the key and its expression. */
function guarded<T>(action: () => T, key: string, where: string, source: unknown): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw errors.config(where, key, `a regular expression ${error.message}`, source);
  }
}

/** A regular expression of the file. */
function compiled(source: string, budget: WorkBudget, key: string, where: string): BoundedRegex {
  const regex = guarded(() => compileRegex(source, budget), key, where, source);
  return {
    fullMatch: (text) => guarded(() => regex.fullMatch(text), key, where, source),
    endMatch: (text) => guarded(() => regex.endMatch(text), key, where, source),
  };
}

/** A pattern has at most one key for each module; no model has as many. */
const MAX_KEYS = 60_000;

/**
 * PEFT's lookup of a layer in `rank_pattern` or `alpha_pattern`: the value of the first key that
 * matches the whole path or its last components, as the regular expression `(.*\.)?(KEY)$`; undefined
 * if none does. The work is bounded whatever the keys are.
 */
export function parsePattern(raw: JsonObject, key: string, where: string) {
  const pattern = raw[key] ?? {};
  if (!isJsonObject(pattern)) throw errors.config(where, key, "an object of numbers", pattern);
  const entries = Object.entries(pattern);
  if (entries.length > MAX_KEYS) {
    throw errors.config(where, key, `an object of at most ${MAX_KEYS} keys`, pattern);
  }
  const budget = regexBudget();
  const plain = new PlainKeys();
  const regexes: { readonly regex: BoundedRegex; readonly place: number }[] = [];
  const values: number[] = [];
  for (const [name, value] of entries) {
    if (name === "__proto__") throw errors.config(where, key, "keyed by module names", name);
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw errors.config(where, `${key}.${name}`, "a number above 0", value);
    }
    if (!plain.add(name, values.length)) {
      const regex = compiled(name, budget, key, where);
      regexes.push({ regex, place: values.length });
    }
    values.push(value);
  }
  return (path: string): number | undefined => {
    const place = guarded(() => plain.firstMatch(path), key, where, pattern);
    const earlier = regexes.find((each) => each.place >= place || each.regex.endMatch(path));
    return values[Math.min(place, earlier?.place ?? place)];
  };
}

/**
 * A field that names modules, as `target_modules` and `exclude_modules`: a list, of which one is the
 * whole path or its last components, or a regular expression for the whole path. Undefined if the
 * field is unset.
 */
export function moduleMatcher(
  raw: JsonObject,
  key: string,
  where: string,
): { readonly isExact: Matcher; readonly matches: Matcher } | undefined {
  const value = raw[key] ?? null;
  if (value === null || value === "") return undefined;
  if (typeof value === "string") {
    const regex = compiled(value, regexBudget(), key, where);
    return { isExact: () => true, matches: (path) => regex.fullMatch(path) };
  }
  const names = new Set(stringList(raw, key, where));
  const endsIn = (path: string) => {
    for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
      if (names.has(path.slice(dot + 1))) return true;
    }
    return false;
  };
  return {
    isExact: (path) => names.has(path),
    matches: (path) => names.has(path) || endsIn(path),
  };
}

type Matcher = (path: string) => boolean;

/**
 * The index of the layer that a module belongs to, as PEFT finds it: the first numbered component, or
 * the first after one of `layers_pattern`; undefined without one.
 */
export function layerIndex(raw: JsonObject, where: string): (path: string) => number | undefined {
  const key = "layers_pattern";
  const given = raw[key] ?? [];
  const patterns = typeof given === "string" ? [given] : stringList(raw, key, where);
  const budget = regexBudget();
  // PEFT takes any pattern for an empty list, and has the component before the number begin anew.
  const before = patterns
    .filter((pattern) => pattern !== "")
    .map((pattern) => compiled(String.raw`(?:|.*?\.)${pattern}`, budget, key, where));
  const anyComponent = compiled(String.raw`.*\.[^.]*`, budget, key, where);
  return (path) => {
    const parts = path.split(".");
    for (const regex of before.length === 0 ? [anyComponent] : before) {
      for (let i = 1; i < parts.length - 1; i++) {
        if (!/^\d+$/.test(parts[i]!)) continue;
        if (regex.fullMatch(parts.slice(0, i).join("."))) return Number(parts[i]);
      }
    }
    return undefined;
  };
}

/** A field that is a list of names or unset. */
export function stringList(raw: JsonObject, key: string, where: string): readonly string[] {
  const value: unknown = raw[key] ?? [];
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw errors.config(where, key, "a list of names", value);
}

/** Modules by the components of their paths. */
interface Branch {
  readonly below: Map<string, Branch>;
  isModule: boolean;
}

/**
 * Returns whether a tensor's name contains the path of one of the modules as whole components
 * before its last: PEFT's match of `modules_to_save`. The work for a name doesn't grow with the
 * number of modules.
 */
export function insideModules(modules: readonly string[]): (name: string) => boolean {
  const root: Branch = { below: new Map(), isModule: false };
  for (const module of modules) {
    let branch = root;
    for (const part of module.split(".")) {
      const next = branch.below.get(part) ?? { below: new Map<string, Branch>(), isModule: false };
      branch.below.set(part, next);
      branch = next;
    }
    branch.isModule = true;
  }
  return (name) => {
    const parts = name.split(".");
    return parts.some((_, start) => startsModule(root, parts, start));
  };
}

/** Whether a module's path begins at component `start` and ends before the last one. */
function startsModule(root: Branch, parts: readonly string[], start: number): boolean {
  let branch: Branch | undefined = root;
  for (let i = start; i < parts.length - 1; i++) {
    branch = branch.below.get(parts[i]!);
    if (branch === undefined) return false;
    if (branch.isModule) return true;
  }
  return false;
}
