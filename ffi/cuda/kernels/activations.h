/* Activation functions of one element, and their slopes. */
#pragma once

#include "language.h"

/* Values as in ACTIVATIONS of backend/elementwise.ts. */
enum Activation { GELU, GELU_NEW, RELU, TANH, SILU };

/* CDF and density of N(0, 1). erfc keeps the relative accuracy of the lower tail. */
DEVICE f32 gauss_cdf(f32 x) { return 0.5f * erfcf(x * -0.70710678118654752f); }
DEVICE f32 gauss_pdf(f32 x) { return 0.39894228040143268f * expf(-0.5f * x * x); }

/* 1 / (1 + e^-x); e^-|x| does not overflow. */
DEVICE f32 sigmoid(f32 x) {
  const f32 e = expf(-fabsf(x)), inverse = 1.0f / (1.0f + e);
  return x < 0.0f ? e * inverse : inverse;
}

/* sqrt(2 / pi) and the cubic coefficient of GELU's tanh approximation (Hendrycks and Gimpel, 2016).
 */
#define TANH_SCALE 0.79788456080286536f
#define TANH_CUBIC 0.044715f

DEVICE f32 gelu_new_tanh(f32 x) { return tanhf(TANH_SCALE * (x + TANH_CUBIC * (x * x * x))); }

DEVICE f32 activation(i32 kind, f32 x) {
  switch (kind) {
  case GELU:
    return x * gauss_cdf(x);
  case GELU_NEW:
    return 0.5f * x * (1.0f + gelu_new_tanh(x));
  case RELU:
    return x > 0.0f ? x : 0.0f;
  case TANH:
    return tanhf(x);
  default: /* SILU */
    return x * sigmoid(x);
  }
}

DEVICE f32 gelu_new_slope(f32 x) {
  const f32 t = gelu_new_tanh(x);
  const f32 inner = TANH_SCALE * (1.0f + 3.0f * TANH_CUBIC * (x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * ((1.0f - t * t) * inner);
}

DEVICE f32 silu_slope(f32 x) {
  const f32 s = sigmoid(x);
  return s + x * (s * sigmoid(-x));
}

DEVICE f32 tanh_slope(f32 x) {
  const f32 t = tanhf(x);
  return 1.0f - t * t;
}

/* The derivative of `activation`. */
DEVICE f32 activation_slope(i32 kind, f32 x) {
  switch (kind) {
  case GELU:
    return gauss_cdf(x) + x * gauss_pdf(x);
  case GELU_NEW:
    return gelu_new_slope(x);
  case RELU:
    return x > 0.0f ? 1.0f : 0.0f;
  case TANH:
    return tanh_slope(x);
  default: /* SILU */
    return silu_slope(x);
  }
}
