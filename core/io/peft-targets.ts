import { errors } from "../errors.ts";
import type { JsonObject } from "./json-file.ts";
import { insideModules, layerIndex, moduleMatcher, stringList } from "./peft-patterns.ts";

/** PEFT's name for every linear layer but the output layer. */
const ALL_LINEAR = "all-linear";

/**
 * Whether PEFT adapts a module, by its path: `target_modules`, `exclude_modules`,
 * `layers_to_transform` and `layers_pattern` together. A saved module holds no adapted one. With
 * "all-linear", which depends on the model, every module that is not excluded counts.
 */
export function adaptedModules(raw: JsonObject, where: string): (path: string) => boolean {
  const excluded = moduleMatcher(raw, "exclude_modules", where);
  const isSaved = insideModules(stringList(raw, "modules_to_save", where));
  const isTarget = targetMatcher(raw, where);
  return (path) =>
    !(excluded?.matches(path) ?? false) && !isSaved(`${path}.weight`) && isTarget(path);
}

// --- internal ---

function targetMatcher(raw: JsonObject, where: string): (path: string) => boolean {
  const { target_modules: value } = raw;
  const layers = layersToTransform(raw, where);
  if (typeof value === "string" && value.toLowerCase() === ALL_LINEAR) return () => true;
  const targets = moduleMatcher(raw, "target_modules", where);
  if (targets === undefined) return () => true; // an old file: PEFT's defaults for the model
  if (layers === undefined) return targets.matches;
  const indexOf = layerIndex(raw, where);
  return (path) => {
    if (targets.isExact(path)) return targets.matches(path);
    if (!targets.matches(path)) return false;
    const index = indexOf(path);
    return index !== undefined && layers.has(index);
  };
}

/** Undefined for all layers. */
function layersToTransform(raw: JsonObject, where: string): ReadonlySet<number> | undefined {
  const key = "layers_to_transform";
  const value: unknown = raw[key] ?? [];
  const indices: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (indices.length === 0) return undefined;
  const isIndex = (index: unknown): index is number => Number.isSafeInteger(index);
  if (indices.every(isIndex)) return new Set(indices);
  throw errors.config(where, key, "a whole number or a list of them", value);
}
