import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import {
  type AdaLoraModule,
  checkTensors,
  type LoraModule,
  maskOf,
  type PeftAdapter,
} from "./peft-adapter.ts";
import type { PeftConfig } from "./peft-config.ts";
import { insideModules } from "./peft-patterns.ts";
import { tensorRemedy } from "./peft-unsupported.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/** What PEFT puts before a tensor's name in the base model. */
export const PREFIX = "base_model.model.";

/** PEFT's name for the layer inside an adapted one. */
export const BASE_LAYER = ".base_layer";

/** Makes an adapter of the tensors of `file` and their configuration, which must agree. */
export function assembleAdapter(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig,
  file: string,
): PeftAdapter {
  const { layers, saved } = groupTensors(tensors, config, file);
  for (const path of layers.keys()) {
    if (config.isAdapted(path)) continue;
    const rule = `has tensors, but the configuration adapts no such layer: PEFT would ignore them`;
    throw errors.file(`${file}: ${excerpt(path)}`, rule);
  }
  if (config.method === "lora") return loraOf(layers, saved, config, file);
  const { masks, modulesToSave: _, bias: _bias, isAdapted: _isAdapted, ...fields } = config;
  const orphan = [...(masks?.keys() ?? [])].find((path) => !layers.has(path));
  if (orphan !== undefined) {
    throw errors.file(file, `"rank_pattern" describes ${excerpt(orphan)}, which has no tensors`);
  }
  const found = [...layers].map(([path, parts]) => ({
    ...lowRankPair(path, parts, file),
    E: requiredTensor(parts, "E", path, file),
  }));
  checkTensors(found, file);
  const modules = found.map((layer): AdaLoraModule => {
    return { ...layer, mask: maskOf(layer, masks?.get(layer.path), config.initRank, file) };
  });
  return { ...fields, modules, saved };
}

// --- internal ---

/** The tensors of one layer that have been found so far. */
type LayerTensors = Partial<Record<"A" | "E" | "B", StoredTensor>>;

// No module path of torch comes near; it bounds the work for a name.
const MAX_NAME_LENGTH = 500;

/**
 * Splits "<layer>.lora_A" (AdaLoRA) or "<layer>.lora_A.weight" (LoRA); undefined for any other
 * name.
 */
function parseKey(name: string, method: PeftAdapter["method"]) {
  const pattern = method === "adalora" ? /^(.+)\.lora_([AEB])$/ : /^(.+)\.lora_([AB])\.weight$/;
  const [, path, letter] = pattern.exec(name) ?? [];
  return path !== undefined && (letter === "A" || letter === "E" || letter === "B")
    ? { path, letter }
    : undefined;
}

/** Groups an adapter's tensors into layers and fully trained tensors, without PEFT's prefix. */
function groupTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig,
  file: string,
) {
  const layers = new Map<string, LayerTensors>();
  const saved = new Map<string, StoredTensor>();
  const savedName = savedNames(config);
  for (const [key, tensor] of tensors) {
    const name = bareName(key, file);
    const parsed = parseKey(name, config.method);
    if (parsed !== undefined) {
      layers.set(parsed.path, { ...layers.get(parsed.path), [parsed.letter]: tensor });
      continue;
    }
    const found = savedName(name);
    if (found === undefined) {
      const rule = `is neither a tensor of ${config.method} nor of a module in "modules_to_save"`;
      throw errors.file(`${file}: ${excerpt(key)}`, rule, tensorRemedy(name));
    }
    if (found === null) continue;
    if (saved.has(found)) throw errors.file(`${file}: ${excerpt(key)}`, "is there twice");
    saved.set(found, tensor);
  }
  return { layers: new Map([...layers].toSorted(([a], [b]) => (a < b ? -1 : 1))), saved };
}

function bareName(key: string, file: string): string {
  if (!key.startsWith(PREFIX)) {
    throw errors.file(`${file}: ${excerpt(key)}`, `must start with "${PREFIX}"`);
  }
  if (key.length > MAX_NAME_LENGTH) {
    const rule = `a tensor's name has ${key.length} characters, at most ${MAX_NAME_LENGTH}`;
    throw errors.file(file, rule);
  }
  return key.slice(PREFIX.length);
}

/**
 * Returns the name in the base model of a tensor that was trained in full: of a saved module, or a
 * trained bias. Null for one that is stored a second time, undefined for any other tensor.
 */
function savedNames({ modulesToSave, bias }: PeftConfig) {
  const isSaved = insideModules(modulesToSave);
  return (name: string): string | null | undefined => {
    if (bias !== "none" && name.endsWith(".bias")) {
      // With "all" PEFT stores a saved module's bias thrice, as it stands in its wrapper too.
      if (/\.(?:original_module|modules_to_save)\.bias$/.test(name)) return null;
      const inLayer = name.endsWith(`${BASE_LAYER}.bias`);
      if (inLayer) return `${name.slice(0, -`${BASE_LAYER}.bias`.length)}.bias`;
      if (bias === "all") return name;
    }
    return isSaved(name) ? name : undefined;
  };
}

function requiredTensor(
  parts: LayerTensors,
  name: "A" | "E" | "B",
  path: string,
  file: string,
): StoredTensor {
  const tensor = parts[name];
  if (tensor !== undefined) return tensor;
  throw errors.file(file, `"${PREFIX}${path}.lora_${name}" is missing`);
}

const lowRankPair = (path: string, parts: LayerTensors, file: string) => ({
  path,
  A: requiredTensor(parts, "A", path, file),
  B: requiredTensor(parts, "B", path, file),
});

function loraOf(
  layers: ReadonlyMap<string, LayerTensors>,
  saved: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig & { readonly method: "lora" },
  file: string,
): PeftAdapter {
  const { method, taskType, baseModel, revision, dropout } = config;
  const modules = [...layers].map(([path, parts]): LoraModule => {
    const module = { ...lowRankPair(path, parts, file), alpha: config.alphaOf(path) };
    const [expected, found] = [config.rankOf(path), module.A.shape[0]];
    if (expected === found) return module;
    throw errors.file(
      file,
      `"${path}" must have rank ${expected} according to adapter_config.json, got ${found}`,
    );
  });
  return { method, taskType, baseModel, revision, dropout, modules, saved };
}
