import type { Dropout } from "./elementwise.ts";
import type { Buffer, DType } from "./memory.ts";

/** Sequences packed end to end: sequence b owns rows offsets[b] .. offsets[b+1]. */
export interface Sequences {
  readonly sequences: number;
  readonly tokens: number;
  /** i32 [sequences + 1], on the device and on the host, which made it. */
  readonly offsets: Buffer;
  readonly hostOffsets: Int32Array;
}

/** Rows of the longest sequence. */
export function longestSequence({ sequences, hostOffsets }: Sequences): number {
  let longest = 0;
  for (let b = 0; b < sequences; b++)
    longest = Math.max(longest, hostOffsets[b + 1]! - hostOffsets[b]!);
  return longest;
}

/** Packed sequences whose tokens have positions. */
export interface Packing extends Sequences {
  /** i32 [tokens]: position of each token in its sequence before padding was dropped. */
  readonly positions: Buffer;
  /** Largest difference of two positions within a sequence, plus one. */
  readonly span: number;
}

/** Operands of attention, or their gradients. */
export interface AttentionInputs {
  readonly q: Buffer;
  readonly k: Buffer;
  readonly v: Buffer;
}

/** Operands of disentangled attention, or their gradients. */
export interface DisentangledInputs extends AttentionInputs {
  readonly posKey: Buffer | undefined;
  readonly posQuery: Buffer | undefined;
}

/**
 * Disentangled attention (DeBERTa, He et al. 2021) over packed rows. For query i and key j of one
 * sequence, per head:
 *   S[i,j] = (q_i.k_j + q_i.posKey[t] + k_j.posQuery[t]) / scale
 *   with t = relative[pos_i - pos_j + span - 1]
 *   out_i = sum_j dropout(softmax_j(S))[i,j] v_j
 * q, k, v, out: [tokens, heads * headDim]; posKey (c2p), posQuery (p2c):
 * [relativeRows, heads * headDim], either may be absent.
 * Dropout's row is head * tokens + the query's token, its column the key's index in its sequence.
 */
export interface DisentangledShape {
  readonly packing: Packing;
  /**
   * "first": the queries are each sequence's first token only; q and out are then
   * [sequences, heads * headDim].
   */
  readonly queries: "all" | "first";
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
  /**
   * i32 [2 * span - 1]: row of posKey and posQuery for each difference of positions, from
   * -(span - 1) to span - 1.
   */
  readonly relative: Buffer | undefined;
  readonly relativeRows: number;
  readonly dropout: Dropout | undefined;
}

/**
 * Counts the probabilities of disentangled attention: n * n per sequence of n tokens and head, or n
 * when the queries are first tokens only.
 */
export function probabilityCount({ packing, queries, heads }: DisentangledShape): number {
  const { sequences, hostOffsets } = packing;
  let sum = 0;
  for (let b = 0; b < sequences; b++) {
    const n = hostOffsets[b + 1]! - hostOffsets[b]!;
    sum += queries === "first" ? n : n * n;
  }
  return heads * sum;
}

/** What disentangled attention saves for its backward pass: the backend's choice. */
export interface DisentangledSaved {
  /** Of one buffer, whose contents only the backend knows. */
  readonly dtype: DType;
  readonly length: number;
  /** Whether backward also reads `out`, which otherwise may be freed before. */
  readonly readsOut: boolean;
}

/** The choice of a backend that saves all probabilities, in `dtype`. */
export function saveProbabilities(dtype: DType): AttentionKernels["disentangledSaved"] {
  return (shape) => ({ dtype, length: probabilityCount(shape), readsOut: false });
}

/**
 * Multi-head attention (Vaswani et al. 2017) of packed queries to packed keys: the queries of
 * sequence b attend to the keys of sequence b. For query i of n and key j of m, per head:
 *   S[i,j] = q_i.k_j / scale,   out_i = sum_j dropout(softmax_j(S))[i,j] v_j
 * `causal`: query i attends to the keys j <= i + m - n, so the last query attends to all. A query
 * without keys gets zeros.
 * q, out: [queries.tokens, heads * headDim]; k, v: [keys.tokens, keyHeads * headDim].
 * Dropout's row is head * queries.tokens + the query's row, its column the key's index in its
 * sequence.
 */
export interface AttentionShape {
  readonly queries: Sequences;
  readonly keys: Sequences;
  readonly heads: number;
  /**
   * Heads of k and v, a divisor of `heads`, which is the default: query head h reads key head
   * floor(h * keyHeads / heads) (grouped queries, Ainslie et al. 2023).
   */
  readonly keyHeads?: number | undefined;
  readonly headDim: number;
  readonly scale: number;
  readonly causal: boolean;
  /**
   * Query i attends to key j only where |i - j| <= window; each sequence then has as many keys as
   * queries. Default: to all. Time is linear in the window's width, not in the sequence's length.
   */
  readonly window?: number | undefined;
  /**
   * Elements from one row to the next of q, k, v and their gradients, where they are columns of one
   * matrix. Default: their own widths.
   */
  readonly rowStride?: number | undefined;
  readonly dropout: Dropout | undefined;
}

/**
 * Attention in which each query selects its `count` keys: query r attends to the rows
 * index[r * count ..] of k and v. Per head:
 *   S[r,j] = q_r.k_row(r,j) / scale,   out_r = sum_j softmax_j(S)[r,j] v_row(r,j)
 * q, out: [rows, heads * headDim]; k, v: [any, heads * headDim]. For decoding: the keys and values
 * of earlier tokens stay in the rows where they were first stored.
 */
export interface ChosenRowsShape {
  readonly rows: number;
  /** At least 1. */
  readonly count: number;
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
}

/** Attention of all three kinds. */
export interface AttentionKernels {
  /**
   * States what a call of `disentangledAttention` saves. Computes nothing: memory models ask it
   * too. Reads only the host's part of `shape`.
   */
  disentangledSaved(shape: DisentangledShape): DisentangledSaved;
  /**
   * Sets out; sets saved, where given, to what backward needs beside its inputs: a buffer of the
   * dtype and length that `disentangledSaved` states.
   */
  disentangledAttention(
    inputs: DisentangledInputs,
    results: { out: Buffer; saved: Buffer | undefined },
    shape: DisentangledShape,
  ): void;
  /**
   * Sets all rows of every gradient that is given. `saved` comes from the same backend's forward
   * pass; so does `out`, undefined unless `disentangledSaved` says that it is read.
   */
  disentangledAttentionBackward(
    dout: Buffer,
    inputs: DisentangledInputs,
    forward: { saved: Buffer; out: Buffer | undefined },
    grads: DisentangledInputs,
    shape: DisentangledShape,
  ): void;
  /**
   * Sets out; sets logSumExp [heads, queries.tokens], where given, to that of S's rows, in the
   * master dtype; -Infinity for a query without keys.
   */
  attention(
    inputs: AttentionInputs,
    results: { out: Buffer; logSumExp: Buffer | undefined },
    shape: AttentionShape,
  ): void;
  /**
   * Sets the three gradients. `out` and `logSumExp` come from the forward pass; the probabilities
   * are recomputed.
   */
  attentionBackward(
    dout: Buffer,
    inputs: AttentionInputs & { out: Buffer; logSumExp: Buffer },
    grads: AttentionInputs,
    shape: AttentionShape,
  ): void;
  /** Sets out. index: i32 [rows, count]. */
  attendChosenRows(
    inputs: AttentionInputs & { index: Buffer },
    out: Buffer,
    shape: ChosenRowsShape,
  ): void;
}
