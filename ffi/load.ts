import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { errors } from "../core/errors.ts";
import { traced } from "./trace.ts";

/** An open library: its path and its typed symbols. */
export interface NativeLibrary<S extends Record<string, FFIFunction>> {
  readonly path: string;
  readonly symbols: Library<S>["symbols"];
}

/**
 * Opens the first of `candidates` (absolute paths) that loads and that `refuse` does not reject.
 * Bare names are rejected: the loader would also search the working directory. Libraries stay open
 * until the process ends.
 *
 * Throws E_LIBRARY with each path and its error.
 */
export function openLibrary<const S extends Record<string, FFIFunction>>(
  what: string,
  candidates: readonly string[],
  symbols: S,
  hint: string,
  refuse: (symbols: Library<S>["symbols"]) => string | undefined = () => undefined,
): NativeLibrary<S> {
  const reasons: string[] = [];
  for (const path of candidates) {
    try {
      const opened = openPath(path, symbols);
      const reason = refuse(opened);
      if (reason === undefined) return { path, symbols: traced(path, opened) };
      reasons.push(`${path}: ${reason}`);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      reasons.push(`${path}: ${text.replace(/^Failed to open library "[^"]*": /, "")}`);
    }
  }
  throw errors.library(what, reasons.length > 0 ? reasons : ["no candidate paths"], hint);
}

function openPath<const S extends Record<string, FFIFunction>>(path: string, symbols: S) {
  if (!isAbsolute(path)) throw new Error("not an absolute path");
  if (!existsSync(path)) throw new Error("no such file");
  return dlopen(path, symbols).symbols;
}

/**
 * Wraps a native function that returns a status (0: success) to throw E_NATIVE instead: `[name]
 * text (status n)`. Every native call with a status goes through it.
 */
export function checked<A extends readonly unknown[]>(
  name: string,
  fn: (...args: A) => number,
  describe: (status: number) => string,
): (...args: A) => void {
  return (...args) => {
    const status = fn(...args);
    if (status !== 0) throw errors.native(name, status, describe(status));
  };
}
