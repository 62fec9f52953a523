/* Sums of values weighted by a few rows of probabilities, read from the tensor in place: for few
 * queries, where copying the values to an operand would cost more than the product. */
#pragma once

#include "activation-type.h"

/*
 * Rows and vectors of a tile of sums, and the prefetch distance in keys, whose rows are far apart.
 */
enum { SUM_ROWS = 4, AHEAD = 12, SUM_VECTORS = ADL_VECTOR == 16 ? 4 : 2 };

/* Sets `vectors` vectors of `rows` rows of out to the sum over j of probs[r, j] v_j, read from the
 * tensor in place. `rows` and `vectors` are constants at every call. */
ADL_INLINE void sum_tile(const int rows, const int vectors, const float *probs, int64_t stride,
                         const act *v, int keys, ptrdiff_t width, float *out, int64_t padded_dim) {
  vec sum[SUM_ROWS][SUM_VECTORS] = {{{0}}};
  for (int j = 0; j < keys; j++, v += width) {
    vec value[SUM_VECTORS];
#pragma GCC unroll 4
    for (int d = 0; d < vectors; d++) {
      value[d] = vec_load_act(v + d * ADL_VECTOR);
      __builtin_prefetch(v + AHEAD * width + d * ADL_VECTOR);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int d = 0; d < vectors; d++) sum[r][d] += probs[r * stride + j] * value[d];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int d = 0; d < vectors; d++) vec_store(out + r * padded_dim + d * ADL_VECTOR, sum[r][d]);
  }
}

/* Sums the columns after the last whole vector. */
ADL_NOINLINE void sum_columns(const float *probs, const act *v, int keys, ptrdiff_t width,
                              int columns, float *sum) {
  for (int d = 0; d < columns; d++) sum[d] = 0.0f;
  for (int j = 0; j < keys; j++, v += width) {
    for (int d = 0; d < columns; d++) sum[d] += probs[j] * act_load(v + d);
  }
}

/* Sets out[r] to the sum over j of probs[r, j] v_j, for rows with equally many visible keys. */
static void sum_values(int rows, const float *probs, int64_t stride, const act *v, int keys,
                       ptrdiff_t width, int dim, float *out, int64_t padded_dim) {
  const int vectors = dim / ADL_VECTOR;
  for (int r = 0; r < rows;) {
    const int block = rows - r >= SUM_ROWS ? SUM_ROWS : 1;
    const float *p = probs + r * stride;
    float *to = out + r * padded_dim;
    for (int d = 0; d < vectors;) {
      const int wide = vectors - d >= SUM_VECTORS, at = d * ADL_VECTOR;
      if (wide && block == SUM_ROWS)
        sum_tile(SUM_ROWS, SUM_VECTORS, p, stride, v + at, keys, width, to + at, padded_dim);
      else if (wide)
        sum_tile(1, SUM_VECTORS, p, stride, v + at, keys, width, to + at, padded_dim);
      else if (block == SUM_ROWS)
        sum_tile(SUM_ROWS, 1, p, stride, v + at, keys, width, to + at, padded_dim);
      else
        sum_tile(1, 1, p, stride, v + at, keys, width, to + at, padded_dim);
      d += wide ? SUM_VECTORS : 1;
    }
    for (int i = 0; i < block && vectors * ADL_VECTOR < dim; i++) {
      const int at = vectors * ADL_VECTOR;
      sum_columns(p + i * stride, v + at, keys, width, dim - at, to + i * padded_dim + at);
    }
    r += block;
  }
}
