import { availableParallelism, loadavg } from "node:os";
import { systemOrEmbedded } from "../embedded.ts";
import { defaultEnvironment, loadGlobally } from "../libc.ts";
import { openLibrary } from "../load.ts";
import { checkStackSize } from "./stack-size.ts";

const HINT = "install it with: apt-get install libgomp1";

/** The process's OpenMP runtime. */
export interface OpenMp {
  readonly path: string;
  /** Sets the threads of parallel regions started from this thread, here and in oneDNN. */
  setThreads(count: number): void;
  threads(): number;
  /** The most threads that a team can have: OMP_THREAD_LIMIT, or a very large number. */
  threadLimit(): number;
}

/** Threads of a backend that is opened without a number: one per core, as far as OpenMP allows. */
export const defaultThreads = (openmp: OpenMp): number =>
  Math.min(availableParallelism(), openmp.threadLimit());

/**
 * Spins of a waiting thread before it sleeps. The runtime's default of 300,000 occupies a core for
 * milliseconds that another process, or the awaited thread, needs. On idle cores 20,000 spins span
 * most gaps: with 200 the demo takes 1.5 times as long. On busy cores every spin delays another
 * thread: beside two other processes per core the demo takes 1.7 times as long with 20,000 as with
 * 200.
 * load: the system's load average over the last minute.
 */
export function spinsBeforeSleep(load: number, cores: number): number {
  return load > 1.5 * cores ? 200 : 20_000;
}

/**
 * Opens the process's single OpenMP runtime, first and globally, so that oneDNN and the kernels
 * share its threads. `preferred` is the runtime that the kernels were linked with. The user's
 * OMP_WAIT_POLICY and GOMP_SPINCOUNT take precedence. Throws E_LIBRARY, and E_MACHINE for a stack size
 * that the runtime would end the process for.
 */
export function openOpenMp(preferred: string | undefined): OpenMp {
  checkStackSize();
  const candidates = [
    ...(preferred === undefined ? [] : [preferred]),
    ...systemOrEmbedded("libgomp.so.1"),
  ];
  if (process.env["OMP_WAIT_POLICY"] === undefined) {
    const spins = spinsBeforeSleep(loadavg()[0] ?? 0, availableParallelism());
    defaultEnvironment("GOMP_SPINCOUNT", String(spins));
  }
  const path = loadGlobally("OpenMP's runtime", candidates, HINT);
  const { symbols } = openLibrary(
    "OpenMP's runtime",
    [path],
    {
      omp_set_num_threads: { args: ["i32"], returns: "void" },
      omp_get_max_threads: { args: [], returns: "i32" },
      omp_set_dynamic: { args: ["i32"], returns: "void" },
      omp_set_max_active_levels: { args: ["i32"], returns: "void" },
      omp_get_thread_limit: { args: [], returns: "i32" },
    },
    HINT,
  );
  // Teams have the requested size, whatever OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS say.
  symbols.omp_set_dynamic(0);
  symbols.omp_set_max_active_levels(1);
  return {
    path,
    setThreads: (count) => symbols.omp_set_num_threads(count),
    threads: () => symbols.omp_get_max_threads(),
    threadLimit: () => symbols.omp_get_thread_limit(),
  };
}
