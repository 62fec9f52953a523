import { errors } from "../errors.ts";
import { type Adapter, type AdapterOptions, declareAdapter } from "../nn/adapter.ts";
import type { Linear } from "../nn/linear.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { ModelPlugin } from "./plugin.ts";

/**
 * The linear layers that the short names select, in the model's own order.
 * A name that the plugin does not know, or that selects nothing, is an error.
 */
export function selectLinears(
  tree: ModuleTree,
  { adapters }: Pick<ModelPlugin, "adapters">,
  modules: readonly string[] = Object.keys(adapters.modules),
): readonly Linear[] {
  const patterns = modules.map((short) => {
    const pattern = adapters.modules[short];
    const some = [...tree.linears.keys()].some((path) => pattern?.test(path));
    if (!pattern || !some) throw errors.noModules(short, Object.keys(adapters.modules));
    return pattern;
  });
  return [...tree.linears.values()].filter(({ path }) =>
    patterns.some((pattern) => pattern.test(path)),
  );
}

/** What the module of a path is called among those of its layer: "q_proj", "cross.q_proj". */
export function nameInLayer(path: string, { adapters }: Pick<ModelPlugin, "adapters">): string {
  const nameIn = (table: Readonly<Record<string, RegExp>>) =>
    Object.entries(table).find(([, pattern]) => pattern.test(path))?.[0];
  return (nameIn(adapters.prefixes) ?? "") + (nameIn(adapters.modules) ?? path);
}

/** Gives each layer an adapter whose numbers come later. */
export function attachAdapters(
  linears: readonly Linear[],
  options: AdapterOptions,
): readonly Adapter[] {
  return linears.map((linear) => (linear.adapter = declareAdapter(linear.path, linear, options)));
}
