/* The widest float vectors that this build may use, with operations that plain C lacks. */
#pragma once

#include <immintrin.h>

#include "adl.h"

#ifdef __AVX512F__
#define ADL_VECTOR 16 /* floats per vector */
#else
#define ADL_VECTOR 8
#endif

typedef float vec __attribute__((vector_size(4 * ADL_VECTOR)));
typedef uint64_t vec_u64 __attribute__((vector_size(4 * ADL_VECTOR)));
/* A vector at any float's address. */
typedef float vec_unaligned __attribute__((vector_size(4 * ADL_VECTOR), aligned(4), may_alias));

ADL_INLINE vec vec_load(const float *p) { return *(const vec_unaligned *)p; }
ADL_INLINE void vec_store(float *p, vec x) { *(vec_unaligned *)p = x; }

/* x > y ? x : y in each lane. */
ADL_INLINE vec vec_max(vec x, vec y) {
#ifdef __AVX512F__
  return (vec)_mm512_max_ps((__m512)x, (__m512)y);
#else
  return (vec)_mm256_max_ps((__m256)x, (__m256)y);
#endif
}

/* Multiplies the low 32-bit halves of each lane into 64 bits. */
ADL_INLINE vec_u64 vec_multiply_low(vec_u64 a, vec_u64 b) {
#ifdef __AVX512F__
  return (vec_u64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#else
  return (vec_u64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#endif
}

#ifdef __AVX512F__
/* Transposes rows[16][16] by swapping 2 x 2 blocks of 1, 2, 4 and 8 elements. */
ADL_INLINE void vec_transpose(vec rows[ADL_VECTOR]) {
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)rows[i], (__m512)rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)rows[i], (__m512)rows[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; j++) {
      __m512d lo = _mm512_castps_pd(a[i + j]), hi = _mm512_castps_pd(a[i + j + 2]);
      b[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo, hi));
      b[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo, hi));
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < 4; i++) {
    a[i] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88);
    a[i + 4] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
    a[i + 8] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88);
    a[i + 12] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 8; i++) {
    rows[i] = (vec)_mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
    rows[i + 8] = (vec)_mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
  }
}
#else
/* Transposes rows[8][8]. */
ADL_INLINE void vec_transpose(vec rows[ADL_VECTOR]) {
  __m256 a[8], b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; j++) {
      b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
      b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; i++) {
    rows[i] = (vec)_mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    rows[i + 4] = (vec)_mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}
#endif

/* Sets transposed[c] to column c of from[rows, columns], with row stride `step`. rows and columns
 * are at most ADL_VECTOR; the rest is set to 0. */
ADL_INLINE void vec_transpose_square(const float *from, ptrdiff_t step, int64_t rows,
                                     int64_t columns, vec transposed[ADL_VECTOR]) {
  float square[ADL_VECTOR][ADL_VECTOR] __attribute__((aligned(64))) = {{0}};
  for (int64_t r = 0; r < rows; r++) {
    if (columns == ADL_VECTOR) /* a constant size compiles to a vector move */
      memcpy(square[r], from + r * step, sizeof square[r]);
    else
      memcpy(square[r], from + r * step, sizeof(float) * (size_t)columns);
  }
#pragma GCC unroll 16
  for (int r = 0; r < ADL_VECTOR; r++) transposed[r] = vec_load(square[r]);
  vec_transpose(transposed);
}
