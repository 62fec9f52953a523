/* Activation functions of one element and their slopes, which compilers vectorise in loops. */
#pragma once

#include "activation.h"
#include "vector-math.h"

/*
 * sqrt(2 / pi) and the cubic coefficient of GELU's tanh approximation (Hendrycks and Gimpel, 2016).
 */
#define TANH_SCALE 0.7978845608028654f
#define TANH_CUBIC 0.044715f

ADL_INLINE float gelu(float x) { return x * gauss_at(x).cdf; }

ADL_INLINE float gelu_slope(float x) {
  gauss g = gauss_at(x);
  return g.cdf + x * g.pdf;
}

ADL_INLINE float gelu_new(float x) {
  return 0.5f * x * (1.0f + tanh_at(TANH_SCALE * (x + TANH_CUBIC * (x * x * x))));
}

ADL_INLINE float gelu_new_slope(float x) {
  float t = tanh_at(TANH_SCALE * (x + TANH_CUBIC * (x * x * x)));
  float inner = TANH_SCALE * (1.0f + 3.0f * TANH_CUBIC * (x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * ((1.0f - t * t) * inner);
}

ADL_INLINE float relu(float x) { return x > 0.0f ? x : 0.0f; }

ADL_INLINE float relu_slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }

ADL_INLINE float tanh_slope(float x) {
  float t = tanh_at(x);
  return 1.0f - t * t;
}

ADL_INLINE float silu(float x) { return x * sigmoid_at(x); }

ADL_INLINE float silu_slope(float x) {
  const float s = sigmoid_at(x);
  return s + x * (s * sigmoid_at(-x));
}

/* Expands APPLY(f, slope) with the activation of `kind` and its slope; nothing for another kind. */
#define FOR_ACTIVATION(kind, APPLY)                                                                \
  switch (kind) {                                                                                  \
  case GELU:                                                                                       \
    APPLY(gelu, gelu_slope)                                                                        \
    break;                                                                                         \
  case GELU_NEW:                                                                                   \
    APPLY(gelu_new, gelu_new_slope)                                                                \
    break;                                                                                         \
  case RELU:                                                                                       \
    APPLY(relu, relu_slope)                                                                        \
    break;                                                                                         \
  case TANH:                                                                                       \
    APPLY(tanh_at, tanh_slope)                                                                     \
    break;                                                                                         \
  case SILU:                                                                                       \
    APPLY(silu, silu_slope)                                                                        \
    break;                                                                                         \
  }
