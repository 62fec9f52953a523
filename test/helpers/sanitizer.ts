import { isAbsolute } from "node:path";

/** The address sanitizer's library of the installed compiler, to be preloaded; undefined where there is none. */
function sanitizerLibrary(): string | undefined {
  const gcc = Bun.which("gcc");
  if (gcc === null) return undefined;
  const path = Bun.spawnSync([gcc, "-print-file-name=libasan.so"]).stdout.toString().trim();
  return isAbsolute(path) ? path : undefined;
}

const library = sanitizerLibrary();

/** Whether C code can be run under the address and undefined-behaviour sanitizers here. */
export const hasSanitizer = library !== undefined;

/** The environment of a process with the sanitizers preloaded. */
export const sanitizedEnvironment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  LD_PRELOAD: library ?? "",
  // Bun's own heap is not under test; fibers have stacks of their own.
  ASAN_OPTIONS: "detect_leaks=0:detect_stack_use_after_return=0",
  UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
});

/**
 * Runs Bun with the sanitizers preloaded: the CPU kernels are then compiled for them, and every pooled tensor is a
 * block of its exact size, so that one step past its end, and any use after free, ends the process with a report.
 */
export function runSanitized(args: readonly string[]): { code: number | null; output: string } {
  const run = Bun.spawnSync([process.execPath, "--no-env-file", ...args], {
    env: sanitizedEnvironment(),
    stdin: "ignore",
  });
  return { code: run.exitCode, output: run.stdout.toString() + run.stderr.toString() };
}
