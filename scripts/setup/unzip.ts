import { inflateRawSync } from "node:zlib";
import { errors } from "../../core/errors.ts";

const END_OF_DIRECTORY = Buffer.of(0x50, 0x4b, 5, 6);
const DIRECTORY_ENTRY = 0x0201_4b50;
const LOCAL_HEADER = 0x0403_4b50;
const STORED = 0;
const DEFLATED = 8;

/** The largest comment that may follow the end record, and the record itself. */
const END_SEARCH = 0xffff + 22;

/**
 * The bytes of the members of a zip archive whose names end in one of `endings`, by ending. No zip64: the archives
 * read here are under 4 GiB. Throws E_FILE when the archive or one of the members is not whole, or absent.
 */
export function unzip(
  archive: Uint8Array,
  where: string,
  endings: readonly string[],
): Map<string, Uint8Array> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const members = new Map<string, Uint8Array>();
  try {
    for (const entry of directory(bytes)) {
      const ending = endings.find((each) => entry.name.endsWith(each));
      if (ending !== undefined) members.set(ending, content(bytes, entry));
    }
  } catch (cause) {
    throw errors.file(where, "is not a whole zip archive", "fetch it again", cause);
  }
  const absent = endings.filter((ending) => !members.has(ending));
  if (absent.length > 0) throw errors.file(where, `has no ${absent.join(", ")}`);
  return members;
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly at: number;
}

function directory(bytes: Buffer): Entry[] {
  const end = bytes.lastIndexOf(END_OF_DIRECTORY);
  if (end < Math.max(0, bytes.length - END_SEARCH)) throw new RangeError("no end record");
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  return Array.from({ length: count }, () => {
    if (bytes.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new RangeError("no directory entry");
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
    const entry = {
      name: bytes.toString("utf8", at + 46, at + 46 + (name ?? 0)),
      method: bytes.readUInt16LE(at + 10),
      packed: bytes.readUInt32LE(at + 20),
      size: bytes.readUInt32LE(at + 24),
      at: bytes.readUInt32LE(at + 42),
    };
    at += 46 + (name ?? 0) + (extra ?? 0) + (comment ?? 0);
    return entry;
  });
}

function content(bytes: Buffer, { method, packed, size, at }: Entry): Uint8Array {
  if (bytes.readUInt32LE(at) !== LOCAL_HEADER) throw new RangeError("no local header");
  const start = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
  const data = bytes.subarray(start, start + packed);
  if (method !== STORED && method !== DEFLATED) throw new RangeError(`method ${method}`);
  const plain = method === STORED ? data : inflateRawSync(data, { maxOutputLength: size });
  if (data.length !== packed || plain.length !== size) throw new RangeError("cut short");
  return plain;
}
