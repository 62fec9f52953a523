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

/* Rows of a sequence's queries and keys; -1 past the end. */
DEVICE i32 query_row(const Block &b, i32 i) { return i < b.n ? b.start + i : -1; }
DEVICE i32 key_row(const Block &b, i32 j) { return j < b.m ? b.key_start + j : -1; }

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

/* Sets the scores of this warp's rows of the block's tile with the tile that begins at `first`. */
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
  SoftmaxRows<D> rows = softmax_rows<D>();
  i32 first = tile_start(all.from);
  const auto row_of_q = [&](i32 r) { return query_row(b, b.first + r); };
  const auto row_of_k = [&](i32 r) { return key_row(b, first + r); };
  if (first < all.to) {
    copy_tile<D, TILE_ROWS, 1>(queries, from_q, row_of_q);
    copy_tile<D, TILE_ROWS, 1>(keys, from_k, row_of_k);
    commit_copies();
    copy_tile<D, TILE_ROWS, 1>(values, from_v, row_of_k);
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
    if (first < all.to) copy_tile<D, TILE_ROWS, 1>(keys, from_k, row_of_k);
    commit_copies();
    add_tile(rows, scores);
    drop(scores, kept_pairs(false, dropout, dropout_row, tile + own_pair(me)));
    wait_copies<1>();
    __syncthreads(); /* the values have landed */
    add_weighted_tile<D>(rows.out, scores, values);
    __syncthreads(); /* the values have been read */
    if (first < all.to) copy_tile<D, TILE_ROWS, 1>(values, from_v, row_of_k);
    commit_copies();
  }
  f32 factor[2];
  finish_softmax(factor, rows, dropout.scale, [&](i32 half) -> f32 * {
    return log_sums && row + 8 * half < b.n ? log_sums + dropout_row + 8 * half : nullptr;
  });
  store_rows<D>(head_rows(out, (i64)s.heads * s.dim, head * s.dim, s.dim), rows.out, factor,
                queries, [&](i32 r) { return row_of_q(first_of_warp(me) + r); });
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

/* The steps of a block of backward: its own tile, of queries or of `keys`, meets the tiles of the
 * others, for one head after another of those that share its key head. */
struct Steps {
  Block b;
  bool keys;
  i32 key_head, first_head;
  i32 start, tiles; /* of the others, for each head */
  i32 count;        /* -1: the block has no tile */
};

DEVICE Steps steps_of(const MultiHead &s, bool keys) {
  const Block b = block_of(s, TILE_ROWS);
  const i32 y = (i32)blockIdx.y, group = s.heads / s.key_heads;
  if (b.first >= (keys ? b.m : b.n) || (keys && y >= s.key_heads)) return {b, keys, 0, 0, 0, 0, -1};
  const Range all = keys ? queries_of_block(s, b, TILE_ROWS) : keys_of_block(s, b, TILE_ROWS);
  const i32 start = tile_start(all.from),
            tiles = all.from < all.to ? (all.to - start + TILE_ROWS - 1) / TILE_ROWS : 0;
  return {b, keys, keys ? y : y / group, keys ? y * group : y, start, tiles,
          keys ? group * tiles : tiles};
}

DEVICE i32 first_of_step(const Steps &x, i32 step) { return x.start + step % x.tiles * TILE_ROWS; }
DEVICE i32 head_of_step(const Steps &x, i32 step) { return x.first_head + step / x.tiles; }

/* Tiles in shared memory. `a`: of q or k, `b`: of dout or v. */
struct BackwardSpace {
  bf16 *own_a, *own_b;
  bf16 *others;    /* a and b of one step, and of the next */
  QuerySums *sums; /* of both, where the others are queries */
};

template <i32 D> DEVICE BackwardSpace backward_space(bf16 *memory) {
  enum { TILE = TILE_ROWS * D };
  return {memory, memory + TILE, memory + 2 * TILE,
          reinterpret_cast<QuerySums *>(memory + 6 * TILE)};
}

/* Starts to copy tiles of queries of a head, or of keys. */
template <i32 D>
DEVICE void copy_queries(bf16 *a, const Backward &t, const MultiHead &s, const Block &b, i32 head,
                         i32 first) {
  const auto row_of = [&](i32 r) { return query_row(b, first + r); };
  const i32 column = head * s.dim;
  copy_tile<D, TILE_ROWS, 1>(a, head_rows(t.q, s.query_stride, column, s.dim), row_of);
  copy_tile<D, TILE_ROWS, 1>(a + TILE_ROWS * D,
                          head_rows(t.dout, (i64)s.heads * s.dim, column, s.dim), row_of);
}
template <i32 D>
DEVICE void copy_keys(bf16 *a, const Backward &t, const MultiHead &s, const Block &b, i32 head,
                      i32 first) {
  const auto row_of = [&](i32 r) { return key_row(b, first + r); };
  copy_tile<D, TILE_ROWS, 1>(a, head_rows(t.k, s.key_stride, head * s.dim, s.dim), row_of);
  copy_tile<D, TILE_ROWS, 1>(a + TILE_ROWS * D, head_rows(t.v, s.key_stride, head * s.dim, s.dim),
                          row_of);
}

/* Starts to copy a step's tiles of the others; sets the sums of its queries. */
template <i32 D, bool KEYS>
DEVICE void prepare_step(const BackwardSpace &space, const Backward &t, const MultiHead &s,
                         const Steps &x, i32 step) {
  const i32 first = first_of_step(x, step), head = head_of_step(x, step);
  bf16 *a = space.others + step % 2 * 2 * TILE_ROWS * D;
  if (KEYS)
    copy_queries<D>(a, t, s, x.b, head, first);
  else
    copy_keys<D>(a, t, s, x.b, x.key_head, first);
  if (!KEYS && step > 0) return; /* the own tile's queries are the same */
  const i64 width = (i64)s.heads * s.dim;
  const i32 column = head * s.dim, first_query = KEYS ? first : x.b.first;
  set_query_sums<D>(space.sums[step % 2], head_rows(t.dout, width, column, s.dim),
                    head_rows(t.out, width, column, s.dim), nullptr,
                    t.log_sums + (i64)head * s.queries,
                    [&](i32 r) { return query_row(x.b, first_query + r); });
}

/* Adds a step's products to the gradients. */
template <i32 D, Role ROLE>
DEVICE void add_step(Sums<D / 8> &a_sum, Sums<D / 8> &b_sum, const BackwardSpace &space,
                     const MultiHead &s, const Dropout &dropout, const Steps &x, i32 step) {
  constexpr bool KEYS = ROLE != OF_QUERIES;
  const Place me = own_place();
  const i32 first = first_of_step(x, step),
            row = x.b.first + first_of_warp(me) + row_of_half(me, 0),
            column = first + own_pair(me),
            query = head_of_step(x, step) * s.queries + x.b.start + (KEYS ? column : row);
  const bf16 *other_a = space.others + step % 2 * 2 * TILE_ROWS * D,
             *other_b = other_a + TILE_ROWS * D;
  const QuerySums &sums = space.sums[KEYS ? step % 2 : 0];
  Scores scores, gradients = {};
  set_scores<D, KEYS>(scores, s, x.b, space.own_a, other_a, first);
  set_probabilities(KEYS, scores, sums);
  if (ROLE != OF_VALUES)
    add_inner_products<D>(gradients, space.own_b, first_of_warp(me), other_b, 0);
  /* Only now: 32 factors would be in registers during the product. */
  const ScoreBits kept = kept_pairs(KEYS, dropout, query, KEYS ? row : column);
  set_score_gradients(KEYS, scores, gradients, sums, kept, dropout.scale);
  if (ROLE == OF_KEYS_AND_VALUES || ROLE == OF_VALUES)
    add_weighted_tile<D>(b_sum, gradients, other_b);
  if (ROLE != OF_VALUES) add_weighted_tile<D>(a_sum, scores, other_a);
}

/* Sets the rows of a tile: of dq, or of dk, dv or both. While a step is computed, the next step's
 * tiles are copied. */
template <i32 D, Role ROLE>
DEVICE void attend_backward(const Backward &t, const MultiHead &s, const Dropout &dropout) {
  constexpr bool KEYS = ROLE != OF_QUERIES;
  DYNAMIC_SHARED(bf16, memory);
  const BackwardSpace space = backward_space<D>(memory);
  const Steps x = steps_of(s, KEYS);
  if (x.count < 0) return;
  if (x.count > 0) {
    if (KEYS)
      copy_keys<D>(space.own_a, t, s, x.b, x.key_head, x.b.first);
    else
      copy_queries<D>(space.own_a, t, s, x.b, x.first_head, x.b.first);
  }
  Sums<D / 8> a_sum = {}, b_sum = {};
  for (i32 step = -1; step < x.count; step++) {
    if (step + 1 < x.count) prepare_step<D, KEYS>(space, t, s, x, step + 1);
    commit_copies(); /* at the end an empty group: the last but one is always this step's */
    if (step < 0) continue;
    wait_copies<1>();
    __syncthreads(); /* the tiles have landed */
    add_step<D, ROLE>(a_sum, b_sum, space, s, dropout, x, step);
    __syncthreads(); /* the tiles have been read */
  }
  const Place me = own_place();
  const auto row_of = [&](i32 r) {
    const i32 own = x.b.first + first_of_warp(me) + r;
    return KEYS ? key_row(x.b, own) : query_row(x.b, own);
  };
  const f32 scaled[2] = {s.inverse_scale, s.inverse_scale},
            kept[2] = {dropout.scale, dropout.scale};
  const i32 stride = KEYS ? s.key_stride : s.query_stride,
            column = (KEYS ? x.key_head : x.first_head) * s.dim;
  bf16 *a = KEYS ? t.dk : t.dq;
  if (ROLE != OF_VALUES)
    store_rows<D>(head_rows(a, stride, column, s.dim), a_sum, scaled, space.own_a, row_of);
  if (ROLE == OF_KEYS_AND_VALUES || ROLE == OF_VALUES)
    store_rows<D>(head_rows(t.dv, stride, column, s.dim), b_sum, kept, space.own_b, row_of);
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
