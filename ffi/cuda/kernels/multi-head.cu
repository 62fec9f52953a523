/*
 * Multi-head attention of packed queries to packed keys. Probabilities are never stored: backward
 * recomputes them from the log-sum-exp of each query's scores.
 */
#include "attention.h"
#include "multi-head.h"

/* Sets a row of out a warp, and its log_sum_exp unless NULL. */
template <class T>
DEVICE void attend(T *out, f32 *log_sums, const T *q, const T *k, const T *v, const MultiHead &s,
                   const Dropout &dropout) {
  DYNAMIC_SHARED(f32, memory);
  const Block b = block_of(s, BLOCK_ROWS);
  if (b.first >= b.n) return;
  const Space space = space_at(memory, s.dim);
  const i32 head = (i32)blockIdx.y, i = b.first + warp(), dim = s.dim;
  const i32 key_column = head / (s.heads / s.key_heads) * dim;
  const bool active = i < b.n;
  const Range keys = active ? visible_keys(s, b, i) : Range{0, 0},
              all = keys_of_block(s, b, BLOCK_ROWS);
  const i32 row = head * s.queries + b.start + i;
  if (active) load_row(space.row_a, q + (i64)(b.start + i) * s.query_stride + head * dim, dim);
  Softmax sums = softmax();
  for (i32 first = all.from; first < all.to; first += TILE) {
    const i64 at = (i64)(b.key_start + first) * s.key_stride + key_column;
    const i32 count = smaller(TILE, all.to - first), j = first + lane();
    load_tiles(space, k + at, s.key_stride, v + at, s.key_stride, count, dim);
    const Range rows = within_tile(keys, first);
    if (rows.from >= rows.to) continue; /* the whole warp */
    const bool visible = contains(keys, j);
    const f32 *key = space.tile_a + lane() * tile_pitch(dim);
    const f32 score = visible ? dot(space.row_a, key, dim) * s.inverse_scale : 0.0f;
    const f32 weight = add_scores(sums, score, visible, dim);
    space.weights_a[lane()] = visible ? weight * dropout_factor(dropout, row, j) : 0.0f;
    __syncwarp();
    for (i32 r = rows.from; r < rows.to; r++)
      add_scaled(sums.out, space.weights_a[r], space.tile_b + r * tile_pitch(dim), dim);
    __syncwarp(); /* the weights have been read */
  }
  if (!active) return;
  const f32 inverse = keys.from < keys.to ? 1.0f / sums.total : 0.0f;
  store_scaled(out + ((i64)(b.start + i) * s.heads + head) * dim, sums.out, inverse, dim);
  if (log_sums && lane() == 0) log_sums[row] = log_sum_exp(sums);
}

/* Sets a row of dq a warp, and delta [heads, queries] = dout . out for the gradients of keys. */
template <class T>
DEVICE void attend_queries_backward(T *dq, f32 *delta, const T *dout, const T *out,
                                    const f32 *log_sums, const T *q, const T *k, const T *v,
                                    const MultiHead &s, const Dropout &dropout) {
  DYNAMIC_SHARED(f32, memory);
  const Block b = block_of(s, BLOCK_ROWS);
  if (b.first >= b.n) return;
  const Space space = space_at(memory, s.dim);
  const i32 head = (i32)blockIdx.y, i = b.first + warp(), dim = s.dim;
  const i32 key_column = head / (s.heads / s.key_heads) * dim;
  const bool active = i < b.n;
  const Range keys = active ? visible_keys(s, b, i) : Range{0, 0},
              all = keys_of_block(s, b, BLOCK_ROWS);
  const i32 row = head * s.queries + b.start + i;
  const i64 query_at = (i64)(b.start + i) * s.query_stride + head * dim,
            out_at = ((i64)(b.start + i) * s.heads + head) * dim;
  f32 inner = 0.0f, log_sum = 0.0f;
  if (active) {
    load_row(space.row_a, q + query_at, dim);
    load_row(space.row_b, dout + out_at, dim);
    inner = warp_dot(dout + out_at, out + out_at, dim);
    log_sum = log_sums[row];
    if (lane() == 0) delta[row] = inner;
  }
  Columns sum = {};
  for (i32 first = all.from; first < all.to; first += TILE) {
    const i64 at = (i64)(b.key_start + first) * s.key_stride + key_column;
    const i32 count = smaller(TILE, all.to - first), j = first + lane();
    load_tiles(space, k + at, s.key_stride, v + at, s.key_stride, count, dim);
    const Range rows = within_tile(keys, first);
    if (rows.from >= rows.to) continue; /* the whole warp */
    f32 gradient = 0.0f;
    if (contains(keys, j)) {
      const i32 at_row = lane() * tile_pitch(dim);
      const f32 score = dot(space.row_a, space.tile_a + at_row, dim) * s.inverse_scale;
      const f32 dropped =
          dot(space.row_b, space.tile_b + at_row, dim) * dropout_factor(dropout, row, j);
      gradient = expf(score - log_sum) * (dropped - inner) * s.inverse_scale;
    }
    space.weights_a[lane()] = gradient;
    __syncwarp();
    for (i32 r = rows.from; r < rows.to; r++)
      add_scaled(sum, space.weights_a[r], space.tile_a + r * tile_pitch(dim), dim);
    __syncwarp(); /* the weights have been read */
  }
  if (active) store_scaled(dq + query_at, sum, 1.0f, dim);
}

/* Sets a row of dk and dv a warp. The heads that share a key head are added in order. */
template <class T>
DEVICE void attend_keys_backward(T *dk, T *dv, const T *dout, const f32 *log_sums,
                                 const f32 *delta, const T *q, const T *k, const T *v,
                                 const MultiHead &s, const Dropout &dropout) {
  DYNAMIC_SHARED(f32, memory);
  const Block b = block_of(s, BLOCK_ROWS);
  if (b.first >= b.m) return;
  const Space space = space_at(memory, s.dim);
  const i32 key_head = (i32)blockIdx.y, group = s.heads / s.key_heads, j = b.first + warp(),
            dim = s.dim;
  const bool active = j < b.m;
  const Range all = queries_of_block(s, b, BLOCK_ROWS);
  const i64 key_at = (i64)(b.key_start + j) * s.key_stride + key_head * dim;
  if (active) {
    load_row(space.row_a, k + key_at, dim);
    load_row(space.row_b, v + key_at, dim);
  }
  Columns key_sum = {}, value_sum = {};
  for (i32 head = key_head * group; head < (key_head + 1) * group; head++) {
    for (i32 first = all.from; first < all.to; first += TILE) {
      const i32 count = smaller(TILE, all.to - first), i = first + lane();
      const i64 start = b.start + first;
      load_tiles(space, q + start * s.query_stride + head * dim, s.query_stride,
                 dout + (start * s.heads + head) * dim, s.heads * dim, count, dim);
      if (!active) continue; /* the whole warp */
      f32 weight = 0.0f, gradient = 0.0f;
      if (i < all.to && contains(visible_keys(s, b, i), j)) {
        const i32 row = head * s.queries + b.start + i, at_row = lane() * tile_pitch(dim);
        const f32 score = dot(space.row_a, space.tile_a + at_row, dim) * s.inverse_scale;
        const f32 probability = expf(score - log_sums[row]),
                  factor = dropout_factor(dropout, row, j);
        const f32 dropped = dot(space.row_b, space.tile_b + at_row, dim) * factor;
        weight = probability * factor;
        gradient = probability * (dropped - delta[row]) * s.inverse_scale;
      }
      space.weights_a[lane()] = weight;
      space.weights_b[lane()] = gradient;
      __syncwarp();
      for (i32 r = 0; r < count; r++) {
        if (!contains(visible_keys(s, b, first + r), j)) continue;
        add_scaled(value_sum, space.weights_a[r], space.tile_b + r * tile_pitch(dim), dim);
        add_scaled(key_sum, space.weights_b[r], space.tile_a + r * tile_pitch(dim), dim);
      }
      __syncwarp(); /* the weights have been read */
    }
  }
  if (!active) return;
  store_scaled(dk + key_at, key_sum, 1.0f, dim);
  store_scaled(dv + key_at, value_sum, 1.0f, dim);
}

#define MULTI_HEAD(T)                                                                            \
  KERNEL void attention_##T(T *out, f32 *log_sums, const T *q, const T *k, const T *v,           \
                            MULTI_HEAD_PARAMETERS, DROPOUT_PARAMETERS) {                         \
    attend(out, log_sums, q, k, v, MULTI_HEAD_ARGUMENTS, DROPOUT_ARGUMENTS);                     \
  }                                                                                              \
  KERNEL void attention_queries_backward_##T(                                                    \
      T *dq, f32 *delta, const T *dout, const T *out, const f32 *log_sums, const T *q,           \
      const T *k, const T *v, MULTI_HEAD_PARAMETERS, DROPOUT_PARAMETERS) {                       \
    attend_queries_backward(dq, delta, dout, out, log_sums, q, k, v, MULTI_HEAD_ARGUMENTS,       \
                            DROPOUT_ARGUMENTS);                                                  \
  }                                                                                              \
  KERNEL void attention_keys_backward_##T(                                                       \
      T *dk, T *dv, const T *dout, const f32 *log_sums, const f32 *delta, const T *q,            \
      const T *k, const T *v, MULTI_HEAD_PARAMETERS, DROPOUT_PARAMETERS) {                       \
    attend_keys_backward(dk, dv, dout, log_sums, delta, q, k, v, MULTI_HEAD_ARGUMENTS,           \
                         DROPOUT_ARGUMENTS);                                                     \
  }

MULTI_HEAD(f32)
MULTI_HEAD(bf16)
