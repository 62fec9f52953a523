import { errors } from "../core/errors.ts";
import type { ModelPlugin } from "../core/model/plugin.ts";
import { bart } from "./bart/index.ts";
import { deberta } from "./deberta/index.ts";
import { modernbert } from "./modernbert/index.ts";

/** Every model family. Adding one is one import and one entry here. */
export const plugins: readonly ModelPlugin[] = [deberta, bart, modernbert];

/** The plugin for a config.json's `model_type`. Throws E_MODEL_TYPE for an unknown one. */
export function pluginFor(modelType: string): ModelPlugin {
  const plugin = plugins.find((p) => p.modelTypes.includes(modelType));
  if (plugin) return plugin;
  throw errors.unknownModelType(
    modelType,
    plugins.flatMap((p) => p.modelTypes),
  );
}
