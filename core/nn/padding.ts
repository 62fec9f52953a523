import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { appendZeroRows } from "../ops/append-zero-rows.ts";
import {
  attendingPaddingRows,
  type PaddedQueries,
  type PaddingRows,
  paddingRows,
} from "../ops/padding-rows.ts";
import type { Tensor } from "../tensor.ts";
import type { EmbeddedTokens } from "./embeddings.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** How an encoder treats padded positions, for span losses that count them. */
export interface EncoderPadding {
  /** `paddedQueries` of the head; "zero" if undefined. */
  readonly queries: PaddedQueries | undefined;
  /**
   * The padding token, of families that mask keys only. Families without it mask queries as well,
   * and the embeddings of padding.
   */
  readonly token?: PaddingToken;
}

/** A family's padding token. */
export interface PaddingToken {
  readonly id: number;
  /** Its position wherever it stands; by default padding continues the positions of the tokens. */
  readonly position?: number;
}

/** A batch with the rows of its padded positions. */
export interface PaddedBatch {
  readonly rows: PaddingRows;
  /** [N + P]: the tokens and padding tokens; undefined if padding rows are embedded as zeros. */
  readonly tokens: EmbeddedTokens | undefined;
  /** [N + P] */
  readonly positions: Int32Array;
}

/**
 * Lays out a batch's padding rows. Undefined if its loss counts no padding, or it has none; throws
 * if it does and the encoder does not declare its `rule`.
 */
export function padBatch(
  pass: ForwardPass,
  batch: TokenBatch,
  rule: EncoderPadding | undefined,
): PaddedBatch | undefined {
  const { padding } = batch;
  if (!padding) return undefined;
  invariant(
    rule,
    "a span loss counts padding: the Encoder needs `padding`, with head.paddedQueries",
  );
  const { queries = "zero", token } = rule;
  const isComputed = token !== undefined && queries === "uniform";
  const rows = isComputed
    ? attendingPaddingRows(pass, batch, padding)
    : paddingRows(pass, batch, padding, queries);
  if (!rows) return undefined;
  if (!isComputed) {
    const positions = withTail(batch.positions, new Int32Array(rows.count));
    return { rows, tokens: undefined, positions };
  }
  const own = paddedPositions(batch, padding);
  const positions = withTail(batch.positions, own);
  const given = token.position;
  const tokens = {
    ids: withTail(batch.ids, new Int32Array(rows.count).fill(token.id)),
    positions: given === undefined ? positions : withTail(batch.positions, own.fill(given)),
    ...(batch.typeIds ? { typeIds: withTail(batch.typeIds, new Int32Array(rows.count)) } : {}),
    paddingId: token.id,
  };
  return { rows, tokens, positions };
}

/** The positions that a batch's sequences leave empty in their padded widths, in ascending order. */
export function paddedPositions(
  { offsets, positions }: TokenBatch,
  padding: Int32Array,
): Int32Array {
  const out = new Int32Array(padding.reduce((sum, times) => sum + times, 0));
  let next = 0;
  padding.forEach((times, b) => {
    const own = positions.subarray(offsets[b], offsets[b + 1]);
    const isTaken = new Uint8Array(own.length + times); // positions beyond have no effect
    for (const position of own) isTaken[position] = 1;
    const end = next + times;
    for (let position = 0; next < end; position++)
      if (isTaken[position] === 0) out[next++] = position;
  });
  return out;
}

/** The embeddings of a padded batch: [N + P, C]. */
export function embedPadded(
  pass: ForwardPass,
  embeddings: { forward(pass: ForwardPass, batch: EmbeddedTokens): Tensor },
  batch: TokenBatch,
  padded: PaddedBatch | undefined,
): Tensor {
  if (!padded) return embeddings.forward(pass, batch);
  if (padded.tokens) return embeddings.forward(pass, padded.tokens);
  const x = embeddings.forward(pass, batch);
  return appendZeroRows(pass, { x }, { rows: padded.rows.count });
}

// --- internal ---

function withTail(values: Int32Array, tail: Int32Array): Int32Array {
  const out = new Int32Array(values.length + tail.length);
  out.set(values);
  out.set(tail, values.length);
  return out;
}
