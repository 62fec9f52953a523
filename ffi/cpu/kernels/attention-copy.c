/* Rows of one head between tensors and a thread's memory: the place where attention meets the type of
 * activations. */
#include "attention.h"

void attention_copy_in(const attention_shape *s, float *to, const act *from, ptrdiff_t step,
                       int rows) {
  const int dim = s->head_dim, padded = (int)adl_round_up(dim, ADL_VECTOR);
  for (int r = 0; r < rows; r++, from += step, to += padded) {
#pragma omp simd
    for (int d = 0; d < dim; d++) to[d] = act_load(from + d);
    for (int d = dim; d < padded; d++) to[d] = 0.0f;
  }
}

void attention_copy_in_turned(const attention_shape *s, float *to, int64_t stride, const act *from,
                              ptrdiff_t step, int rows) {
  for (int r = 0; r < rows; r += ADL_VECTOR) {
    const int rows_here = (int)adl_min(rows - r, ADL_VECTOR);
    for (int d = 0; d < s->head_dim; d += ADL_VECTOR) {
      const int cols_here = (int)adl_min(s->head_dim - d, ADL_VECTOR);
      float square[ADL_VECTOR][ADL_VECTOR] __attribute__((aligned(64))) = {{0}};
      for (int i = 0; i < rows_here; i++) {
        const act *row = from + (r + i) * step + d;
        if (cols_here == ADL_VECTOR) {
#pragma omp simd
          for (int c = 0; c < ADL_VECTOR; c++) square[i][c] = act_load(row + c);
        } else {
          for (int c = 0; c < cols_here; c++) square[i][c] = act_load(row + c);
        }
      }
      vec turned[ADL_VECTOR];
#pragma GCC unroll 16
      for (int i = 0; i < ADL_VECTOR; i++) turned[i] = vec_load(square[i]);
      vec_transpose(turned);
#pragma GCC unroll 16
      for (int c = 0; c < ADL_VECTOR; c++) vec_store(to + (d + c) * stride + r, turned[c]);
    }
  }
}

void attention_copy_out(const attention_shape *s, act *to, const float *from, int rows) {
  const int dim = s->head_dim, padded = (int)adl_round_up(dim, ADL_VECTOR), width = s->heads * dim;
  for (int r = 0; r < rows; r++, from += padded, to += width) {
#pragma omp simd
    for (int d = 0; d < dim; d++) act_store(to + d, from[d]);
  }
}
