import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { MappedFile } from "./mapped-file.ts";
import { DTYPE_BYTES, type StoredTensor } from "./stored-tensor.ts";
import { readStateDict } from "./torch-state-dict.ts";
import { describeValue, storageDtypes, TORCH_HOOKS } from "./torch-tensors.ts";
import { unpickle } from "./unpickler.ts";

// The first pickle of the stream, torch.serialization.MAGIC_NUMBER.
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
// 1 GiB: far more than names and shapes need, and always small enough to map.
const MAX_PICKLE_BYTES = 2 ** 30;

/**
 * Locates the storages: after the pickles, in the order of `keys`, each a u64 element count
 * followed by the elements.
 */
function locateStorages(
  file: MappedFile,
  keys: readonly unknown[],
  stateDict: unknown,
  start: number,
): Map<unknown, Uint8Array> {
  const dtypes = storageDtypes(stateDict);
  const storages = new Map<unknown, Uint8Array>();
  let at = start;
  for (const key of keys) {
    const dtype = typeof key === "string" ? dtypes.get(key) : undefined;
    if (dtype === undefined)
      throw errors.file(file.path, `stores ${describeValue(key)}, which no tensor uses`);
    const prefix = file.view(at, 8);
    const count = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
    const size = Number(count) * DTYPE_BYTES[dtype];
    if (size > file.size - at - 8) {
      const facts = `storage ${describeValue(key)} needs ${size} bytes, found ${file.size - at - 8}`;
      throw errors.file(file.path, `is truncated: ${facts}`, "download or copy the file again");
    }
    storages.set(key, file.view(at + 8, size));
    at += 8 + size;
  }
  return storages;
}

/**
 * Reads the stream of pickles and raw storages that torch.save wrote before version 1.6 (and still
 * can).
 */
export function readLegacyStream(file: MappedFile): Map<string, StoredTensor> {
  const bytes = file.view(0, Math.min(file.size, MAX_PICKLE_BYTES));
  const readPickle = (start: number) => unpickle(bytes, start, file.path, TORCH_HOOKS);
  const magic = readPickle(0);
  if (magic.value !== MAGIC) {
    throw errors.file(file.path, "is a pickle, but not a checkpoint of torch.save");
  }
  const protocol = readPickle(magic.end);
  if (protocol.value !== PROTOCOL) {
    throw errors.file(
      file.path,
      `has torch protocol ${describeValue(protocol.value)}, expected ${PROTOCOL}`,
    );
  }
  const systemInfo = readPickle(protocol.end);
  if (!(systemInfo.value instanceof Map) || systemInfo.value.get("little_endian") !== true) {
    throw errors.file(
      file.path,
      "was written by a big-endian machine",
      "save it again on x86 or ARM",
    );
  }
  const stateDict = readPickle(systemInfo.end);
  const keys = readPickle(stateDict.end);
  if (!Array.isArray(keys.value)) throw errors.file(file.path, "lacks the list of its storages");
  const storages = locateStorages(file, keys.value, stateDict.value, keys.end);
  return readStateDict(stateDict.value, file, (key, size) => {
    const storage = storages.get(key);
    if (storage !== undefined && storage.length >= size) return storage;
    const found = storage === undefined ? "nothing" : `${storage.length} bytes`;
    throw errors.file(file.path, `storage ${excerpt(key)} needs ${size} bytes, found ${found}`);
  });
}
