import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Level } from "./isa.ts";

/**
 * The latest build, stored beside its libraries. Paths except `openmp` are file names in that
 * folder.
 */
export interface KernelManifest {
  /** Hash of the sources and flags, without the compiler: computable from the checkout alone. */
  readonly source: string;
  /** The compiler's version line, and the OpenMP runtime that it links with. */
  readonly compiler: string;
  readonly openmp: string | undefined;
  readonly libraries: Readonly<Partial<Record<Level, string>>>;
  /** Requested levels; the compiler does not support those without a library. */
  readonly requested: readonly Level[];
}

/** Name of the manifest's file. */
export const MANIFEST = "kernels.json";

/** Reads a folder's manifest; undefined if it is absent or invalid. */
export function readManifest(dir: string): KernelManifest | undefined {
  try {
    return parseManifest(readFileSync(join(dir, MANIFEST), "utf8"));
  } catch {
    return undefined; // never built here
  }
}

/** The manifest in a JSON text; undefined if it is none. Throws SyntaxError for other texts. */
export function parseManifest(text: string): KernelManifest | undefined {
  const found: unknown = JSON.parse(text);
  return isManifest(found) ? found : undefined;
}

/** Writes the manifest and removes libraries that it does not name. */
export function writeManifest(dir: string, manifest: KernelManifest) {
  const part = join(dir, `${MANIFEST}.${process.pid}`);
  writeFileSync(part, JSON.stringify(manifest, null, 2));
  renameSync(part, join(dir, MANIFEST));
  const named = new Set(Object.values(manifest.libraries));
  for (const file of readdirSync(dir)) {
    const path = join(dir, file);
    if (/^kernels-.*\.so/.test(file) && !named.has(file) && isOld(path))
      rmSync(path, { force: true });
  }
}

/** A younger library may belong to another process that has yet to write its manifest. */
const isOld = (path: string) => Date.now() - statSync(path).mtimeMs > 3_600_000;

function isManifest(value: unknown): value is KernelManifest {
  return (
    typeof value === "object" &&
    value !== null &&
    "source" in value &&
    typeof value.source === "string" &&
    "compiler" in value &&
    typeof value.compiler === "string" &&
    "libraries" in value &&
    typeof value.libraries === "object" &&
    value.libraries !== null &&
    Object.values(value.libraries).every((file) => typeof file === "string") &&
    "requested" in value &&
    Array.isArray(value.requested)
  );
}
