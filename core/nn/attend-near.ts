import type { ForwardPass } from "../forward-pass.ts";
import type { AttentionShape, Sequences } from "../kernels/attention.ts";
import { attention } from "../ops/attention.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { Tensor } from "../tensor.ts";

/** A query that is no token of the batch, or one of few: its sequence and position. */
export interface NearQuery {
  readonly sequence: number;
  readonly position: number;
}

/** The tokens that queries choose their keys from. */
export interface NearTokens {
  readonly packing: Sequences;
  /** [N]: the position of each token. */
  readonly positions: Int32Array;
  /** Largest distance of a key's position from its query's. */
  readonly window: number;
}

/**
 * Attention of few queries to the tokens within a window around their positions, by copies of the
 * keys and values of each; a query without any gets zeros. q, result: [Q, C], a row per query; k,
 * v: [N, C].
 */
export function attendNear(
  pass: ForwardPass,
  { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  queries: readonly NearQuery[],
  tokens: NearTokens,
  heads: Omit<AttentionShape, "queries" | "keys" | "window" | "rowStride">,
): Tensor {
  const rows: number[] = [];
  const offsets = Int32Array.from({ length: queries.length + 1 }, (_, r) => {
    if (r > 0) rows.push(...near(queries[r - 1]!, tokens));
    return rows.length;
  });
  const ids = pass.integers(rows);
  const own = Int32Array.from(offsets, (_, r) => r);
  const shape = { ...heads, queries: packed(pass, own), keys: packed(pass, offsets) };
  const copies = {
    k: gatherRows(pass, { table: k }, { ids }),
    v: gatherRows(pass, { table: v }, { ids }),
  };
  return attention(pass, { q, ...copies }, { shape });
}

// --- internal ---

function packed(pass: ForwardPass, hostOffsets: Int32Array): Sequences {
  const sequences = hostOffsets.length - 1;
  const offsets = pass.integers(hostOffsets);
  return { sequences, tokens: hostOffsets[sequences] ?? 0, offsets, hostOffsets };
}

/** The rows of the tokens that a query attends to. */
function near(
  { sequence, position }: NearQuery,
  { packing: { hostOffsets }, positions, window }: NearTokens,
): number[] {
  const [from, to] = [hostOffsets[sequence] ?? 0, hostOffsets[sequence + 1] ?? 0];
  const rows: number[] = [];
  for (let row = from; row < to; row++)
    if (Math.abs(positions[row]! - position) <= window) rows.push(row);
  return rows;
}
