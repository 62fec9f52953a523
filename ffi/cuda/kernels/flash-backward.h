/* Parts of the backward pass of flash-style attention. */
#pragma once

#include "flash-softmax.h"

/* What backward needs of each query of a tile: the log-sum-exp of its scores, to base 2, and dout .
 * out, the mean of its probabilities' gradients. */
struct QuerySums {
  f32 log_sum[TILE_ROWS], inner[TILE_ROWS];
};

/* The product of 8 columns of a and b, of which `columns` exist. */
DEVICE f32 chunk_product(const bf16 *a, const bf16 *b, i32 columns, bool vectors) {
  f32 sum = 0.0f;
  if (!vectors) {
#pragma unroll 1
    for (i32 e = 0; e < 8 && e < columns; e++) sum += load(a + e) * load(b + e);
    return sum;
  }
  const uint4 x = *reinterpret_cast<const uint4 *>(a), y = *reinterpret_cast<const uint4 *>(b);
  const u32 left[4] = {x.x, x.y, x.z, x.w}, right[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    sum += __uint_as_float(left[i] << 16) * __uint_as_float(right[i] << 16);
    sum += __uint_as_float(left[i] & 0xffff0000u) * __uint_as_float(right[i] & 0xffff0000u);
  }
  return sum;
}

/* The product of a row of 8 columns with one in f32. */
DEVICE f32 exact_product(const bf16 *a, const f32 *b, i32 columns) {
  f32 sum = 0.0f;
#pragma unroll 1
  for (i32 e = 0; e < 8 && e < columns; e++) sum += load(a + e) * b[e];
  return sum;
}

/*
 * Sets the sums of this warp's rows of a tile of queries, eight lanes a row; rows for which row_of
 * is negative get 0. `log_sums` is offset to the head. `exact`, unless NULL, is out before it was
 * rounded, with out's stride and columns.
 *
 * Computed anew wherever they are needed: blocks that wait for another's could not be in one launch
 * with it.
 */
template <i32 D, class RowOf>
DEVICE void set_query_sums(QuerySums &sums, const HeadRows<const bf16> &dout,
                           const HeadRows<const bf16> &out, const f32 *exact, const f32 *log_sums,
                           RowOf row_of) {
  const Place me = own_place();
  const bool vectors = dout.vectors && out.vectors;
#pragma unroll 1
  for (i32 r = first_of_warp(me) + me.lane / 8; r < first_of_warp(me) + WARP_ROWS; r += 4) {
    const i32 row = row_of(r);
    f32 inner = 0.0f;
    for (i32 chunk = me.lane % 8; chunk < D / 8; chunk += 8) {
      const i32 left = dout.dim - 8 * chunk;
      if (row < 0 || left <= 0) continue;
      const bf16 *from = dout.at + row * dout.stride + 8 * chunk;
      const i64 at = row * out.stride + 8 * chunk;
      inner += exact ? exact_product(from, exact + at, left)
                     : chunk_product(from, out.at + at, left, vectors);
    }
    for (i32 distance = 4; distance > 0; distance /= 2)
      inner += __shfl_xor_sync(ALL_LANES, inner, distance);
    if (me.lane % 8 != 0) continue;
    const f32 log_sum = row < 0 ? 0.0f : log_sums[row];
    /* Without keys the sum is -Infinity: their scores' too, and the difference would be NaN. */
    sums.log_sum[r] = log_sum == -infinity() ? 0.0f : log_sum * LOG2_E;
    sums.inner[r] = inner;
  }
}

/* The queries of this lane's pairs, in their tile. */
struct PairQueries {
  i32 first, of_tile, of_half, of_column;
};

DEVICE i32 query_of(const PairQueries &q, i32 n, i32 i) {
  return q.first + 8 * n * q.of_tile + i / 2 * q.of_half + i % 2 * q.of_column;
}

/* `keys`: the tile's rows are keys, its columns queries. */
DEVICE PairQueries pair_queries(bool keys) {
  const Place me = own_place();
  if (keys) return {own_pair(me), 1, 0, 1};
  return {first_of_warp(me) + row_of_half(me, 0), 0, 8, 0};
}

/* Sets scores to probabilities. */
DEVICE void set_probabilities(bool keys, Scores &scores, const QuerySums &sums) {
  const PairQueries queries = pair_queries(keys);
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++)
      scores.of[n][i] = exp2f(scores.of[n][i] - sums.log_sum[query_of(queries, n, i)]);
}

/*
 * From `gradients` of the probabilities after dropout, sets scores, which are probabilities, to the
 * gradients of the scores before their division by scale, and `gradients` to the probabilities
 * after dropout, before their multiplication by its scale.
 */
DEVICE void set_score_gradients(bool keys, Scores &scores, Scores &gradients,
                                const QuerySums &sums, ScoreBits kept, f32 scale) {
  const PairQueries queries = pair_queries(keys);
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const f32 factor = has_bit(kept, n, i) ? scale : 0.0f, probability = scores.of[n][i],
                inner = sums.inner[query_of(queries, n, i)];
      scores.of[n][i] = probability * (gradients.of[n][i] * factor - inner);
      gradients.of[n][i] = has_bit(kept, n, i) ? probability : 0.0f;
    }
}
