import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errors, invariant } from "../../core/errors.ts";
import { nativePath } from "../embedded.ts";
import { isExecutable, readEmbedded } from "../embedded-registry.ts";
import { sanitizer } from "../libc.ts";
import { nativeDir } from "../paths.ts";
import { compile } from "./compile.ts";
import { type Compiler, type CompileUnit, findCompiler, INSTALL_COMPILER } from "./compiler.ts";
import { hasBf16Kernels, type Level, LEVELS, levelFlags, usableLevels } from "./isa.ts";
import {
  type KernelManifest,
  MANIFEST,
  parseManifest,
  readManifest,
  writeManifest,
} from "./manifest.ts";

const kernelsDir = join(import.meta.dir, "kernels");

/**
 * Object files of the program's own kernels: an edit recompiles one, a release those of other
 * levels.
 */
export const OBJECTS = join(nativeDir, "objects");

/** Hint for a library that does not load. */
export const REBUILD = "npm run setup recompiles it";

/**
 * No -ffast-math: results must not depend on the compiler version. The two -fno flags change no
 * value.
 */
const FLAGS = (
  "-O3 -std=gnu11 -fPIC -fopenmp -ffp-contract=fast " +
  "-fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-pass-failed " +
  "-Werror=implicit-function-declaration"
).split(" ");

/**
 * Undefined symbols fail the link; a sanitizer's are resolved in the process that loads the
 * library.
 */
const linkFlags = (sanitize: boolean) => (sanitize ? ["-shared"] : ["-shared", "-Wl,-z,defs"]);

/** Compiles a source over bf16 instead of float: see kernels/activation-type.h. */
const BF16_FLAG = "-DADL_BF16";

const SANITIZE = (
  "-O0 -g1 -fno-omit-frame-pointer -Werror " +
  "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split(" ");

const compilerFlags = (sanitize: boolean) => (sanitize ? [...FLAGS, ...SANITIZE] : FLAGS);

/** Code for AMX tiles: intrinsics, or conditions on the compiler's macros. */
const TILES = /\b_tile_\w+|\b__AMX_\w+/;

/** Whether a source has code for AMX tiles, in itself or in the headers that it includes. */
function hasTiles(dir: string, file: string): boolean {
  const text = readFileSync(join(dir, file), "utf8");
  const headers = [...text.matchAll(/^#include "([^"/]+)"/gm)].map(([, name]) => name ?? "");
  return TILES.test(text) || headers.some((header) => hasTiles(dir, header));
}

/**
 * Lists the object files of a level's library. A source that names symbols by ADL_ACT is compiled
 * over float and over bf16, bf16-*.c over bf16 only. bf16 needs a level with AVX-512. Levels above
 * AVX-512 add instructions over bf16 only, so their libraries share the objects over float, and
 * level amx adds tiles to the level below, whose objects it shares where a source has none.
 * amx-*.c are compiled for level amx only.
 */
export function kernelUnits(dir: string, level: Level): CompileUnit[] {
  return cFiles(dir).flatMap((source) => {
    const plain = { source, flags: levelFlags(hasBf16Kernels(level) ? "avx512" : level) };
    const shared = level === "amx" && !hasTiles(dir, source) ? "avx512bf16" : level;
    const bf16 = { source, flags: [...levelFlags(shared), BF16_FLAG] };
    if (source.startsWith("amx-"))
      return level === "amx" ? [{ source, flags: levelFlags(level) }] : [];
    if (!hasBf16Kernels(level)) return source.startsWith("bf16-") ? [] : [plain];
    if (source.startsWith("bf16-")) return [bf16];
    return readFileSync(join(dir, source), "utf8").includes("ADL_ACT(") ? [plain, bf16] : [plain];
  });
}

/** Options of a kernel build. */
export interface BuildOptions {
  /** Folder of the sources (*.c and *.h). */
  readonly from?: string;
  /** Folder of the libraries and their manifest. */
  readonly to?: string;
  /**
   * Compiles with address and undefined-behaviour sanitizers; the loader then needs libasan
   * preloaded.
   */
  readonly sanitize?: boolean;
  readonly levels?: readonly Level[];
  /** Compiles only the highest of `levels` that the compiler supports; default all. */
  readonly highest?: boolean;
  /** Folder that keeps object files for later builds, of any level; default none. */
  readonly objects?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Result of a kernel build. */
export interface KernelBuild {
  readonly manifest: KernelManifest;
  /** Levels compiled by this call; the others were up to date. */
  readonly compiled: readonly Level[];
  /** The compiler's warnings. */
  readonly warnings: string;
}

/**
 * Compiles the C kernels for each level that the compiler supports, or the `highest` of them,
 * unless libraries of the same sources, flags and compiler exist. Safe beside another process that
 * does the same.
 *
 * Throws E_MACHINE with the compiler's error, or if no compiler supports one of the levels.
 */
export async function buildKernels(options: BuildOptions = {}): Promise<KernelBuild> {
  const { from = kernelsDir, to = nativeDir, levels = LEVELS, highest = false } = options;
  const sanitize = options.sanitize === true;
  const flags = compilerFlags(sanitize);
  const compiler = findCompiler(options.env);
  const source = sourceHash(from, sanitize);
  const key = digest([source, compiler.version]);
  mkdirSync(to, { recursive: true });

  const known = knownLevels(compiler, levels, highest);
  const named = known.map((level) => ({ level, file: `kernels-${level}-${key}.so` }));
  const missing = named.filter(({ file }) => !existsSync(join(to, file)));
  const libraries = missing.map(({ level, file }) => ({
    to: join(to, file),
    units: kernelUnits(from, level),
  }));
  const warnings = await compile(compiler, libraries, {
    from,
    scratch: to,
    flags,
    linkFlags: linkFlags(sanitize),
    objects: options.objects,
  });
  const kept = readManifest(to);
  const same =
    kept?.source === source && kept.compiler === compiler.version && isComplete(kept, to)
      ? kept
      : undefined;
  const requested = new Set([...(same?.requested ?? []), ...levels.slice(highest ? -1 : 0)]);
  const manifest: KernelManifest = {
    source,
    compiler: compiler.version,
    openmp: compiler.openmp(),
    libraries: {
      ...same?.libraries,
      ...Object.fromEntries(named.map(({ level, file }) => [level, file])),
    },
    requested: LEVELS.filter((level) => requested.has(level)),
  };
  writeManifest(to, manifest);
  return {
    manifest,
    compiled: missing.map(({ level }) => level),
    warnings,
  };
}

function knownLevels(compiler: Compiler, levels: readonly Level[], highest: boolean): Level[] {
  const known = levels.filter((level) => compiler.accepts(levelFlags(level)));
  if (known.length === 0)
    throw errors.machine(`${compiler.version} can't compile for AVX2`, INSTALL_COMPILER);
  return highest ? known.slice(-1) : known;
}

/** A compiled kernel library. */
export interface KernelLibrary {
  readonly path: string;
  readonly level: Level;
  /** The OpenMP runtime that the library was linked with, if known. */
  readonly openmp: string | undefined;
}

/**
 * Compiles the kernels for this CPU (at most ADALORA_ISA), unless they are up to date. Throws
 * E_MACHINE if the CPU or the compiler can't.
 */
export const buildForThisCpu = () =>
  buildKernels({ levels: usableLevels(), highest: true, objects: OBJECTS });

/**
 * The library for the best level of this CPU (at most ADALORA_ISA), compiled now if the sources
 * have changed since set-up; an executable embeds its own. Under a preloaded address sanitizer, the
 * library is a sanitized one. Throws E_MACHINE if the CPU or the compiler can't.
 */
export async function kernelLibrary(): Promise<KernelLibrary> {
  const compiled = compiledKernels();
  if (compiled !== undefined) return compiled;
  const { levels, to, sanitize } = ownBuild();
  const { manifest } = await buildKernels({
    to,
    sanitize,
    levels,
    highest: true,
    objects: OBJECTS,
  });
  return bestOf(manifest, levels, (file) => join(to, file));
}

/**
 * As kernelLibrary, but compiles nothing: undefined where the sources have changed since set-up, or
 * it was not done. Throws E_MACHINE if the CPU can't run the kernels.
 */
export function compiledKernels(): KernelLibrary | undefined {
  if (isExecutable()) {
    const manifest = parseManifest(Buffer.from(readEmbedded(MANIFEST)).toString());
    invariant(manifest !== undefined, "the executable embeds kernels");
    return bestOf(manifest, usableLevels(), nativePath);
  }
  const { levels, highest, to, sanitize } = ownBuild();
  const manifest = currentManifest(to, highest, sanitize);
  return manifest && bestOf(manifest, levels, (file) => join(to, file));
}

/** What kernelLibrary builds for this process, and where. */
function ownBuild() {
  const levels = usableLevels();
  const sanitize = sanitizer !== undefined;
  const highest = levels.at(-1);
  invariant(highest !== undefined, "a supported CPU has a level");
  const to = sanitize ? join(nativeDir, "sanitize", highest) : nativeDir;
  return { levels, highest, to, sanitize };
}

function bestOf(
  manifest: KernelManifest,
  levels: readonly Level[],
  pathOf: (file: string) => string,
): KernelLibrary {
  const level = levels.findLast((each) => manifest.libraries[each] !== undefined);
  const file = level === undefined ? undefined : manifest.libraries[level];
  invariant(level !== undefined && file !== undefined, "a manifest has a library for every CPU");
  return { path: pathOf(file), level, openmp: manifest.openmp };
}

/**
 * The folder's manifest, if it matches the current sources and flags, `highest` was requested, and
 * its libraries exist.
 */
function currentManifest(
  dir: string,
  highest: Level,
  sanitize: boolean,
): KernelManifest | undefined {
  const kept = readManifest(dir);
  if (kept?.source !== sourceHash(kernelsDir, sanitize)) return undefined;
  if (!kept.requested.includes(highest)) return undefined;
  return isComplete(kept, dir) ? kept : undefined;
}

/** Whether all of its libraries exist. */
const isComplete = (manifest: KernelManifest, dir: string) =>
  Object.values(manifest.libraries).every((file) => existsSync(join(dir, file)));

const cFiles = (dir: string) => sourceFiles(dir).filter((name) => name.endsWith(".c"));

const sourceFiles = (dir: string) =>
  readdirSync(dir)
    .filter((name) => /\.[ch]$/.test(name))
    .toSorted();

function sourceHash(dir: string, sanitize: boolean): string {
  const flags = [...compilerFlags(sanitize), ...linkFlags(sanitize), BF16_FLAG];
  const sources = sourceFiles(dir).flatMap((name) => [name, readFileSync(join(dir, name), "utf8")]);
  return digest([...flags, ...LEVELS.flatMap(levelFlags), ...sources]);
}

const digest = (parts: readonly string[]) =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
