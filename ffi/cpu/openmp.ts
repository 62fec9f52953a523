import { availableParallelism, loadavg } from "node:os";
import { systemOrEmbedded } from "../embedded.ts";
import { defaultEnvironment, loadGlobally, mappedLibraries } from "../libc.ts";
import { openLibrary } from "../load.ts";

const HINT = "install it with: apt-get install libgomp1";

export interface OpenMp {
  readonly path: string;
  /** Threads of every parallel region started from this thread, here and in oneDNN. */
  setThreads(count: number): void;
  threads(): number;
}

/**
 * Turns of a waiting thread's loop before it sleeps. The runtime's own 300,000 burn milliseconds of a core that another process, or the
 * thread waited for, needs. On idle cores 20,000 wait out most gaps: with 200 the demo takes 1.5 times as long. On busy ones every turn is
 * taken from somebody: at two other processes a core the demo takes 1.7 times as long with 20,000 as with 200.
 * load: the system's, over the last minute.
 */
export function spinsBeforeSleep(load: number, cores: number): number {
  return load > 1.5 * cores ? 200 : 20_000;
}

/**
 * The one OpenMP runtime of the process: loaded first and globally, so that oneDNN and our kernels share its threads.
 * `preferred` is the runtime that the kernels were linked with. OMP_WAIT_POLICY and GOMP_SPINCOUNT of the user's go before our own.
 */
export function openOpenMp(preferred: string | undefined): OpenMp {
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
    },
    HINT,
  );
  return {
    path,
    setThreads: (count) => symbols.omp_set_num_threads(count),
    threads: () => symbols.omp_get_max_threads(),
  };
}

/** OpenMP runtimes mapped into the process: more than one means two pools of threads in each other's way. */
export const openMpRuntimes = (): string[] =>
  mappedLibraries().filter((path) => /\/lib(gomp|omp|iomp5)[.-][^/]*$/.test(path));
