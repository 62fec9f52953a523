import { errors } from "../errors.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { ModelPlugin } from "../plugin.ts";
import { type Adapter, declareAdapter } from "./adapter.ts";

/**
 * Attaches an adapter to each linear layer that one of the short names selects, in the model's own order.
 * A name that the plugin does not know, or that selects nothing, is an error.
 */
export function attachAdapters(
  tree: ModuleTree,
  plugin: Pick<ModelPlugin, "adapters">,
  modules: readonly string[],
  options: { rank: number; alpha: number; svd: boolean },
): readonly Adapter[] {
  const patterns = modules.map((short) => {
    const pattern = plugin.adapters.modules[short];
    const some = [...tree.linears.keys()].some((path) => pattern?.test(path));
    if (!pattern || !some) throw errors.noModules(short, Object.keys(plugin.adapters.modules));
    return pattern;
  });
  const chosen = [...tree.linears.values()].filter((linear) =>
    patterns.some((pattern) => pattern.test(linear.path)),
  );
  return chosen.map((linear) => (linear.adapter = declareAdapter(linear.path, linear, options)));
}
