import { AdaloraError } from "../errors.ts";
import { cutText, firstOf, shownShape as shown } from "../excerpt.ts";

const OTHER_MODEL =
  "config.json and the weights do not describe the same model; adalora plugin check says what a plugin of your own lacks";

/** Why a model cannot be opened, its weights read, or its layers adapted. */
export const modelErrors = {
  unknownModelType(modelType: string, known: readonly string[]) {
    return new AdaloraError(
      "E_MODEL_TYPE",
      `no plugin handles model_type "${cutText(modelType)}"`,
      {
        hint: `known: ${known.join(", ")}; --plugin FILE|PACKAGE adds a family, and adalora plugin new NAME starts one`,
      },
    );
  },

  /** Two plugins from outside for one model type. */
  sameModelType(modelType: string, first: string, second: string) {
    const rule = `model_type "${cutText(modelType)}" is handled by ${first} too`;
    return new AdaloraError("E_PLUGIN", `${second}: ${rule}`, { hint: "load one of the two" });
  },

  unsupportedTask(family: string, task: string, tasks: readonly string[]) {
    const rule = `the model family "${family}" does not support ${task}`;
    return new AdaloraError("E_TASK", rule, { hint: `supported: ${tasks.join(", ")}` });
  },

  missingWeights(where: string, names: readonly string[]) {
    return new AdaloraError(
      "E_WEIGHTS",
      `${where}: ${names.length} weights are missing: ${firstOf(names, 3)}`,
      { hint: OTHER_MODEL },
    );
  },

  unmappedWeights(where: string, plugin: string, keys: readonly string[]) {
    const count = keys.length === 1 ? "1 key is" : `${keys.length} keys are`;
    const rule = `neither mapped nor ignored by plugin "${plugin}"`;
    return new AdaloraError("E_WEIGHTS", `${where}: ${count} ${rule}: ${firstOf(keys, 3)}`, {
      hint: OTHER_MODEL,
    });
  },

  /** `key` and another one are mapped to `parameter`, and hold other values. */
  doubledWeights(where: string, key: string, parameter: string) {
    const rule = `${key} differs from another key that is mapped to ${parameter} too`;
    return new AdaloraError("E_WEIGHTS", `${where}: ${rule}`, {
      hint: "adalora plugin check names both: narrow a rule in the plugin's weights.rename, or ignore one",
    });
  },

  /** `key` is tied to `parameter` in this architecture, but holds other values. */
  untiedWeights(where: string, key: string, parameter: string) {
    return new AdaloraError(
      "E_WEIGHTS",
      `${where}: ${key} differs from ${parameter}: a model with untied embeddings is not supported`,
      { hint: "transformers runs such a checkpoint with both; here they are one matrix" },
    );
  },

  weightShape(where: string, name: string, expected: readonly number[], got: readonly number[]) {
    const rule = `${name} must be ${shown(expected)} for this config.json`;
    return new AdaloraError("E_WEIGHTS", `${where}: ${rule}: got ${shown(got)}`);
  },

  noModules(short: string, known: readonly string[]) {
    return new AdaloraError("E_MODULES", `no module of this model is called "${short}"`, {
      hint: `known: ${known.join(", ")}; --modules chooses among them`,
    });
  },

  /** A family's pattern that selects nothing in this model; `paths`: its linear layers. */
  emptyPattern(plugin: string, short: string, pattern: RegExp, paths: readonly string[]) {
    const rule = `adapters.modules "${short}" matches no linear layer of this model`;
    return new AdaloraError("E_MODULES", `plugin "${plugin}": ${rule}: got ${String(pattern)}`, {
      hint: `its ${paths.length} linear layers: ${firstOf(paths, 4)}`,
    });
  },

  /** A layer that has an adapter is not trained in full as well, nor saved as a head. */
  adaptedHead(plugin: string, short: string, path: string) {
    const rule = `adapters.modules "${short}" matches ${path}, which adapters.trainable trains in full`;
    return new AdaloraError("E_MODULES", `plugin "${plugin}": ${rule}`, {
      hint: "narrow one of the two patterns: a layer has an adapter or is trained in full",
    });
  },
};
