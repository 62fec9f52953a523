/* A pair of tiles of disentangled attention: its operands, scores and pairs. */
#pragma once

#include "flash-positions.h"

/* Where the tiles of a block lie in shared memory. */
struct Space {
  bf16 *own_a, *other_a, *own_b, *other_b; /* [64, 64]: q and k, dout (in backward) and v */
  bf16 *own_table, *other_table;           /* [WINDOW, 64] */
  f32 *products;                           /* [64, PITCH] */
  QuerySums *sums;                         /* in backward */
};

/* As sharedBytes of backend/flash-disentangled.ts counts it. */
DEVICE Space space_at(bf16 *memory, bool backward) {
  enum { TILE = TILE_ROWS * HEAD, TABLE = WINDOW * HEAD };
  bf16 *own_b = memory + 2 * TILE, *other_b = backward ? own_b + TILE : own_b,
       *tables = other_b + TILE;
  f32 *products = reinterpret_cast<f32 *>(tables + 2 * TABLE);
  return {memory,
          memory + TILE,
          own_b,
          other_b,
          tables,
          tables + TABLE,
          products,
          reinterpret_cast<QuerySums *>(products + TILE_ROWS * PITCH)};
}

/* Operands and results. */
struct Tensors {
  bf16 *out, *dq, *dk, *dv;
  f32 *log_sums; /* [heads, query rows]; see exact_out */
  i32 query_rows;
  const bf16 *dout, *q, *k, *v, *pos_key, *pos_query;
};

/*
 * One query a sequence: its output, unrounded, follows the log-sum-exps, as it needs next to no
 * memory. A table's row then sums the gradients of few pairs, which may all be differences that
 * cancel; rounding out would be all that is left. NULL where every token is a query.
 */
DEVICE f32 *exact_out(const Tensors &t, const Disentangled &s) {
  if (!t.log_sums || !s.first_only) return nullptr;
  return t.log_sums + (i64)s.heads * t.query_rows + (i64)blockIdx.y * s.dim;
}

/* Columns of a matrix that belong to this block's head. */
template <class T> DEVICE HeadRows<T> of_head(T *matrix, const Disentangled &s) {
  return head_rows(matrix, (i64)s.heads * s.dim, (i32)blockIdx.y * s.dim, s.dim);
}

/* A pair of tiles of a sequence, by their first positions, which count from the sequence's first.
 * `of_keys`: rows of the own tile are keys, those of the other queries; else the opposite. */
struct TilePair {
  i32 own, other;
  bool of_keys;
};

/* The pairs of two tiles that have tokens. */
DEVICE ScoreBits present_pairs(const Disentangled &s, const Placed &p, const TilePair &tiles) {
  const bool of_keys = tiles.of_keys;
  const Place me = own_place();
  const i32 row_end = of_keys ? p.keys : p.queries, column_end = of_keys ? p.queries : p.keys;
  if (p.whole && tiles.own + TILE_ROWS <= row_end && tiles.other + TILE_ROWS <= column_end)
    return 0xffffffffu;
  const i32 row = tiles.own + first_of_warp(me) + row_of_half(me, 0),
            column = tiles.other + own_pair(me);
  ScoreBits present = 0;
#pragma unroll 1
  for (i32 at = 0; at < 4 * COLUMN_TILES; at++) {
    const i32 r = row + at % 4 / 2 * 8, c = column + at / 4 * 8 + at % 2;
    const bool exists = r < row_end && c < column_end;
    if (exists && (p.whole || (query_index(s, p, of_keys ? c : r) >= 0 &&
                               key_index(s, p, of_keys ? r : c) >= 0)))
      present |= 1u << at;
  }
  return present;
}

/* The pairs of two tiles that dropout keeps; it counts tokens, not positions. */
DEVICE ScoreBits kept_tokens(const Disentangled &s, const Placed &p, const TilePair &tiles,
                             const Dropout &dropout) {
  const bool of_keys = tiles.of_keys;
  const Place me = own_place();
  const i32 row = tiles.own + first_of_warp(me) + row_of_half(me, 0),
            column = tiles.other + own_pair(me),
            dropout_row = (i32)blockIdx.y * s.tokens + p.sequence.start;
  if (p.whole)
    return kept_pairs(of_keys, dropout, dropout_row + (of_keys ? column : row),
                      of_keys ? row : column);
  ScoreBits kept = 0;
#pragma unroll 1
  for (i32 at = 0; at < 4 * COLUMN_TILES; at++) {
    const i32 r = row + at % 4 / 2 * 8, c = column + at / 4 * 8 + at % 2,
              i = query_index(s, p, of_keys ? c : r), j = key_index(s, p, of_keys ? r : c);
    if (dropout_factor(dropout, dropout_row + i, j) != 0.0f) kept |= 1u << at;
  }
  return kept;
}

/* Sets the scores of this warp's rows of the own tile and of the other, -Infinity where a pair
 * lacks a token. All warps of the block take part. */
DEVICE void set_scores(Scores &scores, const Space &space, const Tensors &t, const Disentangled &s,
                       const Placed &p, const TilePair &tiles) {
  const bool of_keys = tiles.of_keys;
  const Place me = own_place();
  scores = {};
  add_inner_products<HEAD>(scores, space.own_a, first_of_warp(me), space.other_a, 0);
  if (of_keys ? t.pos_key : t.pos_query)
    add_other_positions(scores, space.products, space.other_a, space.other_table);
  if (of_keys ? t.pos_query : t.pos_key)
    add_own_positions(scores, space.products, space.own_a, space.own_table);
  mask_scores(scores, present_pairs(s, p, tiles), s.inverse_scale * LOG2_E);
}

/* Starts to copy both tables' windows. */
DEVICE void copy_windows(const Space &space, const Tensors &t, const Disentangled &s,
                         const TilePair &tiles) {
  const bool of_keys = tiles.of_keys;
  const i32 apart = tiles.own - tiles.other;
  const bf16 *own = of_keys ? t.pos_query : t.pos_key, *other = of_keys ? t.pos_key : t.pos_query;
  if (own) copy_window(of_keys, space.own_table, s, of_head(own, s), apart);
  if (other) copy_window(of_keys, space.other_table, s, of_head(other, s), apart);
}
