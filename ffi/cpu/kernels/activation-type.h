/*
 * The type of activations: float, or bf16 with -DADL_BF16. Kernels compute in float and access
 * activations only through this header, or through dot-tile.h and operands.h in products, so that
 * the build compiles each source over both types (kernelUnits of ffi/cpu/build.ts). bf16 needs
 * AVX-512.
 */
#pragma once

#include "vector.h"

#ifdef ADL_BF16

typedef uint16_t act; /* upper half of a float */
#define ADL_ACT(name) adl_##name##_bf16

ADL_INLINE float act_load(const act *p) {
  const uint32_t bits = (uint32_t)*p << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
ADL_INLINE void act_store(act *p, float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  *p = (act)(x == x ? rounded : bits >> 16 | 0x40u);
}

ADL_INLINE vec vec_load_act(const act *p) {
  return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
}

/* Rounds 16 floats to bf16, each in the low half of its lane. */
ADL_INLINE __m512i vec_act_bits(vec x) {
#ifdef __AVX512BF16__
  /* Flushes subnormal floats to 0. */
  return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x));
#else
  const __m512i bits = (__m512i)x, half = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(half, _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 number = _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_ORD_Q);
  const __m512i nan = _mm512_or_si512(half, _mm512_set1_epi32(0x40));
  return _mm512_mask_srli_epi32(nan, number, up, 16);
#endif
}

/* Returns sum plus the dot products of 16 bf16 pairs. */
ADL_INLINE vec vec_add_pairs(vec sum, __m512i a, __m512i b) {
#ifdef __AVX512BF16__
  return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
  const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
  sum += (vec)_mm512_and_si512(a, upper) * (vec)_mm512_and_si512(b, upper);
  return sum + (vec)_mm512_slli_epi32(a, 16) * (vec)_mm512_slli_epi32(b, 16);
#endif
}

ADL_INLINE void vec_store_act(act *p, vec x) {
#ifdef __AVX512BF16__
  _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)x));
#else
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(vec_act_bits(x)));
#endif
}

#else

typedef float act;
#define ADL_ACT(name) adl_##name##_f32

ADL_INLINE float act_load(const act *p) { return *p; }
ADL_INLINE void act_store(act *p, float x) { *p = x; }
ADL_INLINE vec vec_load_act(const act *p) { return vec_load(p); }
ADL_INLINE void vec_store_act(act *p, vec x) { vec_store(p, x); }

#endif

/* Sets to[i] = value, an expression of i, for i in [from, end). `value` may read to[i]. */
#define ACT_SET(to, i, from, end, value)                                                           \
  ADL_PRAGMA(omp simd)                                                                             \
  for (int64_t i = (from); i < (end); i++) act_store((to) + i, value);
