import { AdaloraError, errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";

const SYSTEM_ERRORS: Readonly<Record<string, readonly [rule: string, hint?: string]>> = {
  ENOENT: ["does not exist"],
  EACCES: ["permission denied", "check who owns the file and its mode"],
  EPERM: ["permission denied", "check who owns the file and its mode"],
  EROFS: ["is on a read-only file system"],
  EISDIR: ["is a folder, not a file"],
  ENOTDIR: ["a part of this path is a file, not a folder"],
  // `mkdir` of the parent folders reports the same case this way.
  EEXIST: ["a part of this path is a file, not a folder"],
  ENOSPC: ["no space is left on the device", "free some space and run again"],
  EDQUOT: ["the disk quota is used up", "free some space and run again"],
  ENAMETOOLONG: ["the path is too long"],
  ELOOP: ["the path goes round in symbolic links"],
  ERR_INVALID_ARG_VALUE: ["the path has a NUL character"],
  EIO: ["the device reports an input or output error"],
  ESTALE: ["the file server no longer has this file"],
  EMFILE: ["too many files are open", "raise the limit with ulimit -n"],
};

/** The `code` of a system error, such as "ENOENT"; undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * Converts a file system error into an AdaloraError that names the path; an AdaloraError is
 * returned as it is.
 */
export function fileError(path: string, cause: unknown): AdaloraError {
  if (cause instanceof AdaloraError) return cause;
  const known = SYSTEM_ERRORS[errorCode(cause) ?? ""];
  const text = cause instanceof Error ? cause.message : String(cause);
  return errors.file(shownPath(path), known?.[0] ?? cutText(text, 200), known?.[1], cause);
}

/** Errors of the machine rather than of a call: any access to any file may raise them. */
const MACHINE_ERRORS = new Set(
  "EACCES EDQUOT EIO EMFILE ENFILE ENOSPC EPERM EROFS ESTALE".split(" "),
);

/**
 * A file system error that no reader or writer has converted, as an AdaloraError, if it is the
 * machine's; undefined for errors that a bug may have caused.
 */
export function machineError(error: unknown): AdaloraError | undefined {
  if (!(error instanceof Error) || !MACHINE_ERRORS.has(errorCode(error) ?? "")) return undefined;
  const path = "path" in error && typeof error.path === "string" ? error.path : "a file";
  return fileError(path, error);
}

/** A path for a message: one line, and no longer than Linux allows a path to be. */
const shownPath = (path: string) => cutText(path.replaceAll("\0", "\\0"), 400);

const asciiPrefix = (head: Uint8Array, text: string) =>
  Buffer.from(head.subarray(0, text.length)).toString("latin1") === text;

/** Recognises a file's content by its first bytes, for messages; undefined when it is unknown. */
export function describeContent(head: Uint8Array): string | undefined {
  if (head.length === 0) return "an empty file";
  if (asciiPrefix(head, "version https://git-lfs")) return "a Git LFS pointer, not the file itself";
  if (asciiPrefix(head, "<!DOCTYPE") || asciiPrefix(head, "<html")) return "an HTML page";
  if (asciiPrefix(head, "PK\x03\x04")) return "a zip archive";
  if (asciiPrefix(head, "\x1f\x8b")) return "a gzip file";
  if (head[0] === 0x80 && head[1] === 2) return "a pickle";
  if (head[8] === 0x7b) return "a safetensors file";
  return undefined;
}
