import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { currentDirectory, writeDirectoryAtomic, writeFileAtomic } from "./atomic.ts";
import { readJsonObject } from "./json-file.ts";
import { isFiniteTensor } from "./finite.ts";
import { checkAdapter, type PeftAdapter } from "./peft-adapter.ts";
import { type AdapterBias, parsePeftConfig } from "./peft-config.ts";
import { peftConfigJson } from "./peft-config-json.ts";
import { assembleAdapter, BASE_LAYER, PREFIX } from "./peft-tensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";
import type { StoredTensor } from "./stored-tensor.ts";
import { openTorchCheckpoint } from "./torch-pickle.ts";

/** Name of an adapter's configuration file. */
export const ADAPTER_CONFIG = "adapter_config.json";
/** Name of an adapter's weights file. */
export const ADAPTER_WEIGHTS = "adapter_model.safetensors";
/** Name of the file with what PEFT's configuration cannot say: task, labels and settings. */
export const ADAPTER_FACTS = "adalora.json";
/** Name of the weights file that PEFT wrote before version 0.7. */
export const OLD_ADAPTER_WEIGHTS = "adapter_model.bin";

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
  const adapter = assembleAdapter(tensors, config, file);
  if (adapter.modules.length === 0) throw errors.file(file, "holds no adapted layer");
  checkAdapter(adapter, file);
  for (const [name, tensor] of tensors) {
    if (isFiniteTensor(tensor)) continue;
    throw errors.file(`${file}: ${excerpt(name)}`, "holds a value that is not a finite number");
  }
  return adapter;
}

const MAX_SUBFOLDERS = 1000;

/** The folders in `dir` that hold an adapter, at most two levels deep, sorted. */
export function adapterFolders(dir: string): readonly string[] {
  const first = foldersIn(dir);
  return [...first, ...first.slice(0, MAX_SUBFOLDERS / 10).flatMap(foldersIn)]
    .filter((folder) => existsSync(join(folder, ADAPTER_CONFIG)))
    .toSorted();
}

/** The folders in a folder; none if it cannot be read. */
function foldersIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .slice(0, MAX_SUBFOLDERS)
      .flatMap((entry) => (entry.isDirectory() ? join(dir, entry.name) : []));
  } catch {
    return [];
  }
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
 * The module that PEFT must save for a tensor, which it saves whole: a part of the model without
 * adapted layers, such as "pooler" for "pooler.dense.weight", else the tensor's own module. Undefined
 * for a trained bias of an adapted layer, or of a module whose weight is not trained. `adapted` holds
 * the layers and their parents.
 */
function moduleToSave(
  name: string,
  { adapted, saved }: SavedNames,
  where: string,
): string | undefined {
  const module = name.slice(0, Math.max(0, name.lastIndexOf(".")));
  if (isLoneBias(name, saved)) return undefined;
  const first = name.slice(0, name.indexOf("."));
  if (module !== "" && !adapted.has(first)) return first;
  if (module !== "" && !adapted.has(module)) return module;
  throw errors.file(
    `${where}: "${name}"`,
    "must belong to a module without adapted layers, as PEFT saves whole modules",
  );
}

/** The names of tensors that are saved in full, and the adapted layers with their parents. */
interface SavedNames {
  readonly adapted: ReadonlySet<string>;
  readonly saved: ReadonlySet<string>;
}

/** Whether a tensor is a bias beside a weight that is not saved in full. */
const isLoneBias = (name: string, saved: ReadonlySet<string>) =>
  name.endsWith(".bias") && !saved.has(name.replace(/bias$/, "weight"));

/** PEFT's name for the biases that were trained beside the adapters. */
function trainedBiases({ adapted, saved }: SavedNames): AdapterBias {
  const lone = [...saved].filter((name) => isLoneBias(name, saved));
  if (lone.length === 0) return "none";
  return lone.every((name) => adapted.has(name.replace(/\.bias$/, ""))) ? "lora_only" : "all";
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
  const adapted = new Set(adapter.modules.map(({ path }) => path));
  for (const [name, tensor] of adapter.saved) {
    const path = name.replace(/\.bias$/, "");
    yield [
      PREFIX + (path !== name && adapted.has(path) ? `${path}${BASE_LAYER}.bias` : name),
      tensor,
    ];
  }
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
  const paths = adapter.modules.map(({ path }) => path);
  const names = { adapted: withParents(paths), saved: new Set(adapter.saved.keys()) };
  const saved = [...names.saved].map((name) => moduleToSave(name, names, where));
  const modulesToSave = new Set(saved.filter((module) => module !== undefined));
  const config = peftConfigJson(adapter, [...modulesToSave].toSorted(), trainedBiases(names));
  writeFileAtomic(join(to, ADAPTER_CONFIG), config);
  writeSafetensors(join(to, ADAPTER_WEIGHTS), new Map(namedTensors(adapter)));
  for (const [name, content] of files) writeFileAtomic(join(to, name), content);
}
