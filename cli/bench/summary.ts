import type { Measurement } from "./measure.ts";
import type { KernelTime } from "./profile.ts";
import type { Round } from "./peer.ts";

/** Smallest, middle and largest of several rounds. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface WorkloadResult {
  readonly workload: string;
  readonly secondsPerStep: Spread;
  readonly tokensPerSecond: number;
  readonly startUpSeconds: Spread;
  readonly peakRssMib: Spread;
  /** Share of the time that the needed operations would take at this machine's own matrix-product peak. */
  readonly gemmBound: number;
  readonly gemmPeakGflops: number;
  readonly neededGflop: number;
  readonly kernels?: readonly KernelTime[];
  readonly peer?: {
    readonly secondsPerStep: Spread;
    readonly startUpSeconds: Spread;
    readonly peakRssMib: Spread;
    /** Peer's time over ours, round by round. */
    readonly speedUp: Spread;
    /** Ours over the peer's. */
    readonly memory: number;
    readonly startUp: number;
  };
}

export function summarize(
  workload: string,
  ours: readonly Measurement[],
  theirs: readonly Round[],
): WorkloadResult {
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const seconds = ours.map(({ stepSeconds }) => mean(stepSeconds));
  const step = spread(seconds);
  const [first] = ours;
  const tokens = mean(first?.tokens ?? []);
  const needed = mean(first?.neededFlops ?? []);
  const peak = Math.max(...ours.map(({ gemmPeak }) => gemmPeak));
  const startUpSeconds = spread(ours.map((m) => m.startUpSeconds));
  const peakRssMib = spread(ours.map((m) => m.peakRssMib));
  const kernels = ours.at(-1)?.kernels;
  const base = {
    workload,
    secondsPerStep: step,
    tokensPerSecond: tokens / step.median,
    startUpSeconds,
    peakRssMib,
    gemmBound: needed / peak / step.median,
    gemmPeakGflops: peak / 1e9,
    neededGflop: needed / 1e9,
    ...(kernels ? { kernels } : {}),
  };
  if (theirs.length === 0) return base;
  const peerStart = spread(theirs.map((r) => r.startUpSeconds));
  const peerMemory = spread(theirs.map((r) => r.peakRssMib));
  const peer = {
    secondsPerStep: spread(theirs.map((r) => r.secondsPerStep)),
    startUpSeconds: peerStart,
    peakRssMib: peerMemory,
    speedUp: spread(theirs.map((r, i) => r.secondsPerStep / seconds[i]!)),
    memory: peakRssMib.median / peerMemory.median,
    startUp: startUpSeconds.median / peerStart.median,
  };
  return { ...base, peer };
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}
