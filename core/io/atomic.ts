import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { errors } from "../errors.ts";
import { fileError } from "./file-errors.ts";

// One call writes at most 2 GiB - 1.
const MAX_WRITE_BYTES = 2 ** 30;

/**
 * Writes all of `bytes` to an open file, at `position` or at its current offset. A short write (a
 * nearly full disk) is retried until all is written or a write fails.
 */
export function writeAll(fd: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, MAX_WRITE_BYTES);
    const at = position === undefined ? null : position + done;
    done += writeSync(fd, bytes, done, length, at);
  }
}

function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const siblingPath = (path: string, suffix: string) =>
  join(dirname(path), `.${basename(path)}.${suffix}`);
const scratchPath = (path: string) => siblingPath(path, `tmp-${process.pid}`);
const replacedPath = (dir: string) => siblingPath(dir, "replaced");

/** Whether a process with this id exists on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Removes the scratch files of killed processes that were writing `path`. */
function removeLeftovers(path: string): void {
  const prefix = `.${basename(path)}.tmp-`;
  for (const name of readdirSync(dirname(path))) {
    const pid = name.slice(prefix.length);
    if (!name.startsWith(prefix) || !/^\d+$/.test(pid)) continue;
    if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
    rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}

/**
 * Calls `write` with a scratch path beside `path`. What it wrote becomes `path` in one step; on an
 * error nothing changes.
 */
function replaceAtomically(path: string, write: (scratch: string) => void): void {
  const target = resolve(path);
  const scratch = scratchPath(target);
  try {
    mkdirSync(dirname(target), { recursive: true });
    removeLeftovers(target);
    write(scratch);
    syncPath(dirname(target));
  } catch (error) {
    // The first error is the one to report; the next writer of `path` removes what this leaves.
    try {
      rmSync(scratch, { recursive: true, force: true });
    } catch {}
    throw fileError(path, error);
  }
}

/**
 * Writes a file so that `path` always holds either the old or the complete new content, even after
 * a power loss. Creates missing parent folders; an iterable `content` is streamed. Throws an
 * AdaloraError naming `path`.
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): void {
  const chunks =
    typeof content === "string"
      ? [Buffer.from(content)]
      : content instanceof Uint8Array
        ? [content]
        : content;
  replaceAtomically(path, (scratch) => {
    const fd = openSync(scratch, "wx");
    try {
      for (const chunk of chunks) writeAll(fd, chunk);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(scratch, resolve(path));
  });
}

function syncTree(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) syncPath(path);
  }
  syncPath(dir);
}

function refuseToLoseFiles(dir: string, scratch: string): void {
  const kept = new Set(readdirSync(scratch));
  const lost = readdirSync(dir).filter((name) => !kept.has(name));
  if (lost.length === 0) return;
  throw errors.file(
    dir,
    `cannot be replaced: it holds other files (${lost.slice(0, 3).join(", ")})`,
    "name a new or empty folder",
  );
}

/**
 * The current location of a folder written by `writeDirectoryAtomic`: `dir` itself, or the name
 * that the old folder was moved to when a process was killed between the two renames of a
 * replacement.
 */
export function currentDirectory(dir: string): string {
  const replaced = replacedPath(resolve(dir));
  return !existsSync(dir) && existsSync(replaced) ? replaced : dir;
}

/**
 * Fills a folder beside `dir` by `fill(scratch)`, syncs it and renames it to `dir`. An existing
 * `dir` is replaced as a whole; if it holds a name that the new folder lacks, an error is thrown
 * and nothing changes, so no foreign file is lost.
 */
export function writeDirectoryAtomic(dir: string, fill: (scratch: string) => void): void {
  const target = resolve(dir);
  const replaced = replacedPath(target);
  replaceAtomically(target, (scratch) => {
    if (!existsSync(target) && existsSync(replaced)) renameSync(replaced, target);
    rmSync(replaced, { recursive: true, force: true });
    mkdirSync(scratch);
    fill(scratch);
    syncTree(scratch);
    if (existsSync(target)) {
      refuseToLoseFiles(target, scratch);
      renameSync(target, replaced);
    }
    renameSync(scratch, target);
    rmSync(replaced, { recursive: true, force: true });
  });
}
