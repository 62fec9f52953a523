import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errors, invariant } from "../core/errors.ts";
import { loadGlobally } from "./libc.ts";
import { libraryDirs, nativeDir } from "./paths.ts";

/** A file embedded in a released executable. */
export interface EmbeddedFile {
  /** Its path below the folder of native files. */
  readonly name: string;
  /** Its path inside the executable. */
  readonly path: string;
  /** Size after decompression. */
  readonly bytes: number;
  readonly compressed: boolean;
}

interface Embedded {
  /** Version and content hash: executables with different contents use different folders. */
  readonly id: string;
  readonly files: readonly EmbeddedFile[];
}

let embedded: Embedded | undefined;
let unpacked: string | undefined;

/** The C++ runtime of oneDNN and the tokenizers, which minimal systems lack. */
export const CPLUSPLUS_RUNTIME = ["libgcc_s.so.1", "libstdc++.so.6"];

/** Registers the files embedded in a released executable, before any native library is opened. */
export function registerEmbeddedFiles(files: Embedded) {
  embedded = files;
  for (const name of CPLUSPLUS_RUNTIME)
    if (findSystem(name).length === 0) loadGlobally(name, [join(nativeFolder(), name)], "");
}

/** Whether this is a released executable, without sources and without need of a compiler. */
export const isExecutable = () => embedded !== undefined;

/**
 * Returns the folder of native files: .native in a checkout; in an executable, a folder of the
 * user's cache, filled on first use.
 */
export function nativeFolder(): string {
  if (embedded === undefined) return nativeDir;
  unpacked ??= unpack(embedded, process.env);
  return unpacked;
}

/** Paths of a system library, followed by the copy embedded in the executable, if any. */
export const systemOrEmbedded = (name: string): string[] =>
  isExecutable() ? [...findSystem(name), join(nativeFolder(), name)] : findSystem(name);

const findSystem = (name: string) =>
  libraryDirs()
    .map((dir) => join(dir, name))
    .filter((path) => existsSync(path));

/**
 * Unpacks files that are missing or incomplete; safe beside another process that does the same.
 * Throws E_MACHINE without a home folder, E_FILE for a folder that others can write to.
 */
export function unpack({ id, files }: Embedded, env: NodeJS.ProcessEnv): string {
  const cache =
    env["XDG_CACHE_HOME"] ?? (env["HOME"] === undefined ? undefined : join(env["HOME"], ".cache"));
  if (cache === undefined)
    throw errors.machine(
      "no folder to unpack the native libraries to: HOME is not set",
      "set HOME or XDG_CACHE_HOME to a writable folder",
    );
  const folder = join(cache, "adalora", id);
  makeOwnFolder(folder);
  for (const file of files) unpackFile(file, join(folder, file.name));
  return folder;
}

/** Creates a folder that only this user can write to: code is loaded from it. */
function makeOwnFolder(folder: string) {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw errors.file(
      folder,
      "cannot be created",
      "set XDG_CACHE_HOME to a writable folder",
      cause,
    );
  }
  const { uid, mode } = statSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
    throw errors.file(
      folder,
      "belongs to another user, or others can write to it",
      `chmod go-w it, or set XDG_CACHE_HOME`,
    );
}

function unpackFile(file: EmbeddedFile, to: string) {
  if (sizeOf(to) === file.bytes) return;
  const raw = readFileSync(file.path);
  const bytes = file.compressed ? Bun.zstdDecompressSync(raw) : raw;
  invariant(bytes.length === file.bytes, `${file.name} is incomplete in the executable`);
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const part = `${to}.${process.pid}`;
  writeFileSync(part, bytes);
  chmodSync(part, 0o755);
  renameSync(part, to);
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size;
