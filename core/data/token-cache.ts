import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../errors.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { cacheFolder } from "../io/cache-folder.ts";
import { fileError } from "../io/file-errors.ts";
import { readRegular } from "../io/regular-file.ts";
import type { EncodedInput, TextInput, TokenIds } from "../text/tokenizer.ts";

/** The tokens of many inputs in three arrays. */
export interface PackedTokens {
  /** [N], the ids of all inputs, concatenated. */
  readonly ids: Int32Array;
  /** [N]. */
  readonly typeIds: Uint8Array;
  /** [n + 1]: input i is offsets[i]..offsets[i + 1]. */
  readonly offsets: Int32Array;
}

/** Tokens with additional columns. */
export interface TokenTable extends PackedTokens {
  /** Integers per input or per token, in the order of the code that created them. */
  readonly columns: readonly Int32Array[];
}

/** Concatenates the tokens of inputs. */
export function packTokens(inputs: readonly TokenIds[]): PackedTokens {
  const offsets = new Int32Array(inputs.length + 1);
  inputs.forEach(({ ids }, i) => (offsets[i + 1] = offsets[i]! + ids.length));
  const length = offsets[inputs.length]!;
  const packed = { ids: new Int32Array(length), typeIds: new Uint8Array(length), offsets };
  inputs.forEach(({ ids, typeIds }, i) => {
    packed.ids.set(ids, offsets[i]);
    packed.typeIds.set(typeIds, offsets[i]);
  });
  return packed;
}

/** The tokens of inputs, with a column of their lengths before truncation. */
export function packEncoded(inputs: readonly EncodedInput[]): TokenTable {
  const fullLengths = Int32Array.from(inputs, ({ fullLength }) => fullLength);
  return { ...packTokens(inputs), columns: [fullLengths] };
}

/** The tokens of input i; ids are a view, not a copy. */
export function tokensOf({ ids, typeIds, offsets }: PackedTokens, i: number): TokenIds {
  invariant(i >= 0 && i + 1 < offsets.length, `input ${i} of ${offsets.length - 1}`);
  const [start, end] = [offsets[i]!, offsets[i + 1]!];
  return { ids: ids.subarray(start, end), typeIds: Int32Array.from(typeIds.subarray(start, end)) };
}

/** What determines the tokens of a data set. */
export interface TokenCacheKey {
  /**
   * The inputs themselves: equal texts have equal tokens, whatever file, columns or limit they came
   * from.
   */
  readonly inputs: Iterable<TextInput>;
  /** A hash of the tokenizer's files. */
  readonly tokenizer: string;
  /**
   * Everything else that determines the tokens and their columns: maxLength, truncation, stride.
   */
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

/** SHA-256, in hex, of texts, tokenizer and options. */
export function tokenCacheKey({ inputs, tokenizer, options }: TokenCacheKey): string {
  const hash = createHash("sha256");
  const sorted = Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1));
  hash.update(JSON.stringify([formatVersion, tokenizer, sorted]));
  // Length prefixes distinguish "ab" + "c" from "a" + "bc", and a pair from two texts.
  for (const { text, pair } of inputs) {
    hash.update(`\n${text.length} ${pair?.length ?? "-"} `);
    hash.update(text);
    if (pair !== undefined) hash.update(pair);
  }
  return hash.digest("hex");
}

/** Tokens, and whether the cache held them. */
export interface CachedTokens {
  readonly tokens: TokenTable;
  readonly fromCache: boolean;
  /** Why the tokens could not be cached: a read-only or full disk costs time, not the run. */
  readonly warning?: string;
}

/**
 * Tokens from the cache, or built by `build` and cached. A damaged cache file is rebuilt. `folder`
 * null: there is no cache.
 */
export async function cachedTokens(
  key: string,
  build: () => Promise<PackedTokens & Partial<TokenTable>>,
  folder: string | null = cacheFolder() ?? null,
): Promise<CachedTokens> {
  const path = folder === null ? undefined : join(folder, "tokens", `${key}.bin`);
  const cached = path === undefined ? undefined : readTokens(path, key);
  if (cached !== undefined) return { tokens: cached, fromCache: true };
  const tokens = { columns: [], ...(await build()) };
  const fault = path === undefined ? "HOME is not set" : writeTokens(path, key, tokens);
  const warning = fault === undefined ? {} : { warning: `tokens are not cached: ${fault}` };
  return { tokens, fromCache: false, ...warning };
}

/** Writes a file of the cache; returns why that failed, if it did. */
function writeTokens(path: string, key: string, tokens: TokenTable): string | undefined {
  try {
    writeFileAtomic(path, encodeTokens(tokens, key));
    return undefined;
  } catch (error) {
    return fileError(path, error).message;
  }
}

// The file: magic (8 bytes), key (32), n, N, the payload's CRC-32 and the number of columns (4
// each, little-endian); then offsets [n + 1], ids [N], the columns' lengths and the columns as i32,
// typeIds [N] as u8.
const formatVersion = "ADLTOK01";
const headerBytes = 56;

function encodeTokens({ ids, typeIds, offsets, columns }: TokenTable, key: string): Uint8Array {
  const lengths = Int32Array.from(columns, ({ length }) => length);
  const integers = [offsets, ids, lengths, ...columns].map(bytesOf);
  const payload = Buffer.concat([...integers, typeIds]);
  const header = Buffer.alloc(headerBytes);
  header.write(formatVersion, 0, "latin1");
  header.write(key, 8, "hex");
  header.writeUInt32LE(offsets.length - 1, 40);
  header.writeUInt32LE(ids.length, 44);
  header.writeUInt32LE(Bun.hash.crc32(payload), 48);
  header.writeUInt32LE(columns.length, 52);
  return Buffer.concat([header, payload]);
}

function readTokens(path: string, key: string): TokenTable | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return decodeTokens(readRegular(path), key);
  } catch {
    return undefined; // an unreadable file counts as absent: the tokens are rebuilt
  }
}

/** Throws a RangeError when the file is shorter than its header states. */
function decodeTokens(file: Buffer, key: string): TokenTable | undefined {
  const matchesKey =
    file.toString("latin1", 0, 8) === formatVersion && file.toString("hex", 8, 40) === key;
  if (!matchesKey) return undefined;
  if (Bun.hash.crc32(file.subarray(headerBytes)) !== file.readUInt32LE(48)) return undefined;
  const [inputs, length, count] = [40, 44, 52].map((at) => file.readUInt32LE(at));
  const bytes = new Uint8Array(file).buffer; // a copy, as typed arrays need aligned bytes
  let at = headerBytes;
  const integers = (n: number) => {
    const values = new Int32Array(bytes, at, n);
    at += values.byteLength;
    return values;
  };
  const [offsets, ids] = [integers(inputs! + 1), integers(length!)];
  const columns = Array.from(integers(count!), integers);
  const typeIds = new Uint8Array(bytes, at);
  const tokens = { offsets, ids, typeIds, columns };
  return typeIds.length === length && isConsistent(tokens) ? tokens : undefined;
}

function isConsistent({ ids, offsets }: PackedTokens): boolean {
  const rises = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]!);
  return rises && offsets[0] === 0 && offsets.at(-1) === ids.length && ids.every((id) => id >= 0);
}

function bytesOf(values: Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
