import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, isAbsolute, join, normalize } from "node:path";
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

/** Folders and flags of a library build. */
export interface CompileOptions {
  /** Folder of the sources. */
  readonly from: string;
  /** Path of the library. */
  readonly to: string;
  /** Flags of every unit and of the link. */
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
}

/**
 * Compiles units in parallel, one per core, and links them into a library that replaces `to`
 * atomically. Returns the warnings. Throws E_MACHINE with the first error.
 */
export async function compile(
  compiler: Compiler,
  units: readonly CompileUnit[],
  { from, to, flags, linkFlags }: CompileOptions,
): Promise<string> {
  const scratch = mkdtempSync(join(dirname(to), "tmp."));
  const run = (...args: string[]) => runCompiler([...compiler.command, ...flags, ...args], from);
  try {
    const objects = units.map((_, i) => join(scratch, `${i}.o`));
    const runs = await Promise.allSettled(
      units.map((unit, i) =>
        onFreeCore(() => run(...unit.flags, "-c", unit.source, "-o", objects[i] ?? "")),
      ),
    );
    const warnings = runs.map((ended) => {
      if (ended.status === "rejected") throw ended.reason;
      return ended.value;
    });
    const library = join(scratch, basename(to));
    warnings.push(await run(...objects, ...linkFlags, "-o", library, "-lm"));
    renameSync(library, to);
    return [...new Set(warnings)].join("");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
