import { errors } from "../errors.ts";
import { type Adapter, type AdapterOptions, declareAdapter } from "../nn/adapter.ts";
import type { Linear } from "../nn/linear.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { ModelPlugin } from "./plugin.ts";

/**
 * Selects linear layers by the family's short names (default: all), in model order. Throws
 * E_MODULES for an unknown name, and for a pattern that matches no layer.
 */
export function selectLinears(
  tree: ModuleTree,
  { name, adapters }: Pick<ModelPlugin, "name" | "adapters">,
  modules: readonly string[] = Object.keys(adapters.modules),
): readonly Linear[] {
  const patterns = modules.map((short) => {
    const pattern = adapters.modules[short];
    if (!pattern) throw errors.noModules(short, Object.keys(adapters.modules));
    const paths = [...tree.linears.keys()];
    if (!paths.some((path) => pattern.test(path)))
      throw errors.emptyPattern(name, short, pattern, paths);
    return pattern;
  });
  return [...tree.linears.values()].filter(({ path }) =>
    patterns.some((pattern) => pattern.test(path)),
  );
}

/** A module's short name, prefixed if its layer has several: "q_proj", "cross.q_proj". */
export function nameInLayer(path: string, { adapters }: Pick<ModelPlugin, "adapters">): string {
  const nameIn = (table: Readonly<Record<string, RegExp>>) =>
    Object.entries(table).find(([, pattern]) => pattern.test(path))?.[0];
  return (nameIn(adapters.prefixes) ?? "") + (nameIn(adapters.modules) ?? path);
}

/** Attaches an adapter to each layer; the adapters have no values yet. */
export function attachAdapters(
  linears: readonly Linear[],
  options: AdapterOptions,
): readonly Adapter[] {
  return linears.map((linear) => (linear.adapter = declareAdapter(linear.path, linear, options)));
}
