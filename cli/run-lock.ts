import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { AdaloraError } from "../core/errors.ts";
import { fileError } from "../core/io/file-errors.ts";
import type { LockOutcome } from "../ffi/file-lock.ts";
import { cliErrors } from "./cli-errors.ts";

/** Who holds a lock, as the lock file says. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/** The lock's file in a run's folder. It may outlive a killed run; the lock itself does not. */
const FILE = ".lock";

/** Folders locked by this process. */
const held = new Set<string>();

/**
 * Does some work while a run's folder is locked; it is created if missing. Within a process the
 * lock can be taken again. Throws E_OUT, naming the holder, if another process has locked it. On
 * systems and file systems without locks it locks nothing.
 */
export async function whileLocked<T>(out: string, work: () => Promise<T>): Promise<T> {
  const folder = resolve(out);
  if (held.has(folder)) return work();
  const { release } = await acquire(out, folder);
  held.add(folder);
  try {
    return await work();
  } finally {
    held.delete(folder);
    release();
  }
}

/**
 * Whether a process has locked a run's folder. Changes nothing there; false where no lock can be
 * tried.
 */
export async function isLocked(out: string): Promise<boolean> {
  const folder = resolve(out);
  if (held.has(folder)) return true;
  let fd: number;
  try {
    fd = openSync(join(folder, FILE), "r");
  } catch {
    return false; // no lock file, or none that may be read
  }
  try {
    return (await lockFunction())(fd) === "busy";
  } finally {
    closeSync(fd); // which also gives up a lock that was free
  }
}

// --- internal ---

/** `out`: the folder as the user gave it. */
async function acquire(out: string, folder: string) {
  const tryLock = await lockFunction();
  const path = join(folder, FILE);
  try {
    const firstCreated = mkdirSync(folder, { recursive: true });
    const fd = openLocked(path, out, tryLock);
    const release = () => {
      try {
        if (isSameFile(fd, path)) rmSync(path, { force: true });
        if (firstCreated !== undefined) removeEmpty(folder, firstCreated);
      } catch {} // what stays locks nothing
      closeSync(fd);
    };
    return { release };
  } catch (error) {
    throw error instanceof AdaloraError ? error : fileError(path, error);
  }
}

/** The C library's lock; without one (on a system without glibc) no lock is supported. */
async function lockFunction(): Promise<(fd: number) => LockOutcome> {
  try {
    return (await import("../ffi/file-lock.ts")).tryLock;
  } catch (error) {
    if (error instanceof AdaloraError && error.code === "E_LIBRARY") return () => "unsupported";
    throw error;
  }
}

function openLocked(path: string, out: string, tryLock: (fd: number) => LockOutcome): number {
  for (;;) {
    const fd = openSync(path, "a+");
    if (tryLock(fd) === "busy") {
      const holder = readHolder(path);
      closeSync(fd);
      throw cliErrors.folderInUse(out, holder);
    }
    // Its last holder may have removed the file between the two calls: then this lock is worthless.
    if (!isSameFile(fd, path)) {
      closeSync(fd);
      continue;
    }
    ftruncateSync(fd, 0);
    const holder: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
    writeSync(fd, `${JSON.stringify(holder)}\n`);
    return fd;
  }
}

function isSameFile(fd: number, path: string): boolean {
  const [own, there] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
  return there !== undefined && own.ino === there.ino && own.dev === there.dev;
}

/** Undefined while the holder is still writing its name. */
function readHolder(path: string): Holder | undefined {
  try {
    const { pid, host, since } = JSON.parse(readFileSync(path, "utf8"));
    return { pid: Number(pid), host: String(host), since: String(since) };
  } catch {
    return undefined;
  }
}

/** Removes the folder and its empty ancestors up to `first`: nothing was written to them. */
function removeEmpty(folder: string, first: string): void {
  for (let dir = folder; ; dir = dirname(dir)) {
    if (statSync(dir, { throwIfNoEntry: false }) === undefined) return;
    if (readdirSync(dir).length > 0) return;
    rmdirSync(dir);
    if (dir === resolve(first)) return;
  }
}
