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

/* Sets the sums of this warp's rows of a tile of queries, eight lanes a row. `log_sums` is offset to
 * the head; rows for which row_of is negative get 0. Computed anew wherever they are needed, since
 * blocks that would wait for each other could not run in one launch. */
template <i32 D, class RowOf>
DEVICE void set_query_sums(QuerySums &sums, const HeadRows<const bf16> &dout,
                           const HeadRows<const bf16> &out, const f32 *log_sums, RowOf row_of) {
  const bool vectors = dout.vectors && out.vectors;
#pragma unroll
  for (i32 r = first_of_warp() + lane() / 8; r < first_of_warp() + WARP_ROWS; r += 4) {
    const i32 row = row_of(r);
    f32 inner = 0.0f;
    for (i32 chunk = lane() % 8; chunk < D / 8; chunk += 8) {
      const i32 left = dout.dim - 8 * chunk;
      if (row < 0 || left <= 0) continue;
      inner += chunk_product(dout.at + row * dout.stride + 8 * chunk,
                             out.at + row * out.stride + 8 * chunk, left, vectors);
    }
    for (i32 distance = 4; distance > 0; distance /= 2)
      inner += __shfl_xor_sync(ALL_LANES, inner, distance);
    if (lane() % 8 != 0) continue;
    const f32 log_sum = row < 0 ? 0.0f : log_sums[row];
    /* Without keys the sum is -Infinity: their scores' too, and the difference would be NaN. */
    sums.log_sum[r] = log_sum == -infinity() ? 0.0f : log_sum * LOG2_E;
    sums.inner[r] = inner;
  }
}

/* Sets scores to probabilities. KEYS: the tile's rows are keys, its columns queries. */
template <bool KEYS> DEVICE void set_probabilities(Scores &scores, const QuerySums &sums) {
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i32 query = KEYS ? 8 * n + own_pair() + i % 2 : first_of_warp() + row_of_half(i / 2);
      scores.of[n][i] = exp2f(scores.of[n][i] - sums.log_sum[query]);
    }
}

/*
 * From `gradients` of the probabilities after dropout, sets scores, which are probabilities, to the
 * gradients of the scores before their division by scale, and `gradients` to the probabilities
 * after dropout.
 */
template <bool KEYS>
DEVICE void set_score_gradients(Scores &scores, Scores &gradients, const QuerySums &sums,
                                ScoreBits kept, f32 scale) {
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i32 query = KEYS ? 8 * n + own_pair() + i % 2 : first_of_warp() + row_of_half(i / 2);
      const f32 factor = has_bit(kept, n, i) ? scale : 0.0f, probability = scores.of[n][i];
      scores.of[n][i] = probability * (gradients.of[n][i] * factor - sums.inner[query]);
      gradients.of[n][i] = probability * factor;
    }
}
