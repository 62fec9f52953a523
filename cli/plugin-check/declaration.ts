import { excerpt } from "../../core/excerpt.ts";
import { isJsonObject } from "../../core/io/json-file.ts";
import { findings, listed, type PluginFinding } from "./finding.ts";

const { ok, fail } = findings("declaration");

const taskNames: readonly unknown[] = ["classification", "regression", "span", "generation"];

/** The declaration's findings. `usable`: whether its types allow the other checks. */
export interface DeclarationCheck {
  readonly findings: readonly PluginFinding[];
  readonly usable: boolean;
}

/** Checks the fields of a plugin: their types, and the values that types can't express. */
export function checkDeclaration(plugin: object): DeclarationCheck {
  const wrongTypes = fields.flatMap(([path, want, isRight]) => {
    const value = valueAt(plugin, path);
    if (isRight(value)) return [];
    const got = typeof value === "function" ? "a function" : excerpt(value);
    return [fail(`${path} must be ${want}, got ${got}`, `set ${path} in definePlugin({ … })`)];
  });
  if (wrongTypes.length > 0) return { findings: wrongTypes, usable: false };
  const wrongValues = [
    ...prefixFindings(plugin),
    ...repeatedNames(plugin),
    ...statefulPatterns(plugin),
  ];
  const { length } = fields;
  return {
    findings: wrongValues.length > 0 ? wrongValues : [ok(`${length} fields, all of their type`)],
    usable: true,
  };
}

// --- internal ---

const isText = (value: unknown): value is string => typeof value === "string";
const isFilled = (value: unknown) => isText(value) && value !== "";
const isHook = (value: unknown) => typeof value === "function";
const isPattern = (value: unknown): value is RegExp => value instanceof RegExp;
const listOf = (is: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(is);
const someOf = (is: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.every(is);
const tableOf = (is: (value: unknown) => boolean) => (value: unknown) =>
  isJsonObject(value) && Object.values(value).every(is);
const isRule = (value: unknown) =>
  Array.isArray(value) && value.length === 2 && isPattern(value[0]) && isText(value[1]);
const optionally = (is: (value: unknown) => boolean) => (value: unknown) =>
  value === undefined || is(value);

const rules = "a list of [pattern, text] pairs";
const patterns = "a list of patterns (RegExp)";

/** Every field: its path, what it must be, and the test of that. */
const fields: readonly (readonly [string, string, (value: unknown) => boolean])[] = [
  ["name", "a text", isFilled],
  ["modelTypes", "a list of texts, not empty", someOf(isFilled)],
  [
    "tasks",
    `a list of ${taskNames.join(", ")}, not empty`,
    someOf((value) => taskNames.includes(value)),
  ],
  ["parseConfig", "a function", isHook],
  ["limits", "a function", isHook],
  ["build", "a function", isHook],
  ["weights", "an object", isJsonObject],
  ["weights.prefix", "a text", isText],
  ["weights.rename", rules, listOf(isRule)],
  ["weights.copies", `${rules}, or left out`, optionally(listOf(isRule))],
  ["weights.ignore", patterns, listOf(isPattern)],
  ["weights.optional", patterns, listOf(isPattern)],
  ["adapters", "an object", isJsonObject],
  ["adapters.modules", "an object of short names and patterns", tableOf(isPattern)],
  ["adapters.prefixes", "an object of prefixes and patterns", tableOf(isPattern)],
  ["adapters.trainable", patterns, listOf(isPattern)],
  ["adapters.saved", "a list of texts", listOf(isFilled)],
  ["tokenizer", "a tokenizer family", isJsonObject],
  ["tokenizer.name", "a text", isFilled],
  ["tokenizer.special", "an object", isJsonObject],
  ["tokenizer.special.pad", "a text", isFilled],
  ["tokenizer.special.cls", "a text", isFilled],
  ["tokenizer.special.sep", "a text", isFilled],
  ["tokenizer.special.unk", "a text", isFilled],
];

function valueAt(plugin: object, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => {
    return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  }, plugin);
}

function prefixFindings(plugin: object): PluginFinding[] {
  const prefix = String(valueAt(plugin, "weights.prefix"));
  if (prefix === "" || prefix.endsWith(".")) return [];
  const message = `weights.prefix must end with a dot, got ${excerpt(prefix)}`;
  return [fail(message, `write ${excerpt(`${prefix}.`)}: keys of a bare backbone lack all of it`)];
}

/** Lists in which a value stands twice. */
function repeatedNames(plugin: object): PluginFinding[] {
  return ["modelTypes", "tasks", "adapters.saved"].flatMap((path) => {
    const value = valueAt(plugin, path);
    const names: readonly unknown[] = Array.isArray(value) ? value : [];
    const twice = names.filter((name, i) => names.indexOf(name) !== i).map((name) => excerpt(name));
    return twice.length === 0
      ? []
      : [fail(`${path} names ${listed(twice)} more than once`, "remove the repeated names")];
  });
}

/** A pattern with the flag g or y keeps state: it matches only every other time. */
function statefulPatterns(plugin: object): PluginFinding[] {
  const paths = fields.map(([path]) => path).filter((path) => /^(weights|adapters)\./.test(path));
  const stateful = paths.flatMap((path) =>
    patternsIn(valueAt(plugin, path))
      .filter(({ flags }) => /[gy]/.test(flags))
      .map((pattern) => `${path} has ${String(pattern)}`),
  );
  if (stateful.length === 0) return [];
  const rule = "a pattern with the flag g or y starts where its last match ended";
  return [fail(`${listed(stateful)}: ${rule}`, "leave the flags g and y out")];
}

function patternsIn(value: unknown): RegExp[] {
  if (isPattern(value)) return [value];
  return typeof value === "object" && value !== null
    ? Object.values(value).flatMap(patternsIn)
    : [];
}
