import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errors, invariant } from "../../core/errors.ts";
import { isExecutable, nativeFolder } from "../embedded.ts";
import { sanitizer } from "../libc.ts";
import { nativeDir } from "../paths.ts";
import {
  compile,
  type Compiler,
  type CompileUnit,
  findCompiler,
  INSTALL_COMPILER,
} from "./compiler.ts";
import { hasBf16Kernels, type Level, LEVELS, levelFlags, usableLevels } from "./isa.ts";
import { type KernelManifest, readManifest, writeManifest } from "./manifest.ts";

const kernelsDir = join(import.meta.dir, "kernels");

/** What to do about a library that does not load. */
export const REBUILD = "npm run setup compiles it anew";

/** Numbers must not depend on the compiler's mood: no -ffast-math. The two -fno flags change no value. */
const FLAGS = (
  "-O3 -std=gnu11 -fPIC -fopenmp -ffp-contract=fast " +
  "-fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-pass-failed " +
  "-Werror=implicit-function-declaration"
).split(" ");

/** An undefined symbol fails the link; a sanitizer's are in the process that loads the library. */
const linkFlags = (sanitize: boolean) => (sanitize ? ["-shared"] : ["-shared", "-Wl,-z,defs"]);

/** Compiles a source over bf16 instead of float: see kernels/activation-type.h. */
const BF16_FLAG = "-DADL_BF16";

const SANITIZE = (
  "-O1 -g -fno-omit-frame-pointer -Werror " +
  "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split(" ");

const compilerFlags = (sanitize: boolean) => (sanitize ? [...FLAGS, ...SANITIZE] : FLAGS);

/**
 * The object files of a level's library. A source that names its symbols by ADL_ACT is compiled over float and over bf16, bf16-*.c over
 * bf16 alone, and both only at levels whose vectors hold bf16.
 */
export function kernelUnits(dir: string, level: Level): CompileUnit[] {
  return cFiles(dir).flatMap((source) => {
    const plain = { source, flags: [] };
    const bf16 = { source, flags: [BF16_FLAG] };
    if (!hasBf16Kernels(level)) return source.startsWith("bf16-") ? [] : [plain];
    if (source.startsWith("bf16-")) return [bf16];
    return readFileSync(join(dir, source), "utf8").includes("ADL_ACT(") ? [plain, bf16] : [plain];
  });
}

export interface BuildOptions {
  /** Folder of *.c and *.h. */
  readonly from?: string;
  /** Folder for the libraries and their manifest. */
  readonly to?: string;
  /** Address and undefined-behaviour checks; the loader then needs libasan preloaded. */
  readonly sanitize?: boolean;
  readonly levels?: readonly Level[];
  /** Only the highest of `levels` that the compiler knows, beside what is there; default all of them. */
  readonly highest?: boolean;
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
 * Compiles the C kernels for each instruction-set level that the compiler knows, or the `highest` of them, unless
 * libraries of the same sources, flags and compiler are there. Safe beside another process that does the same.
 *
 * Throws E_MACHINE without a compiler that knows one of the levels, or with what it said.
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
  const runs = await Promise.allSettled(
    missing.map(({ level, file }) =>
      compile(compiler, kernelUnits(from, level), {
        from,
        to: join(to, file),
        flags: [...flags, ...levelFlags(level)],
        linkFlags: linkFlags(sanitize),
      }),
    ),
  );
  const warnings = runs.map((run) => {
    if (run.status === "rejected") throw run.reason;
    return run.value;
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
    warnings: [...new Set(warnings)].join(""),
  };
}

function knownLevels(compiler: Compiler, levels: readonly Level[], highest: boolean): Level[] {
  const known = levels.filter((level) => compiler.accepts(levelFlags(level)));
  if (known.length === 0)
    throw errors.machine(`${compiler.version} can't compile for AVX2`, INSTALL_COMPILER);
  return highest ? known.slice(-1) : known;
}

export interface KernelLibrary {
  readonly path: string;
  readonly level: Level;
  /** The OpenMP runtime that the library was linked with, where it is known. */
  readonly openmp: string | undefined;
}

/** Compiles what this CPU (at most ADALORA_ISA) needs, unless it is there. Throws E_MACHINE when the CPU or the compiler can't. */
export const buildForThisCpu = () => buildKernels({ levels: usableLevels(), highest: true });

/**
 * The library for the best level of this CPU (at most ADALORA_ISA), compiled now when the sources have changed
 * since set-up; a released executable brings its own. Under a preloaded address sanitizer it is one compiled for that.
 * Throws E_MACHINE when the CPU or the compiler can't.
 */
export async function kernelLibrary(): Promise<KernelLibrary> {
  const levels = usableLevels();
  if (isExecutable()) {
    const manifest = readManifest(nativeFolder());
    invariant(manifest !== undefined, "the executable carries kernels");
    return bestOf(manifest, levels, nativeFolder());
  }
  const sanitize = sanitizer !== undefined;
  const highest = levels.at(-1);
  invariant(highest !== undefined, "a CPU that is not refused has a level");
  const to = sanitize ? join(nativeDir, "sanitize", highest) : nativeDir;
  const manifest =
    currentManifest(to, highest, sanitize) ??
    (await buildKernels({ to, sanitize, levels, highest: true })).manifest;
  return bestOf(manifest, levels, to);
}

function bestOf(manifest: KernelManifest, levels: readonly Level[], dir: string): KernelLibrary {
  const level = levels.findLast((each) => manifest.libraries[each] !== undefined);
  const file = level === undefined ? undefined : manifest.libraries[level];
  invariant(level !== undefined && file !== undefined, "a manifest has a library for every CPU");
  return { path: join(dir, file), level, openmp: manifest.openmp };
}

/** The folder's manifest, when it is of today's sources and flags, `highest` was requested, and its libraries are there. */
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

/** Whether the libraries that it names are there. */
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
