/* Operands and products in float. */
#include "operands.h"
#include "small-gemm.h"

void copy_right(right *to, const act *from, ptrdiff_t step, int rows, int dim) {
  copy_left(to, from, step, rows, dim);
}

void copy_right_transposed(right *to, int64_t stride, const act *from, ptrdiff_t step, int rows,
                           int dim) {
  for (int r = 0; r < rows; r += ADL_VECTOR) {
    for (int d = 0; d < dim; d += ADL_VECTOR) {
      vec transposed[ADL_VECTOR];
      vec_transpose_square(from + r * step + d, step, adl_min(rows - r, ADL_VECTOR),
                           adl_min(dim - d, ADL_VECTOR), transposed);
#pragma GCC unroll 16
      for (int c = 0; c < ADL_VECTOR; c++) vec_store(to + (d + c) * stride + r, transposed[c]);
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
