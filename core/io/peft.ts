import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { currentDirectory, writeDirectoryAtomic, writeFileAtomic } from "./atomic.ts";
import { readJsonObject } from "./json-file.ts";
import {
  type AdaLoraModule,
  checkAdapter,
  checkTensors,
  type LoraModule,
  maskOf,
  type PeftAdapter,
} from "./peft-adapter.ts";
import { insideModules } from "./peft-patterns.ts";
import { parsePeftConfig, type PeftConfig } from "./peft-config.ts";
import { peftConfigJson } from "./peft-config-json.ts";
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

// No module path of torch comes near; it bounds the work for a name.
const MAX_NAME_LENGTH = 500;

/** Groups an adapter's tensors into layers and fully trained tensors, without PEFT's prefix. */
function groupTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  config: PeftConfig,
  file: string,
) {
  const layers = new Map<string, LayerTensors>();
  const saved = new Map<string, StoredTensor>();
  const isSaved = insideModules(config.modulesToSave);
  for (const [key, tensor] of tensors) {
    if (!key.startsWith(PREFIX)) {
      throw errors.file(`${file}: ${excerpt(key)}`, `must start with "${PREFIX}"`);
    }
    if (key.length > MAX_NAME_LENGTH) {
      const rule = `a tensor's name has ${key.length} characters, at most ${MAX_NAME_LENGTH}`;
      throw errors.file(file, rule);
    }
    const name = key.slice(PREFIX.length);
    const parsed = parseKey(name, config.method);
    if (parsed !== undefined) {
      layers.set(parsed.path, { ...layers.get(parsed.path), [parsed.letter]: tensor });
    } else if (isSaved(name)) {
      saved.set(name, tensor);
    } else {
      const rule = `is neither a tensor of ${config.method} nor of a module in "modules_to_save"`;
      throw errors.file(`${file}: ${excerpt(key)}`, rule);
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
      throw errors.file(file, `"rank_pattern" describes ${excerpt(orphan)}, which has no tensors`);
    }
    const found = [...layers].map(([path, parts]) => ({
      ...lowRank(path, parts),
      E: requiredTensor(parts, "E", path, file),
    }));
    checkTensors(found, file);
    const modules = found.map((layer): AdaLoraModule => {
      return { ...layer, mask: maskOf(layer, masks?.get(layer.path), config.initRank, file) };
    });
    return { ...fields, modules, saved };
  }
  const { method, taskType, baseModel, revision, dropout } = config;
  const modules = [...layers].map(([path, parts]): LoraModule => {
    const module = { ...lowRank(path, parts), alpha: config.alphaOf(path) };
    const [expected, found] = [config.rankOf(path), module.A.shape[0]];
    if (expected === found) return module;
    throw errors.file(
      file,
      `"${path}" must have rank ${expected} according to ${ADAPTER_CONFIG}, got ${found}`,
    );
  });
  return { method, taskType, baseModel, revision, dropout, modules, saved };
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

/** Paths and all that contain them: "a.b" gives "a" and "a.b". */
function withParents(paths: readonly string[]): ReadonlySet<string> {
  const all = new Set(paths);
  for (const path of paths) {
    for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
      all.add(path.slice(0, dot));
    }
  }
  return all;
}

/**
 * The module that PEFT must save for a tensor: the shortest prefix of its name without adapted
 * layers, so "pooler" for "pooler.dense.weight". `adapted` holds the layers and their parents.
 */
function moduleToSave(name: string, adapted: ReadonlySet<string>, where: string): string {
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    const module = name.slice(0, dot);
    if (!adapted.has(module)) return module;
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
 * Writes an adapter in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`, with
 * further files by name. Atomic: the folder appears complete or not at all, and an existing one is
 * replaced only when it holds nothing else. LoRA layers of rank 0 are left out.
 */
export function writePeftAdapter(
  dir: string,
  adapter: PeftAdapter,
  files: ReadonlyMap<string, string | Uint8Array> = new Map(),
): void {
  checkAdapter(adapter, dir);
  checkSchedule(adapter, dir);
  writeDirectoryAtomic(dir, (scratch) => writePeftFiles(scratch, adapter, files, dir));
}

/** As writePeftAdapter, into a folder that exists; `where` is named in errors. */
export function writePeftFiles(
  to: string,
  given: PeftAdapter,
  files: ReadonlyMap<string, string | Uint8Array>,
  where: string,
): void {
  const adapter = withoutEmptyLayers(given);
  if (adapter.modules.length === 0) throw errors.file(where, "there is no adapted layer to write");
  const adapted = withParents(adapter.modules.map(({ path }) => path));
  const saved = [...adapter.saved.keys()].map((name) => moduleToSave(name, adapted, where));
  const config = peftConfigJson(adapter, [...new Set(saved)].toSorted());
  writeFileAtomic(join(to, ADAPTER_CONFIG), config);
  writeSafetensors(join(to, ADAPTER_WEIGHTS), new Map(namedTensors(adapter)));
  for (const [name, content] of files) writeFileAtomic(join(to, name), content);
}
