import { meanOf } from "../../core/metrics/mean-and-deviation.ts";
import type { Measurement } from "./measure.ts";
import type { PeerSettings, Round } from "./peer.ts";
import type { KernelTime } from "./profile.ts";
import type { WorkloadName } from "./workloads.ts";

/** Smallest, median and largest value of several rounds. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** A workload and how it was run. */
export interface MeasuredWorkload {
  readonly workload: WorkloadName;
  /** Whether our training steps recomputed activations in backward. */
  readonly checkpointing: boolean;
}

/** The figures of a workload over all rounds. */
export interface WorkloadResult extends MeasuredWorkload {
  readonly secondsPerStep: Spread;
  readonly tokensPerSecond: number;
  readonly startUpSeconds: Spread;
  readonly peakRssMib: Spread;
  /** Memory of a device with its own; absent on others. */
  readonly deviceMib?: Spread;
  /**
   * Most processors that other processes kept busy in a round; figures of a busy machine mean
   * little.
   */
  readonly otherLoad: number;
  /** Time of the needed operations at the measured matrix-product peak, over the step's time. */
  readonly gemmBound: number;
  readonly gemmPeakGflops: number;
  readonly neededGflop: number;
  readonly kernels?: readonly KernelTime[];
  readonly peer?: PeerResult;
}

/** The peer's figures beside ours. */
export interface PeerResult {
  readonly settings: PeerSettings;
  /** Rounds in which the peer failed; the ratios leave them out. */
  readonly failed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly secondsPerStep: Spread;
  readonly startUpSeconds: Spread;
  readonly peakRssMib: Spread;
  readonly otherLoad: number;
  /** Peer's time over ours, round by round. */
  readonly speedUp: Spread;
  /** Our peak over the peer's. */
  readonly memory: Spread;
  /** Our time over the peer's. */
  readonly startUp: Spread;
}

/** The peer's rounds of a workload. */
export interface PeerRounds {
  readonly settings: PeerSettings;
  /** One per round of ours; undefined where the peer failed. */
  readonly rounds: readonly (Round | undefined)[];
}

/** A workload's name in tables. */
export const titleOf = ({ workload, checkpointing }: MeasuredWorkload) =>
  checkpointing ? `${workload}, checkpointing` : workload;

/** Summarizes a workload's rounds, beside the peer's where it ran. */
export function summarize(
  workload: WorkloadName,
  ours: readonly Measurement[],
  theirs?: PeerRounds,
): WorkloadResult {
  const step = spread(ours.map(secondsPerStep));
  const [first] = ours;
  const tokens = meanOf(first?.tokens ?? []);
  const needed = meanOf(first?.neededFlops ?? []);
  const peak = Math.max(...ours.map((round) => round.gemmPeak));
  const kernels = ours.at(-1)?.kernels;
  const deviceMib = ours.flatMap((round) => round.deviceMib ?? []);
  return {
    workload,
    checkpointing: first?.checkpointing ?? false,
    secondsPerStep: step,
    tokensPerSecond: tokens / step.median,
    startUpSeconds: spread(ours.map((round) => round.startUpSeconds)),
    peakRssMib: spread(ours.map((round) => round.peakRssMib)),
    ...(deviceMib.length > 0 && { deviceMib: spread(deviceMib) }),
    otherLoad: Math.max(...ours.map((round) => round.otherLoad)),
    gemmBound: needed / peak / step.median,
    gemmPeakGflops: peak / 1e9,
    neededGflop: needed / 1e9,
    ...(kernels ? { kernels } : {}),
    ...(theirs && theirs.rounds.length > 0 ? { peer: compared(ours, theirs) } : {}),
  };
}

/** The smallest, median and largest of at least one value. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

// --- internal ---

const secondsPerStep = ({ stepSeconds }: Measurement) => meanOf(stepSeconds);

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
