import { closeSync, fstatSync, readSync } from "node:fs";
import { errors } from "../errors.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { openRegular } from "./regular-file.ts";

/**
 * A read-only file for random access. Its content must not change; a view stays valid as long as it
 * is referenced.
 */
export interface MappedFile {
  readonly path: string;
  readonly size: number;
  /**
   * The bytes [offset, offset + length); throws an AdaloraError when the file does not contain them
   * all. Must not be written to.
   */
  view(offset: number, length: number): Uint8Array;
}

// An ArrayBuffer holds at most 4 GiB, so a larger file is mapped per view.
const MAX_MAPPING_BYTES = 2 ** 32;

// One call reads at most 2 GiB - 1.
const MAX_READ_BYTES = 2 ** 30;

// Bun.mmap always opens the file for writing, so a read-only file must be copied.
const UNMAPPABLE_CODES = new Set(["EACCES", "EPERM", "EROFS", "ENODEV", "ETXTBSY"]);

type RangeReader = (offset: number, length: number) => Uint8Array;

function readWhole(fd: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  for (let done = 0; done < length;) {
    const chunkSize = Math.min(length - done, MAX_READ_BYTES);
    const count = readSync(fd, bytes, done, chunkSize, offset + done);
    if (count === 0) throw errors.file(path, "was truncated while being read");
    done += count;
  }
  return bytes;
}

const openCopies = new FinalizationRegistry<number>((fd) => closeSync(fd));

function copyingReader(path: string): RangeReader {
  const fd = openRegular(path);
  const read: RangeReader = (offset, length) => readWhole(fd, path, offset, length);
  openCopies.register(read, fd);
  return read;
}

function mappingReader(path: string, size: number): RangeReader {
  // Private: an accidental write changes memory, never the file.
  const map = (offset: number, length: number) =>
    Bun.mmap(path, { offset, size: length, shared: false });
  // Mapped even when only views are used, to find out now whether mapping is allowed.
  const whole = map(0, Math.min(size, MAX_MAPPING_BYTES));
  if (size > MAX_MAPPING_BYTES) return map;
  return (offset, length) => whole.subarray(offset, offset + length);
}

function sizeOf(path: string): number {
  const fd = openRegular(path);
  try {
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

function openReader(path: string, size: number): RangeReader {
  try {
    return mappingReader(path, size);
  } catch (error) {
    if (!UNMAPPABLE_CODES.has(errorCode(error) ?? "")) throw error;
    return copyingReader(path);
  }
}

/** Opens a file for random access by mmap, or by reading copies where mapping is not allowed. */
export function openMapped(path: string): MappedFile {
  try {
    const size = sizeOf(path);
    const read = size === 0 ? () => new Uint8Array(0) : openReader(path, size);
    return {
      path,
      size,
      view(offset, length) {
        if (offset < 0 || length < 0 || offset + length > size) {
          const end = offset + length;
          throw errors.file(
            path,
            `bytes ${offset} to ${end} are outside this file of ${size} bytes`,
          );
        }
        try {
          return length === 0 ? new Uint8Array(0) : read(offset, length);
        } catch (error) {
          throw fileError(path, error);
        }
      },
    };
  } catch (error) {
    throw fileError(path, error);
  }
}
