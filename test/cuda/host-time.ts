/**
 * bun test/cuda/host-time.ts [WORKLOAD] [--dtype f32|bf16] [--steps N]
 *
 * The host's own time of a warm training step: on the emulated device, whose calls return at once,
 * and on a backend that makes no calls, which leaves the time of everything above a backend. Prints
 * milliseconds of the thread. Profile it with bun --cpu-prof.
 */
import { createCountingBackend } from "../../core/backend/counting.ts";
import { isWorkload, type WorkloadName } from "../../cli/bench/workloads.ts";
import { mappedLibraries } from "../../ffi/libc.ts";
import { openLibrary } from "../../ffi/load.ts";
import { openStep, stepsOn } from "./step-counts.ts";

const WARM_UP = 100;

/** CLOCK_THREAD_CPUTIME_ID of <time.h>. */
const THREAD_CLOCK = 3;

/** The time that this thread has run, in milliseconds: other work on the machine adds none. */
function threadClock(): () => number {
  const { symbols } = openLibrary(
    "the C library",
    mappedLibraries().filter((path) => /\/libc(\.so\.6|-[\d.]+\.so)$/.test(path)),
    { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } },
    "",
  );
  const time = new BigInt64Array(new ArrayBuffer(16));
  return () => {
    symbols.clock_gettime(THREAD_CLOCK, time);
    return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
  };
}

/** Median and least time of warm steps, in milliseconds of this thread. */
async function timesOf(step: () => number | Promise<number>, steps: number) {
  for (let i = 0; i < WARM_UP; i++) await step();
  const now = threadClock();
  const times: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = now();
    await step();
    times.push(now() - start);
  }
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[steps >> 1]!, least: sorted[0]! };
}

async function main(args: readonly string[]) {
  const name: WorkloadName = args.find(isWorkload) ?? "rte-b32";
  const option = (flag: string) => args[args.indexOf(flag) + 1];
  const dtype = args.includes("--dtype") && option("--dtype") === "f32" ? "f32" : "bf16";
  const steps = args.includes("--steps") ? Number(option("--steps")) : 200;
  const { step, control, close } = await openStep(name, { dtype });
  control.set("idle", 1);
  console.log(`${name} ${dtype} idle device`, await timesOf(step, steps));
  control.set("idle", 0);
  close();
  const counting = createCountingBackend({ activation: dtype, master: "f32" });
  const above = stepsOn(counting, name);
  console.log(`${name} ${dtype} above a backend`, await timesOf(above, steps));
}

if (import.meta.main) await main(process.argv.slice(2));
