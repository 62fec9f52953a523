/*
 * Multi-head attention in bf16 on tensor cores, after FlashAttention-2 (Dao 2023): scores exist a
 * tile at a time, in registers. Backward recomputes probabilities from the log-sum-exp.
 *
 * Tiles without a visible pair are skipped; only tiles at the edge of what is visible are masked.
 * A block's grid index names a sequence and a tile of it, so that padding is never computed.
 */
#pragma once

#include "flash-backward.h"
#include "multi-head.h"

/* Loops over tiles begin at a multiple of 64, as dropout draws four columns at a time. */
DEVICE i32 tile_start(i32 row) { return row / TILE_ROWS * TILE_ROWS; }

/* The pairs of a tile that are visible. `row` and `column` are those of this lane's first pair;
 * KEYS: rows are keys, columns queries. */
template <bool KEYS>
DEVICE ScoreBits visible_pairs(const MultiHead &s, const Block &b, i32 row, i32 column) {
  ScoreBits visible = 0;
#pragma unroll 1
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 e = 0; e < 4; e++) {
      const i32 r = row + e / 2 * 8, c = column + 8 * n + e % 2, i = KEYS ? c : r,
                j = KEYS ? r : c;
      if (i < b.n && j < b.m && contains(visible_keys(s, b, i), j)) visible |= 1u << (4 * n + e);
    }
  return visible;
}

/* Whether every pair of a tile of queries and one of keys is visible. */
DEVICE bool all_visible(const MultiHead &s, const Block &b, i32 query, i32 key) {
  const i32 last_query = query + TILE_ROWS - 1, last_key = key + TILE_ROWS - 1;
  return last_query < b.n && last_key < b.m && visible_keys(s, b, query).to > last_key &&
         visible_keys(s, b, last_query).from <= key;
}

/* Sets the scores of this warp's rows of the block's tile and of the tile that begins at `first`. */
template <i32 D, bool KEYS>
DEVICE void set_scores(Scores &scores, const MultiHead &s, const Block &b, const bf16 *own,
                       const bf16 *other, i32 first) {
  const Place me = own_place();
  scores = {};
  add_inner_products<D>(scores, own, first_of_warp(me), other, 0);
  const i32 row = b.first + first_of_warp(me) + row_of_half(me, 0),
            column = first + own_pair(me);
  ScoreBits visible = 0xffffffffu;
  if (!all_visible(s, b, KEYS ? first : b.first, KEYS ? b.first : first))
    visible = visible_pairs<KEYS>(s, b, row, column);
  mask_scores(scores, visible, s.inverse_scale * LOG2_E);
}

/* Sets out and, unless NULL, log_sums of a tile of queries. While a warp treats a tile's keys, its
 * values are still being copied, and while it sums values, the next tile's keys are. */
template <i32 D>
DEVICE void attend(bf16 *out, f32 *log_sums, const bf16 *q, const bf16 *k, const bf16 *v,
                   const MultiHead &s, const Dropout &dropout) {
  DYNAMIC_SHARED(bf16, queries);
  bf16 *keys = queries + TILE_ROWS * D, *values = keys + TILE_ROWS * D;
  const Block b = block_of(s, TILE_ROWS);
  if (b.first >= b.n) return;
  const i32 head = (i32)blockIdx.y, key_column = head / (s.heads / s.key_heads) * s.dim;
  const Range all = keys_of_block(s, b, TILE_ROWS);
  const auto from_q = head_rows(q, s.query_stride, head * s.dim, s.dim),
             from_k = head_rows(k, s.key_stride, key_column, s.dim),
             from_v = head_rows(v, s.key_stride, key_column, s.dim);
  const auto query_row = [&](i32 r) { return b.first + r < b.n ? b.start + b.first + r : -1; };
  SoftmaxRows<D> rows = softmax_rows<D>();
  i32 first = tile_start(all.from);
  const auto key_row = [&](i32 r) { return first + r < b.m ? b.key_start + first + r : -1; };
  if (first < all.to) {
    copy_tile<D, TILE_ROWS>(queries, from_q, query_row);
    copy_tile<D, TILE_ROWS>(keys, from_k, key_row);
    commit_copies();
    copy_tile<D, TILE_ROWS>(values, from_v, key_row);
    commit_copies();
  }
  const Place me = own_place();
  const i32 row = b.first + first_of_warp(me) + row_of_half(me, 0),
            dropout_row = head * s.queries + b.start + row;
  while (first < all.to) {
    const i32 tile = first;
    wait_copies<1>();
    __syncthreads(); /* the keys have landed */
    Scores scores;
    set_scores<D, false>(scores, s, b, queries, keys, tile);
    __syncthreads(); /* the keys have been read */
    first += TILE_ROWS;
    if (first < all.to) copy_tile<D, TILE_ROWS>(keys, from_k, key_row);
    commit_copies();
    add_tile(rows, scores);
    drop(scores, kept_pairs(false, dropout, dropout_row, tile + own_pair(me)));
    wait_copies<1>();
    __syncthreads(); /* the values have landed */
    add_weighted_tile<D>(rows.out, scores, values);
    __syncthreads(); /* the values have been read */
    if (first < all.to) copy_tile<D, TILE_ROWS>(values, from_v, key_row);
    commit_copies();
  }
  f32 factor[2];
#pragma unroll
  for (i32 half = 0; half < 2; half++) {
    const f32 total = row_sum(rows.total[half]);
    factor[half] = total == 0.0f ? 0.0f : dropout.scale / total;
    if (log_sums && row + 8 * half < b.n && me.lane % 4 == 0)
      log_sums[dropout_row + 8 * half] = rows.top[half] * LN_2 + logf(total);
  }
  store_rows<D>(head_rows(out, (i64)s.heads * s.dim, head * s.dim, s.dim), rows.out, factor,
                queries, [&](i32 r) { return query_row(first_of_warp(me) + r); });
}

/* Operands and gradients of backward. */
struct Backward {
  bf16 *dq, *dk, *dv;
  const bf16 *dout, *out;
  const f32 *log_sums;
  const bf16 *q, *k, *v;
};

/* Gradients that a block of backward sets. Wide heads' dk and dv would not fit into the registers
 * together: other blocks compute the same probabilities again. */
enum Role { OF_QUERIES, OF_KEYS_AND_VALUES, OF_KEYS, OF_VALUES };

/* Backward of a tile of rows against the tiles of the others: of queries against keys, for dq, or
 * of keys against queries, for dk and dv. `a`: q and k; `b`: dout and v. */
template <i32 D, Role ROLE>
DEVICE void attend_backward(const Backward &t, const MultiHead &s, const Dropout &dropout) {
  constexpr bool KEYS = ROLE != OF_QUERIES, SETS_A = ROLE != OF_VALUES,
                 SETS_B = ROLE == OF_KEYS_AND_VALUES || ROLE == OF_VALUES;
  DYNAMIC_SHARED(bf16, own_a);
  enum { TILE = TILE_ROWS * D };
  bf16 *own_b = own_a + TILE, *others = own_b + TILE; /* a and b, twice */
  QuerySums *sums = reinterpret_cast<QuerySums *>(others + 4 * TILE);
  const Block b = block_of(s, TILE_ROWS);
  const i32 group = s.heads / s.key_heads, key_head = KEYS ? (i32)blockIdx.y : (i32)blockIdx.y / group,
            first_head = KEYS ? key_head * group : (i32)blockIdx.y, heads = KEYS ? group : 1;
  if (b.first >= (KEYS ? b.m : b.n) || key_head >= s.key_heads) return;
  const i32 width = s.heads * s.dim;
  const auto from_k = head_rows(t.k, s.key_stride, key_head * s.dim, s.dim),
             from_v = head_rows(t.v, s.key_stride, key_head * s.dim, s.dim);
  const auto query_row = [&](i32 i) { return i < b.n ? b.start + i : -1; };
  const auto key_row = [&](i32 j) { return j < b.m ? b.key_start + j : -1; };
  const auto own_row = [&](i32 r) { return KEYS ? key_row(b.first + r) : query_row(b.first + r); };
  const Range all = KEYS ? queries_of_block(s, b, TILE_ROWS) : keys_of_block(s, b, TILE_ROWS);
  const i32 start = tile_start(all.from),
            tiles = all.from < all.to ? (all.to - start + TILE_ROWS - 1) / TILE_ROWS : 0;

  /* Starts to copy the step's tile of others; sets its queries' sums. */
  const auto prepare = [&](i32 step) {
    const i32 first = start + step % tiles * TILE_ROWS, column = (first_head + step / tiles) * s.dim;
    const auto other_row = [&](i32 r) { return KEYS ? query_row(first + r) : key_row(first + r); };
    bf16 *a = others + step % 2 * 2 * TILE;
    const auto q = head_rows(t.q, s.query_stride, column, s.dim),
               dout = head_rows(t.dout, width, column, s.dim);
    copy_tile<D, TILE_ROWS>(a, KEYS ? q : from_k, other_row);
    copy_tile<D, TILE_ROWS>(a + TILE, KEYS ? dout : from_v, other_row);
    if (!KEYS && step > 0) return;
    const auto sum_row = [&](i32 r) { return KEYS ? other_row(r) : own_row(r); };
    set_query_sums<D>(sums[step % 2], dout, head_rows(t.out, width, column, s.dim), nullptr,
                      t.log_sums + (i64)(first_head + step / tiles) * s.queries, sum_row);
  };

  Sums<D / 8> a_sum = {}, b_sum = {};
  if (tiles > 0) {
    const auto q = head_rows(t.q, s.query_stride, first_head * s.dim, s.dim),
               dout = head_rows(t.dout, width, first_head * s.dim, s.dim);
    copy_tile<D, TILE_ROWS>(own_a, KEYS ? from_k : q, own_row);
    copy_tile<D, TILE_ROWS>(own_b, KEYS ? from_v : dout, own_row);
  }
  for (i32 step = -1; step < heads * tiles; step++) {
    if (step + 1 < heads * tiles) prepare(step + 1);
    commit_copies(); /* at the end an empty group: the last but one is always this step's */
    if (step < 0) continue;
    wait_copies<1>();
    __syncthreads(); /* the tiles have landed */
    const Place me = own_place();
    const i32 first = start + step % tiles * TILE_ROWS, head = first_head + step / tiles;
    const bf16 *other_a = others + step % 2 * 2 * TILE, *other_b = other_a + TILE;
    Scores scores, gradients = {};
    set_scores<D, KEYS>(scores, s, b, own_a, other_a, first);
    set_probabilities(KEYS, scores, sums[KEYS ? step % 2 : 0]);
    const i32 row = b.first + first_of_warp(me) + row_of_half(me, 0),
              column = first + own_pair(me),
              query = head * s.queries + b.start + (KEYS ? column : row);
    if (SETS_A) add_inner_products<D>(gradients, own_b, first_of_warp(me), other_b, 0);
    /* Only now: 32 factors would be in registers during the product. */
    const ScoreBits kept = kept_pairs(KEYS, dropout, query, KEYS ? row : column);
    set_score_gradients(KEYS, scores, gradients, sums[KEYS ? step % 2 : 0], kept, dropout.scale);
    if (SETS_B) add_weighted_tile<D>(b_sum, gradients, other_b);
    if (SETS_A) add_weighted_tile<D>(a_sum, scores, other_a);
    __syncthreads(); /* the tiles have been read */
  }
  const Place me = own_place();
  const auto target_row = [&](i32 r) { return own_row(first_of_warp(me) + r); };
  const f32 scaled[2] = {s.inverse_scale, s.inverse_scale}, kept[2] = {dropout.scale, dropout.scale};
  if (!KEYS) {
    const auto dq = head_rows(t.dq, s.query_stride, first_head * s.dim, s.dim);
    store_rows<D>(dq, a_sum, scaled, own_a, target_row);
    return;
  }
  if (SETS_A)
    store_rows<D>(head_rows(t.dk, s.key_stride, key_head * s.dim, s.dim), a_sum, scaled, own_a,
                  target_row);
  if (SETS_B)
    store_rows<D>(head_rows(t.dv, s.key_stride, key_head * s.dim, s.dim), b_sum, kept, own_b,
                  target_row);
}

#define FLASH_FORWARD(D)                                                                         \
  KERNEL void __launch_bounds__(FLASH_THREADS) flash_attention_##D(                              \
      bf16 *out, f32 *log_sums, const bf16 *q, const bf16 *k, const bf16 *v,                     \
      MULTI_HEAD_PARAMETERS, DROPOUT_PARAMETERS) {                                               \
    attend<D>(out, log_sums, q, k, v, MULTI_HEAD_ARGUMENTS, DROPOUT_ARGUMENTS);                  \
  }

/* Sets the gradients of the blockIdx.z-th role. */
template <i32 D, Role FIRST, Role... OTHERS>
DEVICE void backward_of_role(i32 z, const Backward &t, const MultiHead &s, const Dropout &dropout) {
  if constexpr (sizeof...(OTHERS) > 0)
    if (z > 0) return backward_of_role<D, OTHERS...>(z - 1, t, s, dropout);
  attend_backward<D, FIRST>(t, s, dropout);
}

/* All roles in one launch, so that few sequences fill the device. */
#define FLASH_BACKWARD(D, ...)                                                                   \
  KERNEL void __launch_bounds__(FLASH_THREADS) flash_attention_backward_##D(                     \
      bf16 *dq, bf16 *dk, bf16 *dv, const bf16 *dout, const bf16 *out, const f32 *log_sums,      \
      const bf16 *q, const bf16 *k, const bf16 *v, MULTI_HEAD_PARAMETERS, DROPOUT_PARAMETERS) {  \
    const Backward tensors = {dq, dk, dv, dout, out, log_sums, q, k, v};                         \
    backward_of_role<D, __VA_ARGS__>((i32)blockIdx.z, tensors, MULTI_HEAD_ARGUMENTS,             \
                                     DROPOUT_ARGUMENTS);                                         \
  }
