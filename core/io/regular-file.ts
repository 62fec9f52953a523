import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from "node:fs";
import { errors } from "../errors.ts";
import { errorCode, fileError } from "./file-errors.ts";

// A named pipe opens at once instead of waiting for a writer; without effect on regular files.
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Opens a regular file for reading; the caller closes it. Throws E_FILE for a folder, and for a
 * pipe, device or socket, which could block for ever or never end.
 */
export function openRegular(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, READ_ONLY);
  } catch (cause) {
    throw fileError(path, cause);
  }
  const stats = fstatSync(fd);
  if (stats.isFile()) return fd;
  closeSync(fd);
  throw stats.isDirectory() ? errors.file(path, "is a folder, not a file") : notRegular(path);
}

/** The bytes of a regular file. Throws E_FILE when it cannot be read. */
export function readRegular(path: string): Buffer<ArrayBuffer> {
  const fd = openRegular(path);
  try {
    return readFileSync(fd);
  } catch (cause) {
    throw fileError(path, cause);
  } finally {
    closeSync(fd);
  }
}

/** What a path is; undefined when nothing is there. Throws E_FILE for a path that the system refuses. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw fileError(path, cause);
  }
}

/** Whether a path is a folder. Throws E_FILE for a path that the system refuses. */
export const isFolder = (path: string): boolean => statOf(path)?.isDirectory() === true;

const notRegular = (path: string) =>
  errors.file(
    path,
    "is not a regular file",
    "copy what the pipe or device gives into a file first",
  );
