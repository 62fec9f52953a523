import { thinned } from "./buckets.ts";
import type { RunLog } from "./read-log.ts";

/** An adapted matrix, as the log's first record names it. */
export interface LoggedMatrix {
  readonly path: string;
  readonly stack: string;
  readonly layer: string;
  readonly module: string;
  /** Its rank before pruning. */
  readonly rank: number;
}

/** The ranks after one mask, and what the kept triplets are worth. Lists have one entry per matrix. */
export interface RankFrame {
  /** 0: before training. */
  readonly step: number;
  /** Sum of ranks. */
  readonly total: number;
  readonly ranks: readonly number[];
  /** Largest |E| of the kept triplets, null for a matrix at rank 0; undefined if not recorded. */
  readonly largest: readonly (number | null)[] | undefined;
  /** Mean importance of the triplets; undefined if not recorded. */
  readonly importance: readonly (number | null)[] | undefined;
}

/** How the ranks of a run moved. */
export interface RankFrames {
  readonly matrices: readonly LoggedMatrix[];
  /** In order of steps, the state before training first; at most `MOST_FRAMES`. */
  readonly frames: readonly RankFrame[];
}

/** Enough to see ranks move, and a slider whose every position can be reached. */
const MOST_FRAMES = 120;

/** The adapted matrices of a run; [] for a log of an earlier version. */
export function matricesOf({ head }: Pick<RunLog, "head">): readonly LoggedMatrix[] {
  const listed = head["matrices"];
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const [path, stack, layer, module, rank] = entry.map(String);
    const count = Number(rank);
    if (path === undefined || !Number.isSafeInteger(count) || count < 0) return [];
    return [{ path, stack: stack ?? "", layer: layer ?? "", module: module ?? "", rank: count }];
  });
}

/** Replays the masks of a log. A run that doesn't prune has the one frame before training. */
export function rankFrames(log: Pick<RunLog, "head" | "masks">): RankFrames {
  const matrices = matricesOf(log);
  const ranks = matrices.map(({ rank }) => rank);
  let end = 0;
  const ends = ranks.map((rank) => (end += rank));
  const ownerOf = (triplet: number) => ends.findIndex((one) => triplet < one);
  const none = { largest: undefined, importance: undefined };
  const frames: RankFrame[] = [{ step: 0, total: sum(ranks), ranks: [...ranks], ...none }];
  for (const { step, pruned, revived, singular, importance } of log.masks) {
    for (const triplet of pruned) add(ranks, ownerOf(triplet), -1);
    for (const triplet of revived) add(ranks, ownerOf(triplet), 1);
    frames.push({
      step,
      total: sum(ranks),
      ranks: [...ranks],
      largest: singular?.map((values) => (values.length > 0 ? Math.max(...values) : null)),
      importance: importance?.map(([mean = null]) => mean),
    });
  }
  return { matrices, frames: thinnedFrames(frames) };
}

// --- internal ---

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

function add(ranks: number[], index: number, change: number): void {
  if (index in ranks) ranks[index]! += change;
}

/** Prefers the masks with values, so that every measure can be followed. */
function thinnedFrames(frames: readonly RankFrame[]): readonly RankFrame[] {
  if (frames.length <= MOST_FRAMES) return frames;
  const last = frames.length - 1;
  const rich = frames.filter(({ largest }, i) => i === 0 || i === last || largest !== undefined);
  return thinned(rich.length > MOST_FRAMES / 4 ? rich : frames, MOST_FRAMES);
}
