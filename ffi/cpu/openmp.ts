import { systemOrCarried } from "../carried.ts";
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
 * Turns of a thread's loop before it sleeps where others are not there yet: some microseconds. The runtime's own 300,000 turns burn
 * milliseconds of a core that another process, or the thread waited for, needs: the demo took 20 times as long on two busy cores, and on
 * idle ones no difference was measured. OMP_WAIT_POLICY and GOMP_SPINCOUNT of the user's go before it.
 */
const SPINS = "200";

/**
 * The one OpenMP runtime of the process: loaded first and globally, so that oneDNN and our kernels share its threads.
 * `preferred` is the runtime that the kernels were linked with.
 */
export function openOpenMp(preferred: string | undefined): OpenMp {
  const candidates = [
    ...(preferred === undefined ? [] : [preferred]),
    ...systemOrCarried("libgomp.so.1"),
  ];
  if (process.env["OMP_WAIT_POLICY"] === undefined) defaultEnvironment("GOMP_SPINCOUNT", SPINS);
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
