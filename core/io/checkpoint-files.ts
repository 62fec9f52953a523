import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { errors } from "../errors.ts";
import { statOf } from "./regular-file.ts";
import { openSafetensors } from "./safetensors.ts";
import { openShards } from "./shard-index.ts";
import type { StoredTensor } from "./stored-tensor.ts";
import { openTorchCheckpoint } from "./torch-pickle.ts";

/** The weights of a checkpoint folder. */
interface Checkpoint {
  /** In the order of the file or of the index. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The files that the tensors came from. */
  readonly files: readonly string[];
}

const openSafetensorsShard = (path: string) => openSafetensors(path).tensors;
const singleFile = (open: (path: string) => Map<string, StoredTensor>) => (path: string) => ({
  tensors: open(path),
  files: [path],
});

/**
 * The file names that a checkpoint folder may hold its weights under, in order of preference, and
 * how each is opened.
 */
const WEIGHT_FORMATS: readonly (readonly [name: string, open: (path: string) => Checkpoint])[] = [
  ["model.safetensors", singleFile(openSafetensorsShard)],
  ["model.safetensors.index.json", (path) => openShards(path, openSafetensorsShard)],
  ["pytorch_model.bin", singleFile(openTorchCheckpoint)],
  ["pytorch_model.bin.index.json", (path) => openShards(path, openTorchCheckpoint)],
];

/**
 * File names of a checkpoint's weights, in order of preference; those ending in `.index.json` list
 * shards.
 */
export const WEIGHT_FILES: readonly string[] = WEIGHT_FORMATS.map(([name]) => name);

/** One file of a checkpoint's weights. */
export interface WeightFile {
  /** Its name in the folder. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Of a safetensors file; empty for others. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The weight files of a checkpoint folder, one after the other; throws as openCheckpoint. */
export function* openWeightFiles(dir: string): Generator<WeightFile> {
  for (const path of openCheckpoint(dir).files) {
    const name = basename(path);
    if (name.endsWith(".safetensors")) yield { name, ...openSafetensors(path) };
    else yield { name, tensors: openTorchCheckpoint(path), metadata: {} };
  }
}

/**
 * Opens the weights in a checkpoint folder: the first of `WEIGHT_FILES` that exists. Throws an
 * AdaloraError when there is none, a shard is missing or a file is damaged.
 */
export function openCheckpoint(dir: string): Checkpoint {
  const stats = statOf(dir);
  if (stats === undefined) throw errors.file(dir, "does not exist");
  if (!stats.isDirectory()) {
    throw errors.file(dir, "is a file", "name the folder that holds config.json and the weights");
  }
  const format = WEIGHT_FORMATS.find(([name]) => existsSync(join(dir, name)));
  if (format === undefined) {
    throw errors.file(dir, `holds no weights: looked for ${WEIGHT_FILES.join(", ")}`);
  }
  const [name, open] = format;
  return open(join(dir, name));
}
