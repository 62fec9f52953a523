import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, isAbsolute, join, normalize } from "node:path";
import { errors } from "../../core/errors.ts";

/** Hint for a missing compiler. */
export const INSTALL_COMPILER = "install a C compiler: apt-get install gcc (or set CC to one)";

/** A C compiler. */
export interface Compiler {
  readonly command: readonly string[];
  /** First line of --version. */
  readonly version: string;
  /** Whether it supports these flags. */
  accepts(flags: readonly string[]): boolean;
  /** The OpenMP runtime that it links with, if it reports one. */
  openmp(): string | undefined;
}

/** Finds CC, else gcc, cc or clang, whichever runs first. Throws E_MACHINE if none does. */
export function findCompiler(env: NodeJS.ProcessEnv = process.env): Compiler {
  const named = env["CC"]?.trim();
  const commands = named === undefined || named === "" ? ["gcc", "cc", "clang"] : [named];
  for (const name of commands) {
    const command = name.split(/\s+/);
    const version = output([...command, "--version"], env)?.split("\n")[0];
    if (version === undefined) continue;
    const runtime = version.includes("clang") ? "libomp.so.5" : "libgomp.so.1";
    return {
      command,
      version,
      accepts: (flags) =>
        output([...command, ...flags, "-x", "c", "-fsyntax-only", "/dev/null"], env) !== undefined,
      openmp() {
        const path = output([...command, `-print-file-name=${runtime}`], env)?.trim();
        return path !== undefined && isAbsolute(path) && existsSync(path)
          ? normalize(path)
          : undefined;
      },
    };
  }
  throw errors.machine(`no C compiler: ${commands.join(", ")} did not run`, INSTALL_COMPILER);
}

/** Standard output of a command, or undefined if it fails. */
function output(command: readonly string[], env: NodeJS.ProcessEnv): string | undefined {
  try {
    const run = Bun.spawnSync([...command], { env, stdin: "ignore", stderr: "ignore" });
    return run.exitCode === 0 ? run.stdout.toString() : undefined;
  } catch {
    return undefined; // no such command
  }
}

/** One object file of a library. */
export interface CompileUnit {
  /** File name in the source folder. */
  readonly source: string;
  readonly flags: readonly string[];
}

/** A library and its object files. */
export interface LibraryUnits {
  /** Path of the library. */
  readonly to: string;
  readonly units: readonly CompileUnit[];
}

/** Folders and flags of a build. */
export interface CompileOptions {
  /** Folder of the sources. */
  readonly from: string;
  /** A folder for temporary files on the libraries' file system. */
  readonly scratch: string;
  /** Flags of every unit and of the links. */
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
}

/**
 * Compiles units in parallel, one per core, and a unit of several libraries once; links each
 * library, which replaces the file at its path atomically. Returns the warnings. Throws E_MACHINE
 * with the first error; libraries whose units compile are linked all the same.
 */
export async function compile(
  compiler: Compiler,
  libraries: readonly LibraryUnits[],
  { from, scratch: parent, flags, linkFlags }: CompileOptions,
): Promise<string> {
  if (libraries.length === 0) return "";
  const scratch = mkdtempSync(join(parent, "tmp."));
  const run = (...args: string[]) => runCompiler([...compiler.command, ...flags, ...args], from);
  const objects = new Map<string, Promise<{ path: string; warnings: string }>>();
  const compileUnit = async ({ source, flags: own }: CompileUnit, path: string) => {
    const warnings = await onFreeCore(() => run(...own, "-c", source, "-o", path));
    return { path, warnings };
  };
  const objectOf = (unit: CompileUnit) => {
    const key = JSON.stringify([unit.source, unit.flags]);
    const path = join(scratch, `${objects.size}.o`);
    const object = objects.get(key) ?? compileUnit(unit, path);
    objects.set(key, object);
    return object;
  };
  const link = async ({ to, units }: LibraryUnits) => {
    const parts = settledValues(await Promise.allSettled(units.map(objectOf)));
    const library = join(scratch, basename(to));
    const paths = parts.map(({ path }) => path);
    const warnings = await run(...paths, ...linkFlags, "-o", library, "-lm");
    renameSync(library, to);
    return [...parts.map((part) => part.warnings), warnings];
  };
  try {
    const warnings = settledValues(await Promise.allSettled(libraries.map(link)));
    return [...new Set(warnings.flat())].join("");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
