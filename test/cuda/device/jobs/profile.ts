/** The time of each kernel and product of a step, by events around its launch. */
import { openWorkload } from "../../../../cli/bench/open-workload.ts";
import type { Timer } from "../../../../core/backend.ts";
import { LOSSES } from "../losses.ts";
import { openTarget } from "../target.ts";
import { workOf } from "../work.ts";
import { emit, runAsJob, Skip } from "./job.ts";

const STEPS = 2;

interface Launch {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

await runAsJob(async (flags) => {
  const launches: Launch[] = [];
  let timer: Timer | undefined;
  const backend = await openTarget(flags, {
    observe(name, queue) {
      const start = timer?.mark() ?? 0;
      queue();
      if (timer !== undefined) launches.push({ name, start, end: timer.mark() });
    },
  });
  if (backend.timer === undefined) throw new Skip("the device has no timer");
  const work = workOf(flags.only ?? "rte-b32", flags.small);
  const { step } = openWorkload(backend, work.workload, work.model, { checkpointing: false });
  const at = (i: number) => work.batches[i % work.batches.length]!;
  for (let i = 0; i < LOSSES; i++) await step(at(i));
  const clock = backend.timer;
  timer = clock; // from here on
  const started = clock.mark();
  for (let i = 0; i < STEPS; i++) await step(at(LOSSES + i));
  const ended = clock.mark();
  const marks = [started, ended, ...launches.flatMap(({ start, end }) => [start, end])];
  const [first = 0, last = 0, ...times] = clock.read(marks);
  const kernels = Map.groupBy(launches.keys(), (i) => launches[i]!.name);
  const rows = [...kernels].map(([kernel, indices]) => ({
    kernel,
    launches: indices.length / STEPS,
    milliseconds: indices.reduce((sum, i) => sum + times[2 * i + 1]! - times[2 * i]!, 0) / STEPS,
  }));
  emit({
    workload: work.name,
    dtype: flags.dtype,
    launches: launches.length / STEPS,
    stepMilliseconds: (last - first) / STEPS,
    kernelMilliseconds: rows.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
    kernels: rows.toSorted((a, b) => b.milliseconds - a.milliseconds),
  });
  return true;
});
