import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { currentDirectory, writeDirectoryAtomic, writeFileAtomic } from "./atomic.ts";
import { readJsonObject } from "./json-file.ts";
import {
  type AdaLoraModule,
  checkAdapter,
  type LoraModule,
  type PeftAdapter,
} from "./peft-adapter.ts";
import { parsePeftConfig, type PeftConfig, peftConfigJson } from "./peft-config.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";
import type { StoredTensor } from "./stored-tensor.ts";
import { openTorchCheckpoint } from "./torch-pickle.ts";

/** Name of an adapter's configuration file. */
export const ADAPTER_CONFIG = "adapter_config.json";
/** Name of an adapter's weights file. */
export const ADAPTER_WEIGHTS = "adapter_model.safetensors";
/** Name of the weights file that PEFT wrote before version 0.7. */
export const OLD_ADAPTER_WEIGHTS = "adapter_model.bin";

const PREFIX = "base_model.model.";

/** The tensors of one layer that have been found so far. */
type LayerTensors = Partial<Record<"A" | "E" | "B", StoredTensor>>;

function openWeights(dir: string): { file: string; tensors: Map<string, StoredTensor> } {
  const file = join(dir, ADAPTER_WEIGHTS);
  if (existsSync(file)) return { file, tensors: openSafetensors(file).tensors };
  const old = join(dir, OLD_ADAPTER_WEIGHTS);
  if (existsSync(old)) return { file: old, tensors: openTorchCheckpoint(old) };
  throw errors.file(
    dir,
    `holds no adapter weights: looked for ${ADAPTER_WEIGHTS}, ${OLD_ADAPTER_WEIGHTS}`,
  );
}

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

function isSaved(name: string, modulesToSave: readonly string[]): boolean {
  return modulesToSave.some((module) => `.${name}`.includes(`.${module}.`));
}

/** Groups an adapter's tensors into layers and fully trained tensors, without PEFT's prefix. */
function groupTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig,
  file: string,
) {
  const layers = new Map<string, LayerTensors>();
  const saved = new Map<string, StoredTensor>();
  for (const [key, tensor] of tensors) {
    if (!key.startsWith(PREFIX)) {
      throw errors.file(`${file}: "${key}"`, `must start with "${PREFIX}"`);
    }
    const name = key.slice(PREFIX.length);
    const parsed = parseKey(name, config.method);
    if (parsed !== undefined) {
      layers.set(parsed.path, { ...layers.get(parsed.path), [parsed.letter]: tensor });
    } else if (isSaved(name, config.modulesToSave)) {
      saved.set(name, tensor);
    } else {
      const rule = `is neither a tensor of ${config.method} nor of a module in "modules_to_save"`;
      throw errors.file(`${file}: "${key}"`, rule);
    }
  }
  return { layers: new Map([...layers].toSorted(([a], [b]) => (a < b ? -1 : 1))), saved };
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

function assemble(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig,
  file: string,
): PeftAdapter {
  const { layers, saved } = groupTensors(tensors, config, file);
  const lowRank = (path: string, parts: LayerTensors) => ({
    path,
    A: requiredTensor(parts, "A", path, file),
    B: requiredTensor(parts, "B", path, file),
  });
  if (config.method === "adalora") {
    const { masks, modulesToSave: _names, ...fields } = config;
    const orphan = [...(masks?.keys() ?? [])].find((path) => !layers.has(path));
    if (orphan !== undefined) {
      throw errors.file(file, `"rank_pattern" describes "${orphan}", which has no tensors`);
    }
    const fullMask = Array.from({ length: config.initRank }, () => true);
    const modules = [...layers].map(([path, parts]): AdaLoraModule => {
      const E = requiredTensor(parts, "E", path, file);
      return { ...lowRank(path, parts), E, mask: masks?.get(path) ?? fullMask };
    });
    return { ...fields, modules, saved };
  }
  const { method, taskType, baseModel, dropout } = config;
  const modules = [...layers].map(([path, parts]): LoraModule => {
    const module = { ...lowRank(path, parts), alpha: config.alphaOf(path) };
    const [expected, found] = [config.rankOf(path), module.A.shape[0]];
    if (expected === found) return module;
    throw errors.file(
      file,
      `"${path}" must have rank ${expected} according to ${ADAPTER_CONFIG}, got ${found}`,
    );
  });
  return { method, taskType, baseModel, dropout, modules, saved };
}

/**
 * Reads a PEFT adapter of type ADALORA or LORA from its folder. Layers are sorted by path; their
 * tensors are views of the file. Throws an AdaloraError on a missing or contradictory file, key,
 * mask or rank, and on a PEFT option that this program does not support.
 */
export function readPeftAdapter(dir: string): PeftAdapter {
  const folder = currentDirectory(dir);
  if (!existsSync(folder)) throw errors.file(dir, "does not exist");
  const configFile = join(folder, ADAPTER_CONFIG);
  const config = parsePeftConfig(readJsonObject(configFile), configFile);
  const { file, tensors } = openWeights(folder);
  const adapter = assemble(tensors, config, file);
  if (adapter.modules.length === 0) throw errors.file(file, "holds no adapted layer");
  checkAdapter(adapter, file);
  return adapter;
}

/**
 * The module that PEFT must save for a tensor: the shortest prefix of its name without adapted
 * layers, so "pooler" for "pooler.dense.weight".
 */
function moduleToSave(name: string, paths: readonly string[], where: string): string {
  const parts = name.split(".").slice(0, -1);
  for (let length = 1; length <= parts.length; length++) {
    const module = parts.slice(0, length).join(".");
    if (!paths.some((path) => path === module || path.startsWith(`${module}.`))) return module;
  }
  throw errors.file(
    `${where}: "${name}"`,
    "must belong to a module without adapted layers, as PEFT saves whole modules",
  );
}

/** PEFT refuses to load a schedule without a pruning step. */
function checkSchedule(adapter: PeftAdapter, where: string): void {
  if (adapter.method !== "adalora") return;
  const { initWarmup, finalWarmup, totalSteps } = adapter;
  if (initWarmup < totalSteps - finalWarmup) return;
  throw errors.file(
    where,
    `PEFT loads only schedules with initWarmup < totalSteps - finalWarmup, got ${initWarmup}, ${totalSteps}, ${finalWarmup}`,
  );
}

function* namedTensors(adapter: PeftAdapter): Generator<readonly [string, StoredTensor]> {
  const suffix = adapter.method === "lora" ? ".weight" : "";
  for (const module of adapter.modules) {
    const { path, A, B } = module;
    yield [`${PREFIX}${path}.lora_A${suffix}`, A];
    yield [`${PREFIX}${path}.lora_B${suffix}`, B];
    if ("E" in module) yield [`${PREFIX}${path}.lora_E`, module.E];
  }
  for (const [name, tensor] of adapter.saved) yield [PREFIX + name, tensor];
}

/** PEFT's LoRA has no rank 0; a layer without triplets adds nothing, so dropping it is exact. */
function withoutEmptyLayers(adapter: PeftAdapter): PeftAdapter {
  if (adapter.method !== "lora") return adapter;
  return { ...adapter, modules: adapter.modules.filter(({ A }) => A.shape[0] !== 0) };
}

/**
 * Writes an adapter in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.
 * Atomic: the folder appears complete or not at all, and an existing one is replaced only when it
 * holds nothing else. LoRA layers of rank 0 are left out.
 */
export function writePeftAdapter(dir: string, given: PeftAdapter): void {
  checkAdapter(given, dir);
  checkSchedule(given, dir);
  const adapter = withoutEmptyLayers(given);
  if (adapter.modules.length === 0) throw errors.file(dir, "there is no adapted layer to write");
  const paths = adapter.modules.map(({ path }) => path);
  const saved = [...adapter.saved.keys()].map((name) => moduleToSave(name, paths, dir));
  writeDirectoryAtomic(dir, (scratch) => {
    const config = peftConfigJson(adapter, [...new Set(saved)].toSorted());
    writeFileAtomic(join(scratch, ADAPTER_CONFIG), config);
    writeSafetensors(join(scratch, ADAPTER_WEIGHTS), new Map(namedTensors(adapter)));
  });
}
