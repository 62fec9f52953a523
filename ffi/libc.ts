import type { Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { errors, invariant } from "../core/errors.ts";
import { openLibrary } from "./load.ts";

const RTLD_NOW = 0x2;
const RTLD_NOLOAD = 0x4;
const RTLD_GLOBAL = 0x100;

const SYMBOLS = {
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "i64" },
  mprotect: { args: ["ptr", "u64", "i32"], returns: "i32" },
  madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
  posix_memalign: { args: ["ptr", "u64", "u64"], returns: "i32" },
  free: { args: ["ptr"], returns: "void" },
  memcpy: { args: ["ptr", "ptr", "u64"], returns: "ptr" },
  memset: { args: ["ptr", "i32", "u64"], returns: "ptr" },
  sigprocmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
  setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" },
  memfd_create: { args: ["cstring", "u32"], returns: "i32" },
} as const;

/** In libc since glibc 2.34, before in libdl, which every process of Bun has mapped. */
const LOADER_SYMBOLS = {
  dlopen: { args: ["cstring", "i32"], returns: "ptr" },
  dlsym: { args: ["ptr", "cstring"], returns: "ptr" },
  dlerror: { args: [], returns: "cstring" },
} as const;

const isPointer = (address: number): address is Pointer =>
  address > 0 && Number.isSafeInteger(address);

/** Returns an address as a pointer; throws for 0 and for numbers that are no address. */
export function pointerAt(address: number): Pointer {
  invariant(isPointer(address), () => `${address} is not an address`);
  return address;
}

/** Paths of the files mapped into this process. */
export function mappedLibraries(): string[] {
  const paths = readFileSync("/proc/self/maps", "utf8").match(/(?<=\s)\/\S+$/gm) ?? [];
  return [...new Set(paths)];
}

/** Path of the address sanitizer, if preloaded: its allocator detects writes past a block. */
export const sanitizer = mappedLibraries().find((path) => /\/libasan\.so[.\d]*$/.test(path));

/** A part of the C library that this process runs on; a second copy would break it. */
const mapped = (name: string) =>
  mappedLibraries().filter((path) => new RegExp(`/${name}(\\.so\\.\\d|-[\\d.]+\\.so)$`).test(path));

const HINT = "adalora's native parts need Linux with glibc";

const libcPaths = sanitizer === undefined ? mapped("libc") : [sanitizer];

/** Functions of the C library. */
export const libc = openLibrary("the C library", libcPaths, SYMBOLS, HINT).symbols;

const loader = openLibrary(
  "the dynamic loader",
  [...libcPaths, ...mapped("libdl")],
  LOADER_SYMBOLS,
  HINT,
).symbols;

/**
 * Loads the first loadable candidate with its symbols visible to libraries opened later
 * (RTLD_GLOBAL); returns its path. Throws E_LIBRARY with each path and its error.
 */
export function loadGlobally(what: string, candidates: readonly string[], hint: string): string {
  const reasons: string[] = [];
  for (const path of candidates) {
    if (!path.startsWith("/")) reasons.push(`${path}: not an absolute path`);
    else if (loader.dlopen(path, RTLD_NOW | RTLD_GLOBAL) !== null) return path;
    else reasons.push(String(loader.dlerror()));
  }
  throw errors.library(what, reasons, hint);
}

/**
 * Sets an environment variable for libraries loaded later, unless it is set: process.env does not
 * reach C.
 */
export function defaultEnvironment(name: string, value: string): void {
  invariant(libc.setenv(name, value, 0) === 0, `setenv ${name} failed`);
}

/** Address of a function in an open library, for native code that calls it by pointer. */
export function addressOf(path: string, symbol: string): Pointer {
  const handle = loader.dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  invariant(handle !== null, `${path} is not open`);
  return pointerAt(Number(loader.dlsym(handle, symbol)));
}
