import { existsSync } from "node:fs";
import { isAbsolute, normalize } from "node:path";
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
