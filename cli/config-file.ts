import { existsSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { type AdaloraError, errors } from "../core/errors.ts";
import { cutText, excerpt } from "../core/excerpt.ts";

import { readRegular } from "../core/io/regular-file.ts";
import type { Layer, SettingName } from "../core/config/run-config.ts";
import { nearest } from "../core/nearest.ts";
import { kebab, spellings } from "./names.ts";
import { withPluginNames } from "./plugins/plugin-name.ts";
import { runSettings } from "./run-settings.ts";

const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  ".toml": Bun.TOML.parse,
  ".yaml": Bun.YAML.parse,
  ".yml": Bun.YAML.parse,
  ".json": JSON.parse,
};

/** Extensions of configuration files. */
export const configExtensions = Object.keys(parsers);

// Far more than all settings with comments take; a parser's time may grow faster than its text.
const MAX_BYTES = 200_000;
const SLOW_MS = 50;

/**
 * Reads a TOML, YAML or JSON configuration file as a layer of settings; keys may be spelled as the
 * flags are, and paths of plugins are read from the file's folder. Throws E_FILE with file and line
 * for text that can't be parsed and for an unknown key, E_CONFIG for an invalid value.
 */
export function readConfigFile(path: string): Layer {
  const parse = parsers[extname(path).toLowerCase()];
  if (parse === undefined) {
    const known = configExtensions.join(", ");
    const hint = existsSync(join(path, "config.json"))
      ? "a run's folder is named by --out: adalora run --resume --out FOLDER continues it"
      : "the argument is a recipe or a configuration file; --data takes data";
    throw errors.file(path, `a configuration's name must end in ${known}`, hint);
  }
  const text = readText(path);
  return withPluginNames(settingsLayer(parseText(path, text, parse), path, text), dirname(path));
}

/**
 * Checks the keys and values of a file or recipe and returns them as a layer. `text`: the source,
 * in which errors look up a key's line.
 */
export function settingsLayer(raw: unknown, source: string, text = ""): Layer {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw errors.file(source, "must hold keys and values");
  }
  const names = spellings(runSettings);
  const values: Record<string, unknown> = {};
  const spelled = new Map<SettingName, string>();
  for (const [key, value] of Object.entries(raw)) {
    const name = names.get(kebab(key));
    const where = () => at(source, text, key);
    if (name === undefined) throw unknownKey(where(), key, names.keys());
    const earlier = spelled.get(name);
    if (earlier !== undefined) {
      throw errors.file(where(), `"${earlier}" and "${key}" are the same setting`);
    }
    spelled.set(name, key);
    if (value === null) continue;
    values[name] = runSettings[name].read(value);
    if (values[name] === undefined)
      throw errors.config(where(), key, runSettings[name].want, value);
  }
  return { values, name: (setting) => `${source}: "${spelled.get(setting) ?? setting}"` };
}

// --- internal ---

function readText(path: string): string {
  const bytes = readRegular(path);
  if (bytes.length <= MAX_BYTES) return bytes.toString("utf8").replace(/^\uFEFF/, "");
  throw errors.file(path, `a configuration has at most ${MAX_BYTES} bytes, got ${bytes.length}`);
}

function parseText(path: string, text: string, parse: (text: string) => unknown): unknown {
  const started = performance.now();
  try {
    return parse(text);
  } catch (cause) {
    // The search parses some 20 times; a text that takes so long is no configuration.
    const isSlow = performance.now() - started > SLOW_MS;
    const line = isSlow ? undefined : failingLine(text, parse, messageOf(cause));
    const where = line === undefined ? path : `${path}:${line}`;
    throw errors.file(where, cutText(messageOf(cause), 300), undefined, cause);
  }
}

function messageOf(cause: unknown): string {
  if (cause instanceof RangeError) return "it is nested too deep"; // the parser's stack is full
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * The line of a parse error, from 1. The parsers don't report it, so it is the first line up to
 * which the text fails with the same message. An unexpected end fails from the first line on and
 * has no line. A long text is searched by halves: once the error is inside, more lines don't change
 * it.
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
  let [before, first] = [0, lines.length];
  if (lines.length <= 50) first = lines.findIndex((_, i) => fails(i + 1)) + 1;
  else {
    while (first - before > 1) {
      const middle = (before + first) >> 1;
      if (fails(middle)) first = middle;
      else before = middle;
    }
  }
  return first > 0 && !/end of (file|input)|EOF/i.test(message) ? first : undefined;
}

function at(source: string, text: string, key: string): string {
  const line = text
    .split("\n")
    .findIndex((one) => one.trimStart().replace(/^["']/, "").startsWith(key));
  return line < 0 ? source : `${source}:${line + 1}`;
}

function unknownKey(where: string, key: string, known: Iterable<string>): AdaloraError {
  const near = nearest(kebab(cutText(key)), known);
  const hint =
    near === undefined
      ? "adalora run --help-all lists them all"
      : `did you mean "${near.replaceAll("-", "_")}"?`;
  return errors.file(where, `unknown key ${excerpt(key)}`, hint);
}
