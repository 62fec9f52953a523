/* Operands and products in float. */
#include "operands.h"
#include "small-gemm.h"

void copy_right(right *to, const act *from, ptrdiff_t step, int rows, int dim) {
  copy_left(to, from, step, rows, dim);
}

void copy_right_turned(right *to, int64_t stride, const act *from, ptrdiff_t step, int rows,
                       int dim) {
  for (int r = 0; r < rows; r += ADL_VECTOR) {
    const int rows_here = (int)adl_min(rows - r, ADL_VECTOR);
    for (int d = 0; d < dim; d += ADL_VECTOR) {
      const int columns = (int)adl_min(dim - d, ADL_VECTOR);
      float square[ADL_VECTOR][ADL_VECTOR] __attribute__((aligned(64))) = {{0}};
      for (int i = 0; i < rows_here; i++) {
        const act *row = from + (r + i) * step + d;
        if (columns == ADL_VECTOR) /* a constant size is a move */
          memcpy(square[i], row, sizeof square[i]);
        else
          memcpy(square[i], row, sizeof(float) * (size_t)columns);
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

void multiply(int m, int n, int k, const left *a, int64_t lda, const right *b, int64_t ldb,
              float *c, int64_t ldc, int add) {
  adl_small_gemm(m, n, k, a, lda, 1, b, ldb, c, ldc, add, NULL);
}

void multiply_floats(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col,
                     const right *b, int64_t ldb, float *c, int64_t ldc, int add, left *panel) {
  (void)panel;
  adl_small_gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, add, NULL);
}
