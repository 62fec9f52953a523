import { isAbsolute, resolve } from "node:path";
import type { Layer } from "../../core/config/run-config.ts";
import { statOf } from "../../core/io/regular-file.ts";

/**
 * What a run keeps of a plugin's name: the absolute path of a file, read from `folder`, or a
 * package's name as it is. A name is a path if it starts with "." or "/", ends as a script's, or if
 * it is a file.
 */
export function pluginName(name: string, folder: string): string {
  const isPath = /^\.{0,2}\//.test(name) || /\.[cm]?[jt]s$/.test(name);
  const path = resolve(folder, name);
  return isPath || statOf(path)?.isFile() === true ? path : name;
}

/** The layer with the names of its plugins as a run keeps them. */
export function withPluginNames(layer: Layer, folder: string): Layer {
  const { plugins } = layer.values;
  if (!plugins) return layer;
  const kept = plugins.map((name) => pluginName(name, folder));
  return { ...layer, values: { ...layer.values, plugins: kept } };
}

/** Whether a plugin's kept name is a path. */
export const isPath = (name: string): boolean => isAbsolute(name);
