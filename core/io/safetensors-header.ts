import { errors } from "../errors.ts";
import { excerpt, shownShape } from "../excerpt.ts";
import { isJsonObject, parseJsonObject } from "./json-file.ts";
import { duplicateKey } from "./json-scan.ts";
import {
  DTYPE_BYTES,
  elementCount,
  isSize,
  isStoredDtype,
  type StoredDtype,
} from "./stored-tensor.ts";

/**
 * One entry of a safetensors header; `begin` and `end` are offsets from the first byte after the
 * header.
 */
interface HeaderEntry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A parsed and checked safetensors header. */
interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

function parseEntry(name: string, raw: unknown, where: string): HeaderEntry {
  const at = `${where}: tensor ${excerpt(name)}`;
  if (!isJsonObject(raw)) throw errors.file(at, "must be an object in the header");
  const { dtype, shape, data_offsets: offsets } = raw;
  if (!isStoredDtype(dtype)) {
    const known = Object.keys(DTYPE_BYTES).join(", ");
    throw errors.file(at, `dtype must be one of ${known}, got ${excerpt(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw errors.file(at, `shape must be a list of sizes, got ${excerpt(shape)}`);
  }
  const [begin, end]: unknown[] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isSize(begin) || !isSize(end) || begin > end) {
    const rule = "data_offsets must be [begin, end] with begin <= end";
    throw errors.file(at, `${rule}, got ${excerpt(offsets)}`);
  }
  const needed = elementCount(shape) * DTYPE_BYTES[dtype];
  if (needed !== end - begin) {
    const facts = `${dtype} ${shownShape(shape)} needs ${needed} bytes`;
    throw errors.file(at, `${facts}, but its data_offsets span ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

/**
 * Requires, as the format does, that the tensors fill the data exactly, without holes or overlaps.
 */
function checkLayout(entries: readonly HeaderEntry[], dataSize: number, where: string): void {
  let filled = 0;
  for (const { name, begin, end } of entries.toSorted(
    (a, b) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin !== filled) {
      const what = begin < filled ? "overlaps the tensor before it" : "leaves a gap before it";
      const facts = `begins at byte ${begin} of the data, expected ${filled}`;
      throw errors.file(`${where}: tensor ${excerpt(name)}`, `${what}: ${facts}`);
    }
    filled = end;
  }
  if (filled !== dataSize) {
    const rule = filled > dataSize ? "is truncated" : "has bytes that belong to no tensor";
    throw errors.file(
      where,
      `${rule}: its header describes ${filled} bytes of data, found ${dataSize}`,
    );
  }
}

function parseMetadata(raw: unknown, where: string): Readonly<Record<string, string>> {
  if (raw === undefined) return {};
  if (!isJsonObject(raw)) throw errors.file(where, "__metadata__ must be an object of strings");
  const pairs = Object.entries(raw).map(([key, value]) => {
    if (typeof value === "string") return [key, value] as const;
    throw errors.file(
      where,
      `__metadata__ ${excerpt(key)} must be a string, got ${excerpt(value)}`,
    );
  });
  return Object.fromEntries(pairs);
}

/** Parses and checks the JSON header of a safetensors file with `dataSize` bytes of data. */
export function parseHeader(json: string, dataSize: number, where: string): Header {
  const raw = parseJsonObject(json, `${where}: header`);
  const duplicate = duplicateKey(json);
  if (duplicate !== undefined)
    throw errors.file(`${where}: header`, `has the key ${excerpt(duplicate)} twice`);
  const { __metadata__: metadata, ...tensors } = raw;
  const entries = Object.entries(tensors).map(([name, entry]) => parseEntry(name, entry, where));
  checkLayout(entries, dataSize, where);
  return { entries, metadata: parseMetadata(metadata, where) };
}
