/*
 * Products that a library is slow at, or for which it generates new code at each row count: of few
 * rows with a transposed matrix, as in a linear layer at a decode step; and of few columns, as in a
 * low-rank path.
 */
#include "dot-tile.h"

#ifndef ADL_BF16
/* Floats of scratch for multiply_narrow: the rows of W^T, padded to whole vectors. */
ADL_API int64_t adl_multiply_narrow_scratch(int64_t n, int64_t k) {
  return adl_round_up(n, ADL_VECTOR) * adl_round_up(k, ADL_VECTOR);
}
#endif

/* Sets columns `range` of to[n, stride] to those of w[n, k]. */
static void set_rows(const float *w, int64_t ldw, int64_t n, adl_range range, act *to,
                     int64_t stride) {
  for (int64_t i = 0; i < n; i++) ACT_SET(to + i * stride, p, range.from, range.to, w[i * ldw + p])
}

/* The same from w[k, n], transposed. Writes whole vectors, with zeros after n and k. */
static void set_rows_transposed(const float *w, int64_t ldw, int64_t n, adl_range range, act *to,
                                int64_t stride) {
  for (int64_t p = range.from; p < range.to; p += ADL_VECTOR) {
    for (int64_t i = 0; i < n; i += ADL_VECTOR) {
      vec transposed[ADL_VECTOR];
      vec_transpose_square(w + p * ldw + i, ldw, adl_min(range.to - p, ADL_VECTOR),
                           adl_min(n - i, ADL_VECTOR), transposed);
#pragma GCC unroll 16
      for (int r = 0; r < ADL_VECTOR; r++) vec_store_act(to + (i + r) * stride + p, transposed[r]);
    }
  }
}

/* Sets C[m, n] = X[m, k] W, with W [k, n], or [n, k] if `transposed`; n is small. In bf16 W is
 * rounded. Each part owns rows of C, so that results do not depend on the thread count. */
ADL_API int ADL_ACT(multiply_narrow)(const act *x, int64_t ldx, const float *w, int64_t ldw,
                                     int transposed, float *c, int64_t ldc, int64_t m, int n, int k,
                                     float *scratch) {
  const int parts = adl_parts(m * k);
  int64_t stride = adl_round_up(k, ADL_VECTOR);
  const act *rows = (const act *)scratch;
  if (transposed && sizeof(act) == sizeof(float)) { /* W^T is used in place */
    rows = (const act *)w;
    stride = ldw;
  } else
    ADL_FOR_PARTS(part, parts) {
      const adl_range range = adl_part(k, ADL_LINE, part, parts);
      if (transposed)
        set_rows(w, ldw, n, range, (act *)scratch, stride);
      else
        set_rows_transposed(w, ldw, n, range, (act *)scratch, stride);
    }
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(m, DOT_COLUMNS, part, parts);
    dot_products(n, range.from, range.to, k, rows, stride, x, ldx, c, 1, ldc);
  }
  return ADL_OK;
}

#ifndef ADL_BF16

/* Sets C[m, n] = A[m, k] W[n, k]^T. A library packs W at each call, which costs more than a product
 * of few rows. Each part owns columns of C, so that results do not depend on the thread count. */
ADL_API int adl_multiply_few_rows_f32(const float *a, int64_t lda, const float *w, int64_t ldw,
                                      float *c, int64_t ldc, int m, int64_t n, int k) {
  const int parts = adl_parts(n * k);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(n, ADL_LINE, part, parts);
    dot_products(m, range.from, range.to, k, a, lda, w, ldw, c, ldc, 1);
  }
  return ADL_OK;
}
#endif
