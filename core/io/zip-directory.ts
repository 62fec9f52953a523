import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { MappedFile } from "./mapped-file.ts";

/**
 * Returns the bytes of an entry as a view of the archive; throws an AdaloraError when they are
 * compressed, encrypted or missing.
 */
type ZipEntry = () => Uint8Array;

const SIGNATURE = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50 };
const LOCATOR64 = 0x07064b50;
const BYTES = { local: 30, central: 46, end: 22, end64: 56, locator64: 20 };
const MAX_COMMENT_BYTES = 0xffff;
// All bits set: the value is in the zip64 extra field.
const ZIP64_SENTINEL = 0xffffffff;

const dataViewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The directory's offset, size and entry count, from the end record or its zip64 form. */
function findDirectory(file: MappedFile) {
  const tailSize = Math.min(file.size, BYTES.end + MAX_COMMENT_BYTES);
  const tail = dataViewOf(file.view(file.size - tailSize, tailSize));
  for (let at = tailSize - BYTES.end; at >= 0; at--) {
    const comment = tailSize - BYTES.end - at;
    if (tail.getUint32(at, true) !== SIGNATURE.end || tail.getUint16(at + 20, true) !== comment)
      continue;
    const locator = at - BYTES.locator64;
    if (locator >= 0 && tail.getUint32(locator, true) === LOCATOR64) {
      const end64 = Number(tail.getBigUint64(locator + 8, true));
      const record = dataViewOf(file.view(end64, BYTES.end64));
      if (record.getUint32(0, true) !== SIGNATURE.end64) {
        throw errors.file(file.path, `has no zip64 end record at byte ${end64}`);
      }
      return {
        count: Number(record.getBigUint64(32, true)),
        size: Number(record.getBigUint64(40, true)),
        offset: Number(record.getBigUint64(48, true)),
      };
    }
    return {
      count: tail.getUint16(at + 10, true),
      size: tail.getUint32(at + 12, true),
      offset: tail.getUint32(at + 16, true),
    };
  }
  throw errors.file(
    file.path,
    "is a truncated zip archive: its end record is missing",
    "download or copy the file again",
  );
}

/** The zip64 extra field (id 1) of a directory entry; undefined when it has none. */
function zip64Field(extra: DataView): DataView | undefined {
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const size = extra.getUint16(at + 2, true);
    if (at + 4 + size > extra.byteLength) return undefined;
    if (extra.getUint16(at, true) === 1) {
      return new DataView(extra.buffer, extra.byteOffset + at + 4, size);
    }
    at += 4 + size;
  }
  return undefined;
}

interface CentralRecord {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly size: number;
  readonly storedSize: number;
  readonly localOffset: number;
  readonly length: number;
}

function readCentral(directory: DataView, at: number, where: string): CentralRecord {
  if (
    at + BYTES.central > directory.byteLength ||
    directory.getUint32(at, true) !== SIGNATURE.central
  ) {
    throw errors.file(where, `has a damaged zip directory at its byte ${at}`);
  }
  const nameSize = directory.getUint16(at + 28, true);
  const extraSize = directory.getUint16(at + 30, true);
  const length = BYTES.central + nameSize + extraSize + directory.getUint16(at + 32, true);
  if (at + length > directory.byteLength) {
    throw errors.file(
      where,
      `has a damaged zip directory: the entry at its byte ${at} is too long`,
    );
  }
  const start = directory.byteOffset + at + BYTES.central;
  const name = Buffer.from(directory.buffer, start, nameSize).toString("utf8");
  const extra = zip64Field(new DataView(directory.buffer, start + nameSize, extraSize));
  let consumed = 0;
  // The extra field holds only the values that do not fit, in this order.
  const field64 = (field: number) => {
    const value = directory.getUint32(at + field, true);
    if (value !== ZIP64_SENTINEL || extra === undefined) return value;
    if (consumed + 8 > extra.byteLength)
      throw errors.file(`${where}: ${excerpt(name)}`, "has a damaged zip64 field");
    consumed += 8;
    return Number(extra.getBigUint64(consumed - 8, true));
  };
  const size = field64(24);
  const storedSize = field64(20);
  const localOffset = field64(42);
  const encrypted = (directory.getUint16(at + 8, true) & 1) === 1;
  return {
    name,
    method: directory.getUint16(at + 10, true),
    encrypted,
    size,
    storedSize,
    localOffset,
    length,
  };
}

function viewEntry(file: MappedFile, record: CentralRecord): Uint8Array {
  const where = `${file.path}: ${excerpt(record.name)}`;
  if (record.encrypted) throw errors.file(where, "is encrypted");
  if (record.method !== 0 || record.size !== record.storedSize) {
    const hint = "save it again with torch.save, which stores entries uncompressed";
    throw errors.file(where, `is compressed (zip method ${record.method})`, hint);
  }
  const local = dataViewOf(file.view(record.localOffset, BYTES.local));
  if (local.getUint32(0, true) !== SIGNATURE.local) {
    throw errors.file(where, `has no local header at byte ${record.localOffset}`);
  }
  const variableBytes = local.getUint16(26, true) + local.getUint16(28, true);
  return file.view(record.localOffset + BYTES.local + variableBytes, record.size);
}

/**
 * Reads the directory of a zip archive (zip64 too). Entries can be viewed only when stored
 * uncompressed, as by torch.save.
 */
export function readZipDirectory(file: MappedFile): Map<string, ZipEntry> {
  const { count, size, offset } = findDirectory(file);
  const directory = dataViewOf(file.view(offset, size));
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const record = readCentral(directory, at, file.path);
    if (entries.has(record.name))
      throw errors.file(file.path, `holds ${excerpt(record.name)} twice`);
    entries.set(record.name, () => viewEntry(file, record));
    at += record.length;
  }
  return entries;
}
