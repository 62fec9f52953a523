/* Products of few rows with many, both row-major over the sum: C[m, n] = A[m, k] W[n, k]^T, without
 * turning or packing W. */
#pragma once

#include "activation-type.h"

/* A tile has a vector of sums: DOT_ROWS rows of A by DOT_COLUMNS of W. */
enum { DOT_COLUMNS = 4, DOT_ROWS = ADL_VECTOR / DOT_COLUMNS };

typedef struct {
  const act *a[DOT_ROWS], *w[DOT_COLUMNS]; /* rows; past the last one, that one again */
} dot_operands;

/* Sets sums[i * DOT_COLUMNS + j] to the product of a[i] and w[j]. */
ADL_INLINE void dot_tile(const dot_operands *o, int k, float *sums) {
  vec sum[ADL_VECTOR] = {{0}};
  int p = 0;
  for (; p + ADL_VECTOR <= k; p += ADL_VECTOR) {
    vec w[DOT_COLUMNS];
#pragma GCC unroll 4
    for (int j = 0; j < DOT_COLUMNS; j++) w[j] = vec_load_act(o->w[j] + p);
#pragma GCC unroll 4
    for (int i = 0; i < DOT_ROWS; i++) {
      const vec a = vec_load_act(o->a[i] + p);
#pragma GCC unroll 4
      for (int j = 0; j < DOT_COLUMNS; j++) sum[i * DOT_COLUMNS + j] += a * w[j];
    }
  }
  vec_transpose(sum);
  vec total = sum[0];
#pragma GCC unroll 16
  for (int i = 1; i < ADL_VECTOR; i++) total += sum[i];
  vec_store(sums, total);
  for (; p < k; p++) {
    for (int i = 0; i < DOT_ROWS; i++) {
      for (int j = 0; j < DOT_COLUMNS; j++)
        sums[i * DOT_COLUMNS + j] += act_load(o->a[i] + p) * act_load(o->w[j] + p);
    }
  }
}

/* Sets columns [from, to) of C. Strides lead from a row to the next. */
ADL_INLINE void dot_products(int m, int64_t from, int64_t to, int k, const act *a, ptrdiff_t lda,
                             const act *w, ptrdiff_t ldw, float *c, ptrdiff_t ldc) {
  for (int64_t column = from; column < to; column += DOT_COLUMNS) {
    dot_operands o;
    for (int j = 0; j < DOT_COLUMNS; j++) o.w[j] = w + adl_min(column + j, to - 1) * ldw;
    const int columns = (int)adl_min(to - column, DOT_COLUMNS);
    for (int row = 0; row < m; row += DOT_ROWS) {
      for (int i = 0; i < DOT_ROWS; i++) o.a[i] = a + adl_min(row + i, m - 1) * lda;
      float sums[ADL_VECTOR];
      dot_tile(&o, k, sums);
      const int rows = (int)adl_min(m - row, DOT_ROWS);
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++)
          c[(row + i) * ldc + column + j] = sums[i * DOT_COLUMNS + j];
      }
    }
  }
}
