/* Attention in which each query selects its keys, for decoding: a warp a query and head. */
#include "attention.h"

/* Sets out; index: [rows, count], rows of k and v. An index outside [0, key_rows) gives NaN. */
template <class T>
DEVICE void attend_chosen_rows(T *out, const T *q, const T *k, const T *v, const i32 *index,
                               i32 key_rows, i32 rows, i32 count, i32 heads, i32 dim,
                               f32 inverse_scale) {
  DYNAMIC_SHARED(f32, memory);
  const i32 at = warp_index(), width = heads * dim, column = at % heads * dim, row = at / heads;
  if (row >= rows) return;
  f32 *query = memory + warp() * (dim + 2 * TILE), *weights = query + dim;
  i32 *chosen = reinterpret_cast<i32 *>(weights + TILE);
  load_row(query, q + (i64)at * dim, dim);
  __syncwarp();
  Softmax sums = softmax();
  for (i32 first = 0; first < count; first += TILE) {
    const i32 j = first + lane(), tile = smaller(TILE, count - first);
    f32 score = 0.0f;
    if (j < count) {
      const i32 key = index[(i64)row * count + j];
      const bool inside = key >= 0 && key < key_rows;
      const T *keys = k + (i64)(inside ? key : 0) * width + column;
      score = inside ? dot(query, keys, dim) * inverse_scale : not_a_number();
      chosen[lane()] = inside ? key : 0;
    }
    weights[lane()] = add_scores(sums, score, j < count, dim);
    __syncwarp();
    for (i32 r = 0; r < tile; r++)
      add_scaled(sums.out, weights[r], v + (i64)chosen[r] * width + column, dim);
    __syncwarp(); /* the weights have been read */
  }
  store_scaled(out + (i64)at * dim, sums.out, 1.0f / sums.total, dim);
}

#define CHOSEN_ROWS(T)                                                                           \
  KERNEL void attend_chosen_rows_##T(T *out, const T *q, const T *k, const T *v,                 \
                                     const i32 *index, i32 key_rows, i32 rows, i32 count,        \
                                     i32 heads, i32 dim, f32 inverse_scale) {                    \
    attend_chosen_rows(out, q, k, v, index, key_rows, rows, count, heads, dim, inverse_scale);   \
  }

CHOSEN_ROWS(f32)
CHOSEN_ROWS(bf16)
