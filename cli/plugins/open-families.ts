import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { AdaloraError, errors } from "../../core/errors.ts";
import { isFolder, statOf } from "../../core/io/regular-file.ts";
import { createFamilies, type Families, type Family } from "../../core/model/families.ts";
import { guardedPlugin, shownPath } from "../../core/model/guard-plugin.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { importError } from "./import-errors.ts";
import { importPlugin } from "./import-plugin.ts";
import { rememberPlugin } from "./loaded-plugins.ts";
import { originOf, type PluginFile, pluginFiles } from "./plugin-files.ts";
import { isPath, pluginName } from "./plugin-name.ts";
import { pluginIn } from "./plugin-shape.ts";

/**
 * The program's families with those of plugins, files or packages, which are looked up from the
 * folder `from`. `savedIn`: the run's folder if its config.json named them, not the user. Throws
 * E_PLUGIN for a plugin that is not there, cannot be imported or is not one, and for two that
 * handle the same model type.
 */
export async function openFamilies(
  names: readonly string[],
  builtIn: readonly ModelPlugin[],
  { from = process.cwd(), savedIn }: { from?: string; savedIn?: string | undefined } = {},
): Promise<Families> {
  const files = names.map((name) => entryOf(name, from));
  if (savedIn !== undefined)
    files.forEach((file, i) => checkSaved(names[i] ?? file, file, savedIn));
  const outside = await Promise.all([...new Set(files)].map(openPlugin));
  return createFamilies(builtIn, outside);
}

/** Notes on built-in families that plugins replace, one for each model type. */
export function replacements({ all }: Families): readonly string[] {
  const builtIn = all.filter(({ origin }) => origin === undefined);
  return all.flatMap(({ plugin, origin }) => {
    if (origin === undefined) return [];
    return plugin.modelTypes.flatMap((modelType) => {
      const replaced = builtIn.find((one) => one.plugin.modelTypes.includes(modelType));
      if (replaced === undefined) return [];
      const name = `${shownPath(origin.file)}, plugin "${plugin.name}"`;
      return `model_type ${modelType} is handled by ${name}, not by adalora's own "${replaced.plugin.name}"`;
    });
  });
}

/** Loads a plugin's file. Throws E_PLUGIN if it cannot be imported or does not export a plugin. */
export async function openPlugin(file: string): Promise<Family> {
  const files = pluginFiles(file);
  const module = await importPlugin(file, files);
  const plugin = await shapedPlugin(module, file, files);
  const origin = originOf(file, files);
  const family = { plugin: guardedPlugin(plugin, origin), origin };
  rememberPlugin(family);
  return family;
}

// --- internal ---

/** A plugin's fields may be getters, which can throw. */
async function shapedPlugin(
  module: Readonly<Record<string, unknown>>,
  file: string,
  files: readonly PluginFile[],
): Promise<ModelPlugin> {
  try {
    return pluginIn(module, shownPath(file));
  } catch (error) {
    throw error instanceof AdaloraError ? error : await importError(error, file, files);
  }
}

/**
 * A folder from a stranger must not bring code that is then run unasked. Throws E_PLUGIN for a file
 * in the run's folder, and for a relative path, which no run saves.
 */
function checkSaved(name: string, file: string, run: string): void {
  const isInside = file.startsWith(`${realpathSync(run)}/`);
  if (!isInside && (isPath(name) || !isPath(pluginName(name, run)))) return;
  const rule =
    "is named by the run's config.json and may have come with it: it is not loaded unasked";
  throw errors.plugin(name, rule, `if you trust it: --plugin ${name}`);
}

const MOVED = "name its file or package with --plugin; a run keeps that name in its config.json";

/** The file that a name stands for. */
function entryOf(given: string, from: string): string {
  const name = pluginName(given, from);
  if (!isPath(name)) return packageEntry(name, from);
  const found = statOf(name);
  if (!found) throw errors.plugin(`--plugin ${name}`, "does not exist", MOVED);
  if (!found.isFile() && !found.isDirectory())
    throw errors.plugin(`--plugin ${name}`, "is neither a file nor a folder", MOVED);
  try {
    return realpathSync(Bun.resolveSync(name, "/"));
  } catch (cause) {
    const rule = "is a folder without a package.json that names its main file, or an index.ts";
    throw errors.plugin(`--plugin ${name}`, rule, undefined, cause);
  }
}

function packageEntry(name: string, from: string): string {
  try {
    return realpathSync(Bun.resolveSync(name, from));
  } catch (cause) {
    const rule = "there is no such file, nor a package of that name in node_modules";
    const hint = isFolder(resolve(from, name))
      ? `for the folder of that name: --plugin ./${name}`
      : `npm i ${name} in this folder, or ${MOVED}`;
    throw errors.plugin(`--plugin ${name}`, rule, hint, cause);
  }
}
