import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errors, invariant } from "../../core/errors.ts";
import { isExecutable, nativeFolder } from "../carried.ts";
import { sanitizer } from "../libc.ts";
import { openLibrary } from "../load.ts";
import { nativeDir } from "../places.ts";
import { compile, findCompiler, INSTALL_COMPILER } from "./compiler.ts";
import { type Level, LEVELS, levelFlags, usableLevels } from "./isa.ts";
import { type KernelManifest, readManifest, writeManifest } from "./manifest.ts";

const kernelsDir = join(import.meta.dir, "kernels");

/** What to do about a library that does not load. */
export const REBUILD = "npm run setup compiles it anew";

/** Numbers must not depend on the compiler's mood: no -ffast-math. The two -fno flags change no value. */
const FLAGS = (
  "-O3 -std=gnu11 -fPIC -shared -fopenmp -ffp-contract=fast " +
  "-fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-pass-failed " +
  "-Werror=implicit-function-declaration"
).split(" ");

/** Every symbol is there, or linking fails; a sanitizer's are in the process that loads the library. */
const WHOLE = "-Wl,-z,defs";

const SANITIZE = (
  "-O1 -g -fno-omit-frame-pointer -Werror " +
  "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split(" ");

const compilerFlags = (sanitize: boolean) =>
  sanitize ? [...FLAGS, ...SANITIZE] : [...FLAGS, WHOLE];

export interface BuildOptions {
  /** Folder of *.c and *.h. */
  readonly from?: string;
  /** Folder for the libraries and their manifest. */
  readonly to?: string;
  /** Address and undefined-behaviour checks; the loader then needs libasan preloaded. */
  readonly sanitize?: boolean;
  readonly levels?: readonly Level[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface KernelBuild {
  readonly manifest: KernelManifest;
  /** Levels compiled by this call; the others were there. */
  readonly compiled: readonly Level[];
  /** What the compiler warned of. */
  readonly warnings: string;
}

/**
 * Compiles the C kernels once for each instruction-set level that the compiler knows, unless libraries of the
 * same sources, flags and compiler are there. Safe beside another process that does the same.
 *
 * Throws E_MACHINE without a compiler, or with what it said.
 */
export async function buildKernels(options: BuildOptions = {}): Promise<KernelBuild> {
  const { from = kernelsDir, to = nativeDir, levels = LEVELS } = options;
  const flags = compilerFlags(options.sanitize === true);
  const compiler = findCompiler(options.env);
  const source = sourceHash(from, flags);
  const key = digest([source, compiler.version]);
  mkdirSync(to, { recursive: true });

  const known = levels.filter((level) => compiler.accepts(levelFlags(level)));
  const named = known.map((level) => ({ level, file: `kernels-${level}-${key}.so` }));
  const missing = named.filter(({ file }) => !existsSync(join(to, file)));
  const runs = await Promise.allSettled(
    missing.map(({ level, file }) =>
      compile(compiler, [...flags, ...levelFlags(level), ...cFiles(from)], from, join(to, file)),
    ),
  );
  const warnings = runs.map((run) => {
    if (run.status === "rejected") throw run.reason;
    return run.value;
  });
  const manifest: KernelManifest = {
    source,
    compiler: compiler.version,
    openmp: compiler.openmp(),
    libraries: Object.fromEntries(named.map(({ level, file }) => [level, file])),
  };
  writeManifest(to, manifest);
  return {
    manifest,
    compiled: missing.map(({ level }) => level),
    warnings: [...new Set(warnings)].join(""),
  };
}

export interface KernelLibrary {
  readonly path: string;
  readonly level: Level;
  /** The OpenMP runtime that the library was linked with, where it is known. */
  readonly openmp: string | undefined;
}

/**
 * The library for the best level of this CPU (at most ADALORA_ISA), compiled now when the sources have changed
 * since set-up; a released executable brings its own. Under a preloaded address sanitizer it is one compiled for that.
 * Throws E_MACHINE when the CPU or the compiler can't.
 */
export async function kernelLibrary(): Promise<KernelLibrary> {
  const usable = usableLevels();
  if (isExecutable()) {
    const manifest = readManifest(nativeFolder());
    invariant(manifest !== undefined, "the executable carries kernels");
    return bestOf(manifest, usable, nativeFolder());
  }
  const sanitize = sanitizer !== undefined;
  const levels = sanitize ? usable.slice(-1) : LEVELS;
  const dir = sanitize ? join(nativeDir, "sanitize", ...levels) : nativeDir;
  const manifest =
    freshManifest(dir, sanitize) ?? (await buildKernels({ to: dir, sanitize, levels })).manifest;
  return bestOf(manifest, usable, dir);
}

function bestOf(manifest: KernelManifest, usable: readonly Level[], dir: string): KernelLibrary {
  for (const level of usable.toReversed()) {
    const file = manifest.libraries[level];
    if (file === undefined) continue;
    const path = join(dir, file);
    if (level !== "amx" || grantsTiles(path)) return { path, level, openmp: manifest.openmp };
  }
  throw errors.machine(`${manifest.compiler} can't compile for AVX2`, INSTALL_COMPILER);
}

/** kernels/amx.c */
export const TILE_PERMISSION = {
  adl_request_tiles: { args: [], returns: "i32" },
} as const;

/** Whether this process may use AMX's tiles: an old system, or one that was told so, has the instructions and refuses. */
const grantsTiles = (library: string) =>
  openLibrary(
    "the CPU kernels",
    [library],
    TILE_PERMISSION,
    REBUILD,
  ).symbols.adl_request_tiles() === 0;

/** The folder's manifest, when it is of today's sources and flags and its libraries are there. */
function freshManifest(dir: string, sanitize: boolean): KernelManifest | undefined {
  const kept = readManifest(dir);
  if (kept?.source !== sourceHash(kernelsDir, compilerFlags(sanitize))) return undefined;
  const whole = Object.values(kept.libraries).every((file) => existsSync(join(dir, file)));
  return whole ? kept : undefined;
}

const cFiles = (dir: string) => sourceFiles(dir).filter((name) => name.endsWith(".c"));

const sourceFiles = (dir: string) =>
  readdirSync(dir)
    .filter((name) => /\.[ch]$/.test(name))
    .toSorted();

function sourceHash(dir: string, flags: readonly string[]): string {
  const sources = sourceFiles(dir).flatMap((name) => [name, readFileSync(join(dir, name), "utf8")]);
  return digest([...flags, ...LEVELS.flatMap(levelFlags), ...sources]);
}

const digest = (parts: readonly string[]) =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
