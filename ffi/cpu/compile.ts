import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { errors } from "../../core/errors.ts";
import type { Compiler, CompileUnit, LibraryUnits } from "./compiler.ts";
import { type ObjectCache, openObjectCache } from "./object-cache.ts";
import { precompiledHeaders } from "./precompiled-header.ts";

/** Folders and flags of a build. */
export interface CompileOptions {
  /** Folder of the sources. */
  readonly from: string;
  /** A folder for temporary files on the libraries' file system. */
  readonly scratch: string;
  /** Flags of every unit and of the links. */
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
  /** Folder that keeps the object files for later builds; default none. */
  readonly objects?: string | undefined;
}

/** An object file and what the compiler printed. */
interface CompiledObject {
  readonly path: string;
  readonly warnings: string;
}

/**
 * Compiles units in parallel, one per core, and a unit of several libraries once; links each
 * library, which replaces the file at its path atomically. Returns the warnings. Throws E_MACHINE
 * with the first error; libraries whose units compile are linked all the same.
 */
export async function compile(
  compiler: Compiler,
  libraries: readonly LibraryUnits[],
  options: CompileOptions,
): Promise<string> {
  if (libraries.length === 0) return "";
  const { from, flags, linkFlags } = options;
  const recipe = [...compiler.command, compiler.version, ...flags];
  const cache =
    options.objects === undefined ? undefined : openObjectCache(options.objects, from, recipe);
  const scratch = mkdtempSync(join(options.scratch, "tmp."));
  const run = (...args: string[]) => runCompiler([...compiler.command, ...flags, ...args], from);
  const link = async ({ to, units }: LibraryUnits, objects: Objects) => {
    const own = units.flatMap((unit) => objects.get(keyOf(unit)) ?? []);
    const parts = settledValues(await Promise.allSettled(own));
    const library = join(scratch, basename(to));
    const paths = parts.map(({ path }) => path);
    const warnings = await run(...paths, ...linkFlags, "-o", library, "-lm");
    renameSync(library, to);
    return [...parts.map((part) => part.warnings), warnings];
  };
  try {
    const units = libraries.flatMap((library) => library.units);
    const objects = compileUnits(compiler, units, { run, scratch, cache });
    const links = libraries.map((library) => link(library, objects));
    const warnings = settledValues(await Promise.allSettled(links));
    return [...new Set(warnings.flat())].join("");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    cache?.prune();
  }
}

/** Object files by the keys of their units. */
type Objects = ReadonlyMap<string, Promise<CompiledObject>>;

const keyOf = ({ source, flags }: CompileUnit) => JSON.stringify([source, flags]);

interface UnitOptions {
  /** Runs the compiler with the common flags and these. */
  readonly run: (...args: string[]) => Promise<string>;
  readonly scratch: string;
  readonly cache: ObjectCache | undefined;
}

/** Starts to compile each of the units once, or copies its object file from the cache. */
function compileUnits(
  compiler: Compiler,
  units: readonly CompileUnit[],
  { run, scratch, cache }: UnitOptions,
): Objects {
  const unique = new Map(units.map((unit) => [keyOf(unit), unit]));
  const all = [...unique].map(([key, unit], i) => ({ key, unit, path: join(scratch, `${i}.o`) }));
  const cached = new Set(
    all.filter(({ unit, path }) => cache?.fetch(unit, path) === true).map(({ key }) => key),
  );
  const missing = all.filter(({ key }) => !cached.has(key)).map(({ unit }) => unit.flags);
  const onOneCore = (...args: string[]) => onFreeCore(() => run(...args));
  const headersFor = precompiledHeaders(compiler, missing, onOneCore, scratch);

  async function compileUnit(unit: CompileUnit, path: string): Promise<CompiledObject> {
    const words = [...unit.flags, "-c", unit.source, "-o", path];
    const headers = await headersFor(unit.flags);
    const plain = () => onOneCore(...words);
    const warnings = await (headers.length === 0
      ? plain()
      : onOneCore(...headers, ...words).catch(plain)); // GCC may fail to map the headers
    if (warnings === "") cache?.keep(unit, path);
    return { path, warnings };
  }
  return new Map(
    all.map(({ key, unit, path }) => [
      key,
      cached.has(key) ? Promise.resolve({ path, warnings: "" }) : compileUnit(unit, path),
    ]),
  );
}

/** The values of promises that have settled. Throws the reason of the first that was rejected. */
function settledValues<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

let freeCores = availableParallelism();
const waiting: (() => void)[] = [];

/** Runs a task as soon as fewer tasks than cores are running. */
async function onFreeCore<T>(task: () => Promise<T>): Promise<T> {
  if (freeCores > 0) freeCores -= 1;
  else await new Promise<void>((resolve) => void waiting.push(resolve));
  try {
    return await task();
  } finally {
    const next = waiting.shift();
    if (next === undefined) freeCores += 1;
    else next();
  }
}

/** Runs the compiler in a folder; returns its warnings. Throws E_MACHINE with the first error. */
async function runCompiler(command: readonly string[], cwd: string): Promise<string> {
  const run = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, LD_PRELOAD: "" }, // a sanitizer would slow the compiler down
    stdio: ["ignore", "ignore", "pipe"],
  });
  const text = await new Response(run.stderr).text();
  if ((await run.exited) === 0) return text;
  const first = text.split("\n").find((line) => /error|undefined reference/.test(line)) ?? text;
  throw errors.machine(
    `the C kernels do not compile: ${first.trim()}`,
    /omp\.h|-lomp|libomp/.test(text)
      ? "clang needs OpenMP: apt-get install libomp-dev, or gcc instead"
      : `the command was: ${command.join(" ")}`,
  );
}
