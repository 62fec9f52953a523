/*
 * exp, the normal distribution, tanh and the sigmoid in plain C that compilers vectorise: no branches, calls or
 * tables. Coefficients are minimax fits in relative error. The error bounds below hold for the
 * whole function in float and are measured by test/ffi/cpu/vector-math.test.ts.
 */
#pragma once

#include "adl.h"

ADL_INLINE int32_t bits_of(float x) {
  int32_t i;
  memcpy(&i, &x, sizeof i);
  return i;
}

ADL_INLINE float float_of(int32_t i) {
  float x;
  memcpy(&x, &i, sizeof x);
  return x;
}

/* e^x for x <= 0: x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 Q(r). Returns 0 below -87.3
 * (the end of float's normal range) and NaN for NaN. Relative error below 1e-7. */
ADL_INLINE float exp_negative(float x) {
  const float magic = 0x1.8p23f; /* adding it rounds to an integer, left in the low bits */
  float clamped = x < -87.3f ? -87.3f : x;
  float shifted = clamped * 0x1.715476p0f + magic;
  float n = shifted - magic;
  float r = clamped - n * 0x1.62e4p-1f; /* ln 2 in two parts; the first is exact times n */
  r = r - n * 0x1.7f7d1cp-20f;
  float q = 0.0013814467238262296f;
  q = q * r + 0.008368780836462975f;
  q = q * r + 0.04166839271783829f;
  q = q * r + 0.1666651964187622f;
  q = q * r + 0.4999999403953552f;
  float p = q * (r * r) + r + 1.0f;
  float scaled = float_of((int32_t)((uint32_t)bits_of(p) + ((uint32_t)bits_of(shifted) << 23)));
  scaled = x < -87.3f ? 0.0f : scaled;
  return x == x ? scaled : x;
}

typedef struct {
  float cdf, pdf;
} gauss;

/*
 * CDF and density of N(0, 1). The tail is exp(-x^2/2) t P(t) with t = 1 / (1 + 0.265 |x|), which
 * keeps its relative accuracy for large |x|. Error of cdf: below 4e-7 relative for x > -1, 1e-6 for
 * x > -5, 2e-7 absolute everywhere; of pdf: 1e-7 absolute.
 */
ADL_INLINE gauss gauss_at(float x) {
  float a = fabsf(x);
  float t = 1.0f / (1.0f + 0.265f * a);
  float p = 0.030820759013295174f;
  p = p * t - 0.14422819018363953f;
  p = p * t + 0.2178141474723816f;
  p = p * t - 0.11636172980070114f;
  p = p * t + 0.1379525363445282f;
  p = p * t + 0.060313332825899124f;
  p = p * t + 0.10270092636346817f;
  p = p * t + 0.1052466630935669f;
  p = p * t + 0.10574156045913696f;
  float e = exp_negative(-0.5f * x * x);
  float tail = e * (t * p);
  return (gauss){x < 0.0f ? tail : 1.0f - tail, e * 0.3989422804014327f};
}

/* tanh: an odd polynomial below 0.625, 1 - 2 / (e^2|x| + 1) above. Relative error below 3e-7. */
ADL_INLINE float tanh_at(float x) {
  float a = fabsf(x);
  float s = x * x;
  float p = -0.00570498313754797f;
  p = p * s + 0.0206390842795372f;
  p = p * s - 0.05373971536755562f;
  p = p * s + 0.13331441581249237f;
  p = p * s - 0.3333328068256378f;
  float small = x + x * (s * p);
  float e = exp_negative(-2.0f * a);
  float large = copysignf((1.0f - e) / (1.0f + e), x);
  return a < 0.625f ? small : large;
}

/* 1 / (1 + e^-x), and 0 where e^x is below float's normal range. Relative error below 3e-7. */
ADL_INLINE float sigmoid_at(float x) {
  const float e = exp_negative(-fabsf(x));
  const float inverse = 1.0f / (1.0f + e);
  return x < 0.0f ? e * inverse : inverse;
}
