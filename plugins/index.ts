import { errors } from "../core/errors.ts";
import type { ModelPlugin } from "../core/model/plugin.ts";
import { bart } from "./bart/index.ts";
import { deberta } from "./deberta/index.ts";

/** Adding a family is one import and one entry here. */
export const plugins: readonly ModelPlugin[] = [deberta, bart];

export function pluginFor(modelType: string): ModelPlugin {
  const plugin = plugins.find((p) => p.modelTypes.includes(modelType));
  if (plugin) return plugin;
  throw errors.unknownModelType(
    modelType,
    plugins.flatMap((p) => p.modelTypes),
  );
}
