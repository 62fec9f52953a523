/* Products that a library is slow at: of few rows with a matrix whose rows are the output's
 * columns, as of a linear layer for the newest tokens; and of few columns. */
#include "dot-tile.h"

/*
 * Sets C[m, n] = A[m, k] W[n, k]^T. A library's product packs W anew each time, which costs more
 * than the product where rows are few. Parts own columns, so that the thread count changes no bit.
 */
ADL_API int adl_multiply_few_rows_f32(const float *a, int64_t lda, const float *w, int64_t ldw,
                                      float *c, int64_t ldc, int m, int64_t n, int k) {
  const int parts = adl_parts(n * k);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(n, ADL_LINE, part, parts);
    dot_products(m, range.from, range.to, k, a, lda, w, ldw, c, ldc);
  }
  return ADL_OK;
}

/* Puts a product with few columns in its place that was made as its transpose: sets y[r, c] = x[c,
 * r] + beta * y[r, c], x [cols, rows], rows of y ldy apart. */
ADL_API int adl_set_transposed_f32(const float *x, float *y, int64_t rows, int64_t cols,
                                   int64_t ldy, int beta) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(rows, ADL_LINE, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      for (int64_t c = 0; c < cols; c++)
        y[r * ldy + c] = x[c * rows + r] + (beta ? y[r * ldy + c] : 0.0f);
    }
  }
  return ADL_OK;
}
