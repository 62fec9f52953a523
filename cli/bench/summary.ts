import type { Measurement } from "./measure.ts";
import type { PeerSettings, Round } from "./peer.ts";
import type { KernelTime } from "./profile.ts";
import type { WorkloadName } from "./workloads.ts";

/** Smallest, middle and largest of several rounds. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** A workload, and how it was done. */
export interface MeasuredWorkload {
  readonly workload: WorkloadName;
  /** Whether our training steps ran each layer again in backward. */
  readonly checkpointing: boolean;
}

export interface WorkloadResult extends MeasuredWorkload {
  readonly secondsPerStep: Spread;
  readonly tokensPerSecond: number;
  readonly startUpSeconds: Spread;
  readonly peakRssMib: Spread;
  /** Processors that others kept busy during the steps, at most: figures of a shared machine say little. */
  readonly otherLoad: number;
  /** Share of the step's time that its needed operations would take at this machine's own matrix-product peak. */
  readonly gemmBound: number;
  readonly gemmPeakGflops: number;
  readonly neededGflop: number;
  readonly kernels?: readonly KernelTime[];
  readonly peer?: PeerResult;
}

export interface PeerResult {
  readonly settings: PeerSettings;
  /** Rounds that the peer did not come through; ratios are of the others. */
  readonly failed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly secondsPerStep: Spread;
  readonly startUpSeconds: Spread;
  readonly peakRssMib: Spread;
  readonly otherLoad: number;
  /** Peer's time over ours, round by round. */
  readonly speedUp: Spread;
  /** Ours over the peer's. */
  readonly memory: Spread;
  readonly startUp: Spread;
}

export interface PeerRounds {
  readonly settings: PeerSettings;
  /** One for each of ours; undefined where the peer failed. */
  readonly rounds: readonly (Round | undefined)[];
}

/** What a table calls a workload. */
export const titleOf = ({ workload, checkpointing }: MeasuredWorkload) =>
  checkpointing ? `${workload}, checkpointing` : workload;

/** The figures of a workload's rounds, ours beside the peer's where it ran. */
export function summarize(
  workload: WorkloadName,
  ours: readonly Measurement[],
  theirs?: PeerRounds,
): WorkloadResult {
  const step = spread(ours.map(secondsPerStep));
  const [first] = ours;
  const tokens = mean(first?.tokens ?? []);
  const needed = mean(first?.neededFlops ?? []);
  const peak = Math.max(...ours.map((round) => round.gemmPeak));
  const kernels = ours.at(-1)?.kernels;
  return {
    workload,
    checkpointing: first?.checkpointing ?? false,
    secondsPerStep: step,
    tokensPerSecond: tokens / step.median,
    startUpSeconds: spread(ours.map((round) => round.startUpSeconds)),
    peakRssMib: spread(ours.map((round) => round.peakRssMib)),
    otherLoad: Math.max(...ours.map((round) => round.otherLoad)),
    gemmBound: needed / peak / step.median,
    gemmPeakGflops: peak / 1e9,
    neededGflop: needed / 1e9,
    ...(kernels ? { kernels } : {}),
    ...(theirs && theirs.rounds.length > 0 ? { peer: compared(ours, theirs) } : {}),
  };
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

// --- internal ---

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

const secondsPerStep = ({ stepSeconds }: Measurement) => mean(stepSeconds);

function compared(ours: readonly Measurement[], { settings, rounds }: PeerRounds): PeerResult {
  const pairs = rounds.flatMap((peer, i) => (peer ? [{ peer, own: ours[i]! }] : []));
  const of = (figure: (pair: { peer: Round; own: Measurement }) => number) =>
    spread(pairs.map(figure));
  return {
    settings,
    failed: rounds.length - pairs.length,
    versions: pairs[0]?.peer.versions ?? {},
    secondsPerStep: of(({ peer }) => peer.secondsPerStep),
    startUpSeconds: of(({ peer }) => peer.startUpSeconds),
    peakRssMib: of(({ peer }) => peer.peakRssMib),
    otherLoad: Math.max(...pairs.map(({ peer }) => peer.otherLoad)),
    speedUp: of(({ peer, own }) => peer.secondsPerStep / secondsPerStep(own)),
    memory: of(({ peer, own }) => own.peakRssMib / peer.peakRssMib),
    startUp: of(({ peer, own }) => own.startUpSeconds / peer.startUpSeconds),
  };
}
