import { bucketOf } from "../../models/deberta/relative-positions.ts";
import type { DebertaConfig } from "../../models/deberta/config.ts";

/**
 * Multiplications and additions that a step needs, every sequence at its own length and position terms over the buckets that it
 * can reach. Backward: dX of frozen matrices costs what forward did, attention products twice that, adapters dX and dW.
 * Layer 0's query, key and value need no dX.
 */
export function neededFlops(
  lengths: readonly number[],
  config: DebertaConfig,
  { rank, training }: { rank: number; training: boolean },
): number {
  const { hiddenSize: d, ffnSize: f, layers } = config;
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  const spans = lengths.map((n) => reachableBuckets(n, config));
  const table = Math.max(...spans);
  const linear = 2 * tokens * (4 * d * d + 2 * d * f);
  const attention = lengths.reduce((sum, n) => sum + 4 * n * n * d, 0);
  const position = lengths.reduce((sum, n, i) => sum + 4 * n * spans[i]! * d, 0);
  const project = 4 * table * d * d;
  if (!training) return layers * (linear + attention + position + project);
  const adapters = 2 * rank * ((8 * d + 2 * (d + f)) * tokens + 4 * d * table);
  const skipped = 2 * tokens * 3 * d * d;
  return layers * (2 * linear + 3 * (attention + position) + project + 3 * adapters) - skipped;
}

/** Distinct relative positions, as the model buckets them, within n tokens. */
function reachableBuckets(n: number, config: DebertaConfig): number {
  const seen = new Set(Array.from({ length: n }, (_, offset) => bucketOf(offset, config)));
  return 2 * seen.size - 1;
}
