import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { AdaloraError, errors, invariant } from "../core/errors.ts";
import { fileError } from "../core/io/file-errors.ts";
import { userCaches } from "../core/io/user-cache.ts";
import { type EmbeddedFile, embeddedFiles, readEmbeddedFile } from "./embedded-registry.ts";
import { libc, loadGlobally } from "./libc.ts";
import { libraryDirs, nativeDir } from "./paths.ts";

/** The C++ runtime of oneDNN and the tokenizers, which minimal systems lack; in loading order. */
export const CPLUSPLUS_RUNTIME = ["libgcc_s.so.1", "libstdc++.so.6"];

const unpacked = new Map<string, string>();

/**
 * Path of a native file: below .native in a checkout; in an executable, where it was unpacked to.
 * There the first call also loads the C++ runtime, which the system may lack. Throws E_MACHINE if
 * neither a folder nor memory can hold the file.
 */
export function nativePath(name: string): string {
  if (embeddedFiles() === undefined) return join(nativeDir, name);
  loadCplusplusRuntime();
  return unpackedPath(name);
}

/** Paths of a system library, followed by the copy embedded in the executable, if any. */
export function systemOrEmbedded(name: string): string[] {
  const found = findSystem(name);
  return embeddedFiles() === undefined ? found : [...found, nativePath(name)];
}

/**
 * Makes embedded files loadable: the path is in the first user cache that can hold and execute
 * them, else that of an anonymous file in memory. Safe beside another process that does the same.
 * Throws E_MACHINE with what each place lacks.
 */
export function unpack(
  id: string,
  file: EmbeddedFile,
  env: NodeJS.ProcessEnv,
  inMemory = holdInMemory,
): string {
  const reasons: string[] = [];
  for (const cache of userCaches(env)) {
    try {
      return unpackTo(join(cache, "adalora", id), file);
    } catch (error) {
      reasons.push(fileError(join(cache, "adalora", id), error).message);
    }
  }
  if (reasons.length === 0) reasons.push("HOME and XDG_CACHE_HOME are not set");
  try {
    return inMemory(file);
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    throw errors.machine(
      `no place to unpack ${file.name} to:\n${[...reasons, error.message].join("\n")}`,
      "set XDG_CACHE_HOME to a writable folder that is not mounted noexec",
    );
  }
}

// --- internal ---

let runtimeLoaded = false;

function loadCplusplusRuntime() {
  if (runtimeLoaded) return;
  for (const name of CPLUSPLUS_RUNTIME)
    if (findSystem(name).length === 0) loadGlobally(name, [unpackedPath(name)], "");
  runtimeLoaded = true;
}

function unpackedPath(name: string): string {
  const known = unpacked.get(name);
  if (known !== undefined) return known;
  const embedded = embeddedFiles();
  const file = embedded?.files.find((one) => one.name === name);
  invariant(embedded !== undefined && file !== undefined, () => `the executable has no ${name}`);
  const path = unpack(embedded.id, file, process.env);
  unpacked.set(name, path);
  return path;
}

const findSystem = (name: string) =>
  libraryDirs()
    .map((dir) => join(dir, name))
    .filter((path) => existsSync(path));

function unpackTo(folder: string, file: EmbeddedFile): string {
  makeOwnFolder(folder);
  const path = join(folder, file.name);
  if (sizeOf(path) !== file.bytes) writeWhole(path, readEmbeddedFile(file));
  accessSync(path, constants.X_OK); // fails on a file system mounted noexec, for root too
  return path;
}

/** Creates a folder that only this user can write to: code is loaded from it. */
function makeOwnFolder(folder: string) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
    throw errors.file(folder, "belongs to another user, or others can write to it");
}

function writeWhole(path: string, bytes: Uint8Array) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${process.pid}`;
  try {
    writeFileSync(part, bytes);
    chmodSync(part, 0o755);
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size;

const MFD_CLOEXEC = 1;

/**
 * Writes the file to anonymous memory; returns a path to it that this process can open. It stays
 * open: the loader recognises a library by its path, which another descriptor must not take.
 */
function holdInMemory(file: EmbeddedFile): string {
  const descriptor = libc.memfd_create(Buffer.from(`${basename(file.name)}\0`), MFD_CLOEXEC);
  if (descriptor < 0)
    throw errors.machine("memory: the system has no memfd_create", "use Linux 3.17 or newer");
  const path = `/proc/self/fd/${descriptor}`;
  writeFileSync(path, readEmbeddedFile(file));
  return path;
}
