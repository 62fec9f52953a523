/* The product of few rows with a matrix whose rows are the output's columns, as of a linear layer
 * for the newest tokens. */
#include "dot-tile.h"

/*
 * Sets C[m, n] = A[m, k] W[n, k]^T. A library's product packs W anew each time, which costs more than
 * the product where rows are few. Parts own columns, so that the thread count changes no bit.
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
