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

/** One file inside a released executable. */
export interface EmbeddedFile {
  /** Where it belongs, below the folder of native files. */
  readonly name: string;
  /** Where it lies inside the executable. */
  readonly path: string;
  /** Its size when unpacked. */
  readonly bytes: number;
  readonly compressed: boolean;
}

interface Embedded {
  /** Names the version and the contents: no two executables share a folder unless they carry the same. */
  readonly id: string;
  readonly files: readonly EmbeddedFile[];
}

let embedded: Embedded | undefined;
let unpacked: string | undefined;

/** The C++ runtime, which oneDNN and the tokenizers need and the smallest systems lack. */
export const CPLUSPLUS_RUNTIME = ["libgcc_s.so.1", "libstdc++.so.6"];

/** Told once by a released executable, before anything native is opened. */
export function registerEmbeddedFiles(files: Embedded) {
  embedded = files;
  for (const name of CPLUSPLUS_RUNTIME)
    if (findSystem(name).length === 0) loadGlobally(name, [join(nativeFolder(), name)], "");
}

/** Whether this is a released executable, with no sources and no compiler to rely on. */
export const isExecutable = () => embedded !== undefined;

/**
 * The folder of native files: .native in a checkout; for an executable a folder of the user's cache, to which the files
 * are unpacked on first use.
 */
export function nativeFolder(): string {
  if (embedded === undefined) return nativeDir;
  unpacked ??= unpack(embedded, process.env);
  return unpacked;
}

/** Where a library of the system is, and after those the copy that an executable carries. */
export const systemOrEmbedded = (name: string): string[] =>
  isExecutable() ? [...findSystem(name), join(nativeFolder(), name)] : findSystem(name);

const findSystem = (name: string) =>
  libraryDirs()
    .map((dir) => join(dir, name))
    .filter((path) => existsSync(path));

/** Writes what is not there yet. Safe beside another process that does the same. */
export function unpack({ id, files }: Embedded, env: NodeJS.ProcessEnv): string {
  const cache =
    env["XDG_CACHE_HOME"] ?? (env["HOME"] === undefined ? undefined : join(env["HOME"], ".cache"));
  if (cache === undefined)
    throw errors.machine(
      "no folder to unpack the native libraries to: HOME is not set",
      "set HOME, or XDG_CACHE_HOME, to a folder that you may write to",
    );
  const folder = join(cache, "adalora", id);
  makeOwnFolder(folder);
  for (const file of files) unpackFile(file, join(folder, file.name));
  return folder;
}

/** Code is loaded from this folder: nobody else may be able to write to it. */
function makeOwnFolder(folder: string) {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw errors.file(
      folder,
      "cannot be made",
      "set XDG_CACHE_HOME to a folder that you may write to",
      cause,
    );
  }
  const { uid, mode } = statSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
    throw errors.file(
      folder,
      "belongs to someone else, or others may write to it",
      `chmod go-w it, or set XDG_CACHE_HOME`,
    );
}

function unpackFile(file: EmbeddedFile, to: string) {
  if (sizeOf(to) === file.bytes) return;
  const raw = readFileSync(file.path);
  const bytes = file.compressed ? Bun.zstdDecompressSync(raw) : raw;
  invariant(bytes.length === file.bytes, `${file.name} is not whole in the executable`);
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const part = `${to}.${process.pid}`;
  writeFileSync(part, bytes);
  chmodSync(part, 0o755);
  renameSync(part, to);
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size;
