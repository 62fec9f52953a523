import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { isJsonObject, readJsonObject } from "./json-file.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/** Whether a relative path stays inside the folder that it is joined to, on any system. */
export function isSafeRelative(name: string): boolean {
  if (name === "" || name.includes("\0") || name.includes("\\") || /^[a-zA-Z]:/.test(name))
    return false;
  return name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** The index of a sharded checkpoint. */
interface ShardIndex {
  /** Tensor name → file name, relative to the index. */
  readonly fileOf: ReadonlyMap<string, string>;
  /** The file names of all shards, sorted. */
  readonly files: readonly string[];
}

/**
 * Reads `*.index.json`: its `weight_map` must map each tensor to a file inside the index's folder.
 */
export function readShardIndex(path: string): ShardIndex {
  const { weight_map: weightMap } = readJsonObject(path);
  if (!isJsonObject(weightMap)) throw errors.file(path, `"weight_map" must be an object`);
  const fileOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== "string" || !isSafeRelative(file)) {
      const rule = "must name a file in the same folder";
      throw errors.file(`${path}: ${excerpt(tensor)}`, `${rule}, got ${excerpt(file)}`);
    }
    fileOf.set(tensor, file);
  }
  if (fileOf.size === 0) throw errors.file(path, `"weight_map" names no tensor`);
  return { fileOf, files: [...new Set(fileOf.values())].toSorted() };
}

/**
 * Opens every shard of an index by `openShard` and collects the tensors that the index assigns to
 * it. Throws an AdaloraError when a shard is missing, or a shard lacks an assigned tensor.
 */
export function openShards(
  indexPath: string,
  openShard: (path: string) => ReadonlyMap<string, StoredTensor>,
): { tensors: Map<string, StoredTensor>; files: string[] } {
  const { fileOf, files } = readShardIndex(indexPath);
  const folder = dirname(indexPath);
  const missing = files.filter((file) => !existsSync(join(folder, file)));
  if (missing.length > 0) {
    const rule = `${missing.length} of its ${files.length} shards are missing: ${missing
      .slice(0, 5)
      .map((file) => cutText(file))
      .join(", ")}`;
    throw errors.file(indexPath, rule, "download or copy the whole checkpoint again");
  }
  const shards = new Map(files.map((file) => [file, openShard(join(folder, file))]));
  const tensors = new Map<string, StoredTensor>();
  for (const [name, file] of fileOf) {
    const tensor = shards.get(file)?.get(name);
    if (tensor === undefined)
      throw errors.file(indexPath, `${cutText(file)} does not hold ${excerpt(name)}`);
    tensors.set(name, tensor);
  }
  return { tensors, files: files.map((file) => join(folder, file)) };
}
