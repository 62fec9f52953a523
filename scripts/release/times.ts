import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";

type Start = "help" | "first" | "later";

/** Limits on an idle machine, in milliseconds. */
const LIMITS: readonly (readonly [Start, number])[] = [
  ["help", 80],
  ["first", 400],
  ["later", 250],
];
/** Limits grow in proportion to the load above this many cores per process. */
const IDLE = 2;
const REPEATS = 5;

/**
 * Measures an executable's start: `--help`, and `doctor` (all native libraries and a self-test) with
 * and without unpacking, each the fastest of some. Prints the times; returns those above their
 * limits, as a text. On a busy machine a limit grows with the load. `scratch`: a folder for caches.
 */
export function timesFault(executable: string, scratch: string): string | undefined {
  const load = (loadavg()[0] ?? 0) / availableParallelism();
  const allowance = Math.max(1, IDLE * load);
  const run = (home: string, argument: string) =>
    void Bun.spawnSync([executable, argument], {
      cwd: scratch,
      env: { HOME: join(scratch, home) },
      stdio: ["ignore", "ignore", "ignore"],
    });
  const times: Readonly<Record<Start, number>> = {
    help: fastest(() => run("home0", "--help")),
    first: fastest((i) => run(`home${i}`, "doctor")),
    later: fastest(() => run("home0", "doctor")),
  };
  const measured = Object.entries(times).map(([what, time]) => `${what} ${Math.round(time)} ms`);
  console.log(`times: ${measured.join(", ")}, ${load.toFixed(1)} processes per core`);
  const slow = LIMITS.filter(([what, limit]) => times[what] > limit * allowance).map(
    ([what, limit]) => `${what} (${limit} ms)`,
  );
  return slow.length === 0 ? undefined : `above the limit: ${slow.join(", ")}`;
}

function fastest(run: (i: number) => void): number {
  const times = Array.from({ length: REPEATS }, (_, i) => {
    const start = performance.now();
    run(i);
    return performance.now() - start;
  });
  return Math.min(...times);
}
