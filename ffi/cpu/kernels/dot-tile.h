/* Products of matrices that are both row-major along the inner dimension: C[m, n] = A[m, k] W[n,
 * k]^T, without transposing or packing W. */
#pragma once

#include "activation-type.h"

/* A tile is DOT_ROWS rows of A by DOT_COLUMNS rows of W: as many sums as fit in registers beside
 * the operands. It is wider in W, whose rows stay in L1 while all of A streams past. */
enum {
  DOT_ROWS = ADL_VECTOR == 16 ? 4 : 2,
  DOT_COLUMNS = ADL_VECTOR == 16 ? 6 : 4,
  DOT_SUMS = DOT_ROWS * DOT_COLUMNS,
  DOT_GROUPS = (DOT_SUMS + ADL_VECTOR - 1) / ADL_VECTOR,
};

/* Elements multiplied per step: bf16 in pairs. */
#ifdef ADL_BF16
enum { DOT_STEP = 2 * ADL_VECTOR };
typedef __m512i dot_vec;
ADL_INLINE dot_vec dot_load(const act *p) { return _mm512_loadu_si512(p); }
ADL_INLINE vec dot_add(vec sum, dot_vec a, dot_vec b) { return vec_add_pairs(sum, a, b); }
#else
enum { DOT_STEP = ADL_VECTOR };
typedef vec dot_vec;
ADL_INLINE dot_vec dot_load(const act *p) { return vec_load(p); }
ADL_INLINE vec dot_add(vec sum, dot_vec a, dot_vec b) { return sum + a * b; }
#endif

/* Sums each of ADL_VECTOR vectors horizontally; returns the sums as one vector. */
ADL_INLINE vec dot_sums(const vec *x) {
#ifdef __AVX512F__
  __m512 two[8], four[4], eight[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    const __m512 a = (__m512)x[2 * i], b = (__m512)x[2 * i + 1];
    two[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd(two[2 * i]), b = _mm512_castps_pd(two[2 * i + 1]);
    four[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    const __m512 a = four[2 * i], b = four[2 * i + 1];
    eight[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  return (vec)_mm512_add_ps(_mm512_shuffle_f32x4(eight[0], eight[1], 0x88),
                            _mm512_shuffle_f32x4(eight[0], eight[1], 0xdd));
#else
  __m256 two[4], four[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m256 a = (__m256)x[2 * i], b = (__m256)x[2 * i + 1];
    two[i] = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    const __m256d a = _mm256_castps_pd(two[2 * i]), b = _mm256_castps_pd(two[2 * i + 1]);
    four[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                            _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
  }
  return (vec)_mm256_add_ps(_mm256_permute2f128_ps(four[0], four[1], 0x20),
                            _mm256_permute2f128_ps(four[0], four[1], 0x31));
#endif
}

typedef struct {
  const act *a[DOT_ROWS], *w[DOT_COLUMNS]; /* row pointers; rows past the end repeat the last one */
} dot_operands;

/* Sets sums[i * DOT_COLUMNS + j] to the dot product of a[i] and w[j]. */
ADL_INLINE void dot_tile(const dot_operands *o, int k, float *sums) {
  vec sum[DOT_GROUPS * ADL_VECTOR] = {{0}};
  int p = 0;
  for (; p + DOT_STEP <= k; p += DOT_STEP) {
    dot_vec w[DOT_COLUMNS];
#pragma GCC unroll 8
    for (int j = 0; j < DOT_COLUMNS; j++) w[j] = dot_load(o->w[j] + p);
#pragma GCC unroll 8
    for (int i = 0; i < DOT_ROWS; i++) {
      const dot_vec a = dot_load(o->a[i] + p);
#pragma GCC unroll 8
      for (int j = 0; j < DOT_COLUMNS; j++) {
        vec *to = &sum[i * DOT_COLUMNS + j];
        *to = dot_add(*to, a, w[j]);
      }
    }
  }
#pragma GCC unroll 2
  for (int group = 0; group < DOT_GROUPS; group++)
    vec_store(sums + group * ADL_VECTOR, dot_sums(sum + group * ADL_VECTOR));
  for (; p < k; p++) {
    for (int i = 0; i < DOT_ROWS; i++) {
      for (int j = 0; j < DOT_COLUMNS; j++)
        sums[i * DOT_COLUMNS + j] += act_load(o->a[i] + p) * act_load(o->w[j] + p);
    }
  }
}

/* Sets columns [from, to) of C, where C(i, j) is c[i * c_row + j * c_col]. lda and ldw are row
 * strides. */
ADL_INLINE void dot_products(int m, int64_t from, int64_t to, int k, const act *a, ptrdiff_t lda,
                             const act *w, ptrdiff_t ldw, float *c, ptrdiff_t c_row,
                             ptrdiff_t c_col) {
  for (int64_t column = from; column < to; column += DOT_COLUMNS) {
    dot_operands o;
    for (int j = 0; j < DOT_COLUMNS; j++) o.w[j] = w + adl_min(column + j, to - 1) * ldw;
    const int columns = (int)adl_min(to - column, DOT_COLUMNS);
    /* The hardware prefetcher does not detect rows that are far apart as a stream. */
    for (int j = 0; j < DOT_COLUMNS && ldw > k; j++) {
      const act *ahead = w + (column + 2 * DOT_COLUMNS + j) * ldw;
      for (int p = 0; p < k; p += ADL_LINE) __builtin_prefetch(ahead + p);
    }
    for (int row = 0; row < m; row += DOT_ROWS) {
      for (int i = 0; i < DOT_ROWS; i++) o.a[i] = a + adl_min(row + i, m - 1) * lda;
      float sums[DOT_GROUPS * ADL_VECTOR];
      dot_tile(&o, k, sums);
      const int rows = (int)adl_min(m - row, DOT_ROWS);
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++)
          c[(row + i) * c_row + (column + j) * c_col] = sums[i * DOT_COLUMNS + j];
      }
    }
  }
}
