import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { type AdaloraError, errors } from "../core/errors.ts";
import { fileError } from "../core/io/file-errors.ts";
import type { Layer, SettingName } from "../core/config/run-config.ts";
import { kebab, nearest, spellings } from "./names.ts";
import { runSettings } from "./run-settings.ts";

const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  ".toml": Bun.TOML.parse,
  ".yaml": Bun.YAML.parse,
  ".yml": Bun.YAML.parse,
  ".json": JSON.parse,
};

/** What a configuration file's name ends in. */
export const configExtensions = Object.keys(parsers);

/**
 * A configuration file as a layer of settings: TOML, YAML or JSON, keys in any spelling that the flags have.
 * Throws E_FILE with file and line for text that can't be parsed or an unknown key, E_CONFIG for a wrong value.
 */
export function readConfigFile(path: string): Layer {
  const parse = parsers[extname(path).toLowerCase()];
  if (parse === undefined) {
    const known = configExtensions.join(", ");
    const hint = "the argument is a recipe or a configuration file; --data takes data";
    throw errors.file(path, `a configuration's name must end in ${known}`, hint);
  }
  const text = readText(path);
  return settingsLayer(parseText(path, text, parse), path, text);
}

/** Keys and values of a file or recipe, checked, as a layer; `text` is its source, to find a key's line in. */
export function settingsLayer(raw: unknown, source: string, text = ""): Layer {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw errors.file(source, "must hold keys and values");
  }
  const names = spellings(runSettings);
  const values: Record<string, unknown> = {};
  const spelled = new Map<SettingName, string>();
  for (const [key, value] of Object.entries(raw)) {
    const name = names.get(kebab(key));
    const where = at(source, text, key);
    if (name === undefined) throw unknownKey(where, key, names.keys());
    const twin = spelled.get(name);
    if (twin !== undefined) throw errors.file(where, `"${twin}" and "${key}" are the same setting`);
    spelled.set(name, key);
    if (value === null) continue;
    values[name] = runSettings[name].read(value);
    if (values[name] === undefined) throw errors.config(where, key, runSettings[name].want, value);
  }
  return { values, name: (setting) => `${source}: "${spelled.get(setting) ?? setting}"` };
}

// --- internal ---

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (cause) {
    throw fileError(path, cause);
  }
}

function parseText(path: string, text: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(text);
  } catch (cause) {
    const line = failingLine(text, parse, messageOf(cause));
    const where = line === undefined ? path : `${path}:${line}`;
    throw errors.file(where, messageOf(cause), undefined, cause);
  }
}

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

/**
 * The parsers don't say where they failed: it is the first line up to which the text fails with the same
 * words. An end that comes too soon fails so from the first line on, and has no line.
 */
function failingLine(
  text: string,
  parse: (text: string) => unknown,
  message: string,
): number | undefined {
  const lines = text.split("\n");
  const fails = (count: number) => {
    try {
      parse(lines.slice(0, count).join("\n"));
      return false;
    } catch (error) {
      return messageOf(error) === message;
    }
  };
  const first = lines.findIndex((_, i) => fails(i + 1)) + 1;
  return first > 0 && !/end of (file|input)|EOF/i.test(message) ? first : undefined;
}

function at(source: string, text: string, key: string): string {
  const line = text
    .split("\n")
    .findIndex((one) => one.trimStart().replace(/^["']/, "").startsWith(key));
  return line < 0 ? source : `${source}:${line + 1}`;
}

function unknownKey(where: string, key: string, known: Iterable<string>): AdaloraError {
  const near = nearest(kebab(key), known);
  const hint =
    near === undefined
      ? "adalora run --help lists them all"
      : `did you mean "${near.replaceAll("-", "_")}"?`;
  return errors.file(where, `unknown key "${key}"`, hint);
}
