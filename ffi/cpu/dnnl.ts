import { CString, type Pointer, read } from "bun:ffi";
import { join } from "node:path";
import { nativePath } from "../embedded.ts";
import { isExecutable } from "../embedded-registry.ts";
import { pointerAt } from "../libc.ts";
import { openLibrary } from "../load.ts";
import { findLibraries, libraryDirs } from "../paths.ts";

/** Path of the library that set-up fetches, or that an executable embeds. */
export const fetchedDnnl = () => nativePath(join("onednn-2023.2.0", "libdnnl.so.3"));

const HINT =
  "npm run setup fetches it; or install your system's oneDNN 3.1 or newer, or set ADALORA_DNNL to its libdnnl.so.3";

const SYMBOLS = {
  dnnl_version: { args: [], returns: "ptr" },
} as const;

const STATUS = [
  "success",
  "out of memory",
  "invalid arguments",
  "unimplemented",
  "last implementation reached",
  "runtime error",
  "not required",
  "invalid graph",
];

/** oneDNN's description of a status. */
export const dnnlStatus = (status: number) => STATUS[status] ?? "unknown status";

/** dnnl_version_t.cpu_runtime */
const RUNTIMES: Readonly<Record<number, string>> = {
  1: "one thread",
  4: "TBB",
  8: "a thread pool",
};
const OPENMP_RUNTIME = 2;

/** An open oneDNN: its path and version. */
export interface Dnnl {
  readonly path: string;
  readonly version: string;
}

/**
 * Candidate paths of oneDNN: only ADALORA_DNNL if set, else the system's, then set-up's. An
 * executable uses the one that it was tested with.
 */
export function dnnlCandidates(env: NodeJS.ProcessEnv = process.env): string[] {
  const named = env["ADALORA_DNNL"];
  if (named !== undefined && named !== "") return [named];
  if (isExecutable()) return [fetchedDnnl()];
  return [...findLibraries(/^libdnnl\.so\.3(\.\d+)*$/, libraryDirs(env)), fetchedDnnl()];
}

/** Opens oneDNN 3.1 or newer, built for OpenMP. Open the OpenMP runtime first. Throws E_LIBRARY. */
export function openDnnl(candidates = dnnlCandidates()): Dnnl {
  const { path, symbols } = openLibrary("oneDNN", candidates, SYMBOLS, HINT, (s) =>
    refusal(readVersion(s.dnnl_version())),
  );
  return { path, version: readVersion(symbols.dnnl_version()).text };
}

interface Version {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
  readonly runtime: number;
}

/** dnnl_version_t { int major, minor, patch; const char *hash; unsigned cpu_runtime, gpu_runtime; } */
function readVersion(address: Pointer | bigint | null): Version {
  const at = pointerAt(Number(address));
  const [major, minor, patch] = [read.i32(at, 0), read.i32(at, 4), read.i32(at, 8)];
  const hash = new CString(pointerAt(read.ptr(at, 16))).slice(0, 8);
  return { major, minor, text: `${major}.${minor}.${patch} ${hash}`, runtime: read.u32(at, 24) };
}

function refusal({ major, minor, text, runtime }: Version): string | undefined {
  if (major !== 3 || minor < 1) return `is oneDNN ${text}; 3.1 or a later 3.x is needed`;
  if (runtime !== OPENMP_RUNTIME)
    return `is built for ${RUNTIMES[runtime] ?? "no CPU"}, not for OpenMP`;
  return undefined;
}
