/*
 * Disentangled attention in bf16 on tensor cores: scores, and the position terms that they add up,
 * exist a tile at a time. See flash-positions.h for these terms, flash-tiles.h for tiles.
 *
 * Backward is one launch of blocks of four kinds, which fill the device together: of a tile of
 * queries for dq, of a tile of keys for dk and dv, and for each table's gradient of all pairs of
 * tiles that are equally far apart. These have the same differences of positions, so that a block
 * sums the gradients of 127 window rows in registers; add_windows then adds what blocks of
 * neighbouring distances share. Each kind computes the probabilities anew: nothing of size n^2 is
 * ever in memory.
 */
#include "flash-disentangled.h"

/* Stores the output of a sequence's only query, row 0 of the tile, before it is rounded: `factor` *
 * sums, by the lanes of that row. */
DEVICE void store_exact(const Tensors &t, const Disentangled &s, i32 query,
                        const Sums<HEAD / 8> &sums, f32 factor) {
  const Place me = own_place();
  f32 *exact = exact_out(t, s);
  if (!exact || me.warp != 0 || me.lane >= 4) return;
  exact += (i64)query * s.heads * s.dim;
#pragma unroll
  for (i32 n = 0; n < HEAD / 8; n++)
#pragma unroll
    for (i32 i = 0; i < 2; i++) {
      const i32 column = 8 * n + own_pair(me) + i;
      if (column < s.dim) exact[column] = factor * sums.of[n][i];
    }
}

/* Sets out and, unless NULL, log_sums of a tile of queries. The values of a tile of keys are copied
 * while its scores are computed, and the next keys and windows while values are summed. */
DEVICE void attend(const Tensors &t, const Disentangled &s, const Dropout &dropout) {
  DYNAMIC_SHARED(bf16, memory);
  const Space space = space_at(memory, false);
  const Placed p = placed(s, (i32)blockIdx.x / s.blocks);
  TilePair tiles = {(i32)blockIdx.x % s.blocks * TILE_ROWS, 0, false};
  if (tiles.own >= p.queries) return;
  const auto own_row = [&](i32 r) { return query_row(s, p, tiles.own + r); };
  const auto other_row = [&](i32 r) { return key_row(s, p, tiles.other + r); };
  const auto copy_keys = [&] {
    if (tiles.other < p.keys) {
      copy_tile<HEAD, TILE_ROWS, 1>(space.other_a, of_head(t.k, s), other_row);
      copy_windows(space, t, s, tiles);
    }
    commit_copies();
  };
  const auto copy_values = [&] {
    if (tiles.other < p.keys)
      copy_tile<HEAD, TILE_ROWS, 1>(space.other_b, of_head(t.v, s), other_row);
    commit_copies();
  };
  if (p.keys > 0) copy_tile<HEAD, TILE_ROWS, 1>(space.own_a, of_head(t.q, s), own_row);
  copy_keys();
  copy_values();
  SoftmaxRows<HEAD> rows = softmax_rows<HEAD>();
  while (tiles.other < p.keys) {
    wait_copies<1>();
    __syncthreads(); /* keys and windows have landed */
    const TilePair now = tiles;
    Scores scores;
    set_scores(scores, space, t, s, p, now);
    __syncthreads(); /* keys and windows have been read */
    tiles.other += TILE_ROWS;
    copy_keys();
    add_tile(rows, scores);
    drop(scores, kept_tokens(s, p, now, dropout));
    wait_copies<1>();
    __syncthreads(); /* the values have landed */
    add_weighted_tile<HEAD>(rows.out, scores, space.other_b);
    __syncthreads(); /* the values have been read */
    copy_values();
  }
  const Place me = own_place();
  f32 factor[2];
  finish_softmax(factor, rows, dropout.scale, [&](i32 half) -> f32 * {
    const i32 row = own_row(first_of_warp(me) + row_of_half(me, half));
    return t.log_sums && row >= 0 ? t.log_sums + (i64)blockIdx.y * t.query_rows + row : nullptr;
  });
  store_exact(t, s, p.sequence.query_start, rows.out, factor[0]);
  store_rows<HEAD>(of_head(t.out, s), rows.out, factor, space.own_a,
                   [&](i32 r) { return own_row(first_of_warp(me) + r); });
}

/* Starts to copy a pair of tiles; sets the sums of its queries. */
DEVICE void prepare_pair(const Space &space, const Tensors &t, const Disentangled &s,
                         const Placed &p, const TilePair &tiles, bool own_too) {
  const bool of_keys = tiles.of_keys;
  const auto of_q = [&](i32 r) { return query_row(s, p, (of_keys ? tiles.other : tiles.own) + r); };
  const auto of_k = [&](i32 r) { return key_row(s, p, (of_keys ? tiles.own : tiles.other) + r); };
  if (own_too || of_keys) {
    copy_tile<HEAD, TILE_ROWS, 1>(of_keys ? space.other_a : space.own_a, of_head(t.q, s), of_q);
    copy_tile<HEAD, TILE_ROWS, 1>(of_keys ? space.other_b : space.own_b, of_head(t.dout, s), of_q);
    const HeadRows<const bf16> out = of_head((const bf16 *)t.out, s);
    set_query_sums<HEAD>(*space.sums, of_head(t.dout, s), out, exact_out(t, s),
                         t.log_sums + (i64)blockIdx.y * t.query_rows, of_q);
  }
  if (own_too || !of_keys) {
    copy_tile<HEAD, TILE_ROWS, 1>(of_keys ? space.own_a : space.other_a, of_head(t.k, s), of_k);
    copy_tile<HEAD, TILE_ROWS, 1>(of_keys ? space.own_b : space.other_b, of_head(t.v, s), of_k);
  }
}

/* Sets `scores` to a pair of tiles' gradients of scores, before their division by scale, and
 * `dropped` to its probabilities after dropout. */
DEVICE void set_gradients(Scores &scores, Scores &dropped, const Space &space, const Tensors &t,
                          const Disentangled &s, const Placed &p, const TilePair &tiles,
                          const Dropout &dropout) {
  const bool of_keys = tiles.of_keys;
  const Place me = own_place();
  set_scores(scores, space, t, s, p, tiles);
  set_probabilities(of_keys, scores, *space.sums);
  dropped = {};
  add_inner_products<HEAD>(dropped, space.own_b, first_of_warp(me), space.other_b, 0);
  /* Only now: 32 factors would be in registers during the product. */
  const ScoreBits kept = kept_tokens(s, p, tiles, dropout);
  set_score_gradients(of_keys, scores, dropped, *space.sums, kept, dropout.scale);
}

/* The kinds of work of a backward block. Inlined into one kernel they would keep shared addresses in
 * registers, spill their sums and scores, and take twice as long to compile. */
#define BLOCK_WORK static __device__ __noinline__

/* Sets the rows of dq of a tile of queries, or of dk and dv of a tile of keys (OF_KEYS): two
 * functions, since one with both would spill registers. */
template <bool OF_KEYS>
BLOCK_WORK void rows_backward(Tensors t, Disentangled s, Dropout dropout) {
  DYNAMIC_SHARED(bf16, memory);
  const Space space = space_at(memory, true);
  const Placed p = placed(s, (i32)blockIdx.x / s.blocks);
  TilePair tiles = {(i32)blockIdx.x % s.blocks * TILE_ROWS, 0, OF_KEYS};
  if (tiles.own >= (OF_KEYS ? p.keys : p.queries)) return;
  Sums<HEAD / 8> a_sum = {}, b_sum = {};
  /* Without keys a query's gradient is 0, and an empty sequence has no first token to read. */
  const i32 end = p.keys == 0 ? 0 : OF_KEYS ? p.queries : p.keys;
  for (; tiles.other < end; tiles.other += TILE_ROWS) {
    prepare_pair(space, t, s, p, tiles, tiles.other == 0);
    copy_windows(space, t, s, tiles);
    commit_copies();
    wait_copies<0>();
    __syncthreads(); /* the tiles have landed */
    Scores gradients, dropped;
    set_gradients(gradients, dropped, space, t, s, p, tiles, dropout);
    if (OF_KEYS) add_weighted_tile<HEAD>(b_sum, dropped, space.other_b);
    add_weighted_tile<HEAD>(a_sum, gradients, space.other_a);
    if (OF_KEYS ? t.pos_query : t.pos_key) {
      store_window(space.products, gradients);
      add_window_rows(a_sum, space.products, space.own_table);
    }
    __syncthreads(); /* the tiles have been read */
  }
  const f32 scaled[2] = {s.inverse_scale, s.inverse_scale},
            kept[2] = {dropout.scale, dropout.scale};
  const Place me = own_place();
  const auto row = [&](i32 r) {
    const i32 position = tiles.own + first_of_warp(me) + r;
    return OF_KEYS ? key_row(s, p, position) : query_row(s, p, position);
  };
  store_rows<HEAD>(of_head(OF_KEYS ? t.dk : t.dq, s), a_sum, scaled, space.own_a, row);
  if (OF_KEYS) store_rows<HEAD>(of_head(t.dv, s), b_sum, kept, space.own_b, row);
}

/* The gradients of window rows before they are added up: [groups, distances, heads, WINDOW, HEAD]
 * a table, of groups of sequences. */
struct Windows {
  f32 *key, *query; /* NULL: not required */
  i32 groups, sequences;
};

DEVICE i64 window_at(const Windows &w, i32 distances, i32 heads, i32 group, i32 distance,
                     i32 head) {
  return (((i64)group * distances + distance) * heads + head) * WINDOW * HEAD;
}

/* Sets a block's windows: of a table, the sequences of a group and the tiles of one distance. A
 * warp has blocks of 16 window rows `warp` and `warp` + 4, which together meet as many pairs as any
 * other warp's. */
BLOCK_WORK void windows_backward(bool of_keys, f32 *windows, Windows w, Tensors t,
                                 Disentangled s, Dropout dropout) {
  DYNAMIC_SHARED(bf16, memory);
  const Space space = space_at(memory, true);
  const i32 distances = 2 * s.blocks - 1, group = (i32)blockIdx.x / distances,
            distance = (i32)blockIdx.x % distances, apart = (distance - s.blocks + 1) * TILE_ROWS;
  if (!windows || group >= w.groups) return;
  const i32 from = (i32)((i64)group * w.sequences / w.groups),
            to = (i32)((i64)(group + 1) * w.sequences / w.groups);
  copy_windows(space, t, s, {apart, 0, of_keys});
  Sums<HEAD / 8> low = {}, high = {};
  for (i32 b = from; b < to; b++) {
    const Placed p = placed(s, b);
    const i32 own_end = of_keys ? p.keys : p.queries, other_end = of_keys ? p.queries : p.keys;
    if (p.keys == 0) continue;
    TilePair tiles = {larger(0, apart), larger(0, -apart), of_keys};
    for (; tiles.own < own_end && tiles.other < other_end;
         tiles.own += TILE_ROWS, tiles.other += TILE_ROWS) {
      prepare_pair(space, t, s, p, tiles, true);
      commit_copies();
      wait_copies<0>();
      __syncthreads(); /* the tiles have landed */
      Scores gradients, dropped;
      set_gradients(gradients, dropped, space, t, s, p, tiles, dropout);
      store_window(space.products, gradients);
      __syncthreads(); /* all warps' gradients are there */
      const Place me = own_place();
      add_table_rows(low, space.products, space.own_a, me.warp);
      add_table_rows(high, space.products, space.own_a, me.warp + FLASH_WARPS);
      __syncthreads(); /* the tiles have been read */
    }
  }
  wait_copies<0>(); /* the tables', where there was no pair */
  const Place me = own_place();
  f32 *sums = windows + window_at(w, distances, s.heads, group, distance, (i32)blockIdx.y);
#pragma unroll
  for (i32 n = 0; n < HEAD / 8; n++)
#pragma unroll
    for (i32 half = 0; half < 2; half++) {
      const i32 row = 16 * me.warp + row_of_half(me, half), at = row * HEAD + 8 * n + own_pair(me);
      *reinterpret_cast<float2 *>(sums + at) = {low.of[n][2 * half], low.of[n][2 * half + 1]};
      *reinterpret_cast<float2 *>(sums + at + TILE_ROWS * HEAD) = {high.of[n][2 * half],
                                                                   high.of[n][2 * half + 1]};
    }
}

/* The gradient of one column of the window rows of a difference, own less other. */
DEVICE f32 window_sum(const f32 *windows, const Windows &w, const Disentangled &s, i32 difference,
                      i32 head, i32 column) {
  const i32 blocks = s.blocks, distances = 2 * blocks - 1,
            shifted = difference + TILE_ROWS - 1 + blocks * TILE_ROWS, /* not negative */
      distance = shifted / TILE_ROWS - 1, row = shifted % TILE_ROWS;
  f32 sum = 0.0f;
  for (i32 group = 0; group < w.groups; group++)
    for (i32 upper = 0; upper < 2; upper++) {
      const i32 at = distance - upper;
      if (at < 0 || at >= distances) continue;
      sum += windows[window_at(w, distances, s.heads, group, at, head) +
                     (row + upper * TILE_ROWS) * HEAD + column];
    }
  return sum;
}

/* Sets row t = blockIdx.x of the gradients of both tables (z: 0 posKey, 1 posQuery), a column a
 * thread: the sum of the windows' rows whose differences have that row, in their order. */
DEVICE void add_windows(bf16 *dpos_key, bf16 *dpos_query, const Windows &w,
                        const Disentangled &s) {
  DYNAMIC_SHARED(u32, bits);
  const bool of_query = blockIdx.z != 0;
  bf16 *to = of_query ? dpos_query : dpos_key;
  const f32 *windows = of_query ? w.query : w.key;
  if (!to) return;
  find_differences(bits, s, (i32)blockIdx.x);
  const i32 column = own_column(), width = s.heads * s.dim;
  if (column >= width) return;
  f32 sum = 0.0f;
  for (i32 word = 0; word * WARP < 2 * s.span - 1; word++)
    for (u32 left = bits[word]; left != 0; left &= left - 1) {
      const i32 difference = word * WARP + __ffs((i32)left) - s.span;
      sum += window_sum(windows, w, s, of_query ? -difference : difference, column / s.dim,
                        column % s.dim);
    }
  store(to + (i64)blockIdx.x * width + column, sum * s.inverse_scale);
}

KERNEL void __launch_bounds__(FLASH_THREADS, 1) flash_disentangled(
    bf16 *out, f32 *log_sums, i32 query_rows, const bf16 *q, const bf16 *k, const bf16 *v,
    const bf16 *pos_key, const bf16 *pos_query, DISENTANGLED_PARAMETERS, DROPOUT_PARAMETERS) {
  const Tensors tensors = {out, nullptr, nullptr, nullptr, log_sums, query_rows,
                           nullptr, q, k, v, pos_key, pos_query};
  attend(tensors, DISENTANGLED_ARGUMENTS, DROPOUT_ARGUMENTS);
}

KERNEL void __launch_bounds__(FLASH_THREADS, 1) flash_disentangled_backward(
    bf16 *dq, bf16 *dk, bf16 *dv, f32 *key_windows, f32 *query_windows, i32 groups, i32 sequences,
    const bf16 *dout, bf16 *out, f32 *log_sums, i32 query_rows, const bf16 *q, const bf16 *k,
    const bf16 *v, const bf16 *pos_key, const bf16 *pos_query, DISENTANGLED_PARAMETERS,
    DROPOUT_PARAMETERS) {
  const Tensors tensors = {out, dq, dk, dv, log_sums, query_rows,
                           dout, q, k, v, pos_key, pos_query};
  const Windows windows = {key_windows, query_windows, groups, sequences};
  const Disentangled s = DISENTANGLED_ARGUMENTS;
  const Dropout dropout = DROPOUT_ARGUMENTS;
  const bool of_keys = blockIdx.z % 2 != 0;
  if (blockIdx.z >= 2)
    windows_backward(of_keys, of_keys ? query_windows : key_windows, windows, tensors, s, dropout);
  else if ((i32)blockIdx.x >= sequences * blocks)
    return;
  else if (of_keys)
    rows_backward<true>(tensors, s, dropout);
  else
    rows_backward<false>(tensors, s, dropout);
}

KERNEL void flash_disentangled_add_windows(bf16 *dpos_key, bf16 *dpos_query, f32 *key_windows,
                                           f32 *query_windows, i32 groups, i32 sequences,
                                           DISENTANGLED_PARAMETERS) {
  const Windows windows = {key_windows, query_windows, groups, sequences};
  add_windows(dpos_key, dpos_query, windows, DISENTANGLED_ARGUMENTS);
}
