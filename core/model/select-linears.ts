import { type Adapter, type AdapterOptions, declareAdapter } from "../nn/adapter.ts";
import type { Adaptable } from "../nn/linear.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import { modelErrors } from "./model-errors.ts";
import type { ModelPlugin } from "./plugin.ts";

/**
 * Selects linear layers and parts of fused ones by the family's short names (default: all), in
 * model order. Throws E_MODULES for an unknown name, for a pattern that matches nothing, and for one
 * that matches a layer trained in full.
 */
export function selectLinears(
  tree: ModuleTree,
  { name, adapters }: Pick<ModelPlugin, "name" | "adapters">,
  modules: readonly string[] = Object.keys(adapters.modules),
): readonly Adaptable[] {
  const patterns = modules.map((short) => {
    const pattern = Object.hasOwn(adapters.modules, short) ? adapters.modules[short] : undefined;
    if (!pattern) throw modelErrors.noModules(short, Object.keys(adapters.modules));
    const paths = [...tree.adaptable.keys()];
    if (!paths.some((path) => pattern.test(path)))
      throw modelErrors.emptyPattern(name, short, pattern, paths);
    const isTrained = (path: string) =>
      adapters.trainable.some((trainable) => trainable.test(`${path}.weight`));
    const head = paths.find((path) => pattern.test(path) && isTrained(path));
    if (head !== undefined) throw modelErrors.adaptedHead(name, short, head);
    return pattern;
  });
  return [...tree.adaptable.values()].filter(({ path }) =>
    patterns.some((pattern) => pattern.test(path)),
  );
}

/**
 * A module's short name, prefixed if its layer has several: "q_proj", "cross.q_proj". A module
 * without one, such as a fused layer that an adapter covers as a whole, has its path in the layer.
 */
export function nameInLayer(path: string, { adapters }: Pick<ModelPlugin, "adapters">): string {
  const nameIn = (table: Readonly<Record<string, RegExp>>) =>
    Object.entries(table).find(([, pattern]) => pattern.test(path))?.[0];
  const own = nameIn(adapters.modules) ?? path.replace(/^.*?\.\d+\./, "");
  return (nameIn(adapters.prefixes) ?? "") + own;
}

/** Attaches an adapter to each layer or part; the adapters have no values yet. */
export function attachAdapters(
  hosts: readonly Adaptable[],
  options: AdapterOptions,
): readonly Adapter[] {
  return hosts.map((host) => (host.adapter = declareAdapter(host.path, host, options)));
}
