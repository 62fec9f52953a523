/**
 * The time of a workload's training steps, beside the peak of a large product on the same device.
 * The first losses must be the CPU's.
 */
import { gemmPeak } from "../../../../cli/bench/gemm-peak.ts";
import { openWorkload } from "../../../../cli/bench/open-workload.ts";
import { spread } from "../../../../cli/bench/summary.ts";
import type { Backend } from "../../../../core/backend.ts";
import { peakResidentMemory } from "../../../../core/process-memory.ts";
import { areClose, expectedLosses, LOSSES } from "../losses.ts";
import { openTarget } from "../target.ts";
import { type Work, workOf } from "../work.ts";
import { emit, type Flags, runAsJob, say } from "./job.ts";

/** Timed steps, and the seconds after which no other one is started. */
const [STEPS, ENOUGH_SECONDS] = [24, 3];
const SMALL_STEPS = 2;

/** Products that are timed one by one, and in a row on a device whose calls return early. */
const TRIES = 12;
const LARGE = { size: 8192, count: 10 };

await runAsJob(async (flags) => {
  const work = workOf(flags.only ?? "rte-b32", flags.small);
  const backend = await openTarget(flags);
  const { device, dtype, threads, small } = flags;
  const figures = await measure(backend, work, flags);
  const memory = memoryOf(backend); // before the peak's operands
  const peak = flags.small ? undefined : peakOf(backend);
  const { seconds, losses, neededFlops } = figures;
  const expected = expectedLosses(work.name, small);
  const isClose = expected === undefined || areClose(losses, expected, dtype);
  emit({
    workload: work.name,
    device,
    dtype,
    threads,
    secondsPerStep: spread(seconds),
    tokensPerSecond: figures.tokens / sum(seconds),
    ...memory,
    ...(peak && {
      gemmPeakGflops: peak / 1e9,
      gemmBound: neededFlops / sum(seconds) / peak,
    }),
    steps: seconds.length,
    losses,
    expected,
    isClose,
  });
  if (!isClose) say(`losses are ${losses.join(", ")}, expected ${expected.join(", ")}`);
  return isClose;
});

async function measure(backend: Backend, work: Work, { small }: Flags) {
  const stepping = { checkpointing: false };
  const { step, tokens, neededFlops } = openWorkload(backend, work.workload, work.model, stepping);
  const at = (i: number) => work.batches[i % work.batches.length]!;
  const losses: number[] = [];
  for (let i = 0; i < LOSSES; i++) losses.push(await step(at(i)));
  const seconds: number[] = [];
  const most = small ? SMALL_STEPS : STEPS;
  const rows = [];
  while (seconds.length < most && sum(seconds) < ENOUGH_SECONDS) {
    const batch = at(LOSSES + rows.length);
    const started = performance.now();
    await step(batch);
    seconds.push((performance.now() - started) / 1000);
    rows.push(batch);
  }
  return {
    losses,
    seconds,
    tokens: sum(rows.map(tokens)),
    neededFlops: sum(rows.map(neededFlops)),
  };
}

/** Operations a second of the fastest large products in the backend's dtype. */
function peakOf(backend: Backend): number {
  const usual = gemmPeak(backend, TRIES);
  const { timer } = backend;
  if (timer === undefined) return usual;
  const { size, count } = LARGE;
  const [a, b, c] = [0, 1, 2].map(() => backend.alloc(backend.activation, size * size));
  for (const operand of [a!, b!]) {
    backend.upload(
      operand,
      Float32Array.from({ length: size * size }, (_, i) => (i % 251) / 250 - 0.5),
    );
  }
  const product = () => backend.gemm(a!, b!, c!, { m: size, n: size, k: size, transB: true });
  product();
  const start = timer.mark();
  for (let i = 0; i < count; i++) product();
  const [first = 0, last = 0] = timer.read([start, timer.mark()]);
  for (const buffer of [a!, b!, c!]) backend.free(buffer);
  return Math.max(usual, (2 * size ** 3 * count) / ((last - first) / 1000));
}

function memoryOf(backend: Backend) {
  const { reserved } = backend.memory();
  return {
    peakRssMib: (peakResidentMemory() ?? 0) / 2 ** 20,
    ...(reserved === undefined ? {} : { deviceMib: reserved / 2 ** 20 }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
