import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { isAbsolute, normalize } from "node:path";
import { errors } from "../../core/errors.ts";

/** What to do without one. */
export const INSTALL_COMPILER = "install a C compiler: apt-get install gcc (or set CC to one)";

export interface Compiler {
  readonly command: readonly string[];
  /** First line of --version. */
  readonly version: string;
  /** Whether it knows these flags. */
  accepts(flags: readonly string[]): boolean;
  /** The OpenMP runtime that it links with, where it can tell. */
  openmp(): string | undefined;
}

/** CC, else gcc, cc or clang, whichever runs first. Throws E_MACHINE when none does. */
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

/** Standard output of a command that succeeds. */
function output(command: readonly string[], env: NodeJS.ProcessEnv): string | undefined {
  try {
    const run = Bun.spawnSync([...command], { env, stdin: "ignore", stderr: "ignore" });
    return run.exitCode === 0 ? run.stdout.toString() : undefined;
  } catch {
    return undefined; // no such command
  }
}

/**
 * Compiles in the folder `from` into the library `to`, written beside it and then renamed. Returns the warnings.
 * Throws E_MACHINE with the first error.
 */
export async function compile(
  compiler: Compiler,
  args: readonly string[],
  from: string,
  to: string,
): Promise<string> {
  const part = `${to}.${randomUUID()}`;
  const command = [...compiler.command, ...args, "-o", part, "-lm"];
  const run = Bun.spawn(command, { cwd: from, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const said = await new Response(run.stderr).text();
  if ((await run.exited) === 0) {
    renameSync(part, to);
    return said;
  }
  rmSync(part, { force: true });
  const first = said.split("\n").find((line) => /error|undefined reference/.test(line)) ?? said;
  const headers = /omp\.h|-lomp|libomp/.test(said);
  throw errors.machine(
    `the C kernels do not compile: ${first.trim()}`,
    headers
      ? "clang needs OpenMP: apt-get install libomp-dev, or gcc instead"
      : `the command was: ${command.join(" ")}`,
  );
}
