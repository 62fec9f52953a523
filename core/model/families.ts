import { modelErrors } from "./model-errors.ts";
import type { ModelPlugin } from "./plugin.ts";

/** Where a plugin from outside the program was loaded from. */
export interface PluginOrigin {
  /** Absolute path of the file that exports it. */
  readonly file: string;
  /** That file, and every file that it imports by a relative path, in turn. */
  readonly files: readonly string[];
  /** SHA-256 of the bytes of these files. */
  readonly digest: string;
}

/** A model family. */
export interface Family {
  readonly plugin: ModelPlugin;
  /** Undefined for a family of the program itself. */
  readonly origin: PluginOrigin | undefined;
}

/** The families that a command can use. */
export interface Families {
  /** Those from outside, then the program's own. */
  readonly all: readonly Family[];
  /** The family for a config.json's `model_type`. Throws E_MODEL_TYPE for an unknown one. */
  familyOf(modelType: string): Family;
}

/**
 * Collects families; one from outside takes precedence over the program's own. Throws E_PLUGIN if
 * two from outside handle the same model type.
 */
export function createFamilies(
  builtIn: readonly ModelPlugin[],
  outside: readonly Family[] = [],
): Families {
  checkDistinct(outside);
  const all = [...outside, ...builtIn.map((plugin) => ({ plugin, origin: undefined }))];
  return {
    all,
    familyOf(modelType) {
      const found = all.find(({ plugin }) => plugin.modelTypes.includes(modelType));
      if (found) return found;
      const known = all.flatMap(({ plugin }) => plugin.modelTypes);
      throw modelErrors.unknownModelType(modelType, [...new Set(known)]);
    },
  };
}

// --- internal ---

function checkDistinct(outside: readonly Family[]): void {
  const owners = new Map<string, string>();
  for (const { plugin, origin } of outside) {
    for (const modelType of plugin.modelTypes) {
      const [first, second] = [owners.get(modelType), origin?.file ?? plugin.name];
      if (first !== undefined) throw modelErrors.sameModelType(modelType, first, second);
      owners.set(modelType, second);
    }
  }
}
