/* Element-wise kernels. All are bound by memory bandwidth. */
#include "activation.h"
#include "philox.h"
#include "vector-math.h"

/* Sets y[i] = value for each i in [0, n), in parallel over whole cache lines. */
#define SET_EACH(y, i, n, value)                                                                   \
  const int parts = adl_parts(n);                                                                  \
  ADL_FOR_PARTS(part, parts) {                                                                     \
    adl_range range = adl_part(n, ADL_LINE, part, parts);                                          \
    ACT_SET(y, i, range.from, range.to, value)                                                     \
  }                                                                                                \
  return ADL_OK

/* Adds: y += x. */
ADL_API int ADL_ACT(add)(act *y, const act *x, int64_t n) {
  SET_EACH(y, i, n, act_load(y + i) + act_load(x + i));
}

/* Sets y = x * factor; y may be x. */
ADL_API int ADL_ACT(scale)(const act *x, float factor, act *y, int64_t n) {
  SET_EACH(y, i, n, act_load(x + i) * factor);
}

/* Sets y = x * s[0]; y may be x. */
ADL_API int ADL_ACT(scale_by)(const act *x, const float *s, act *y, int64_t n) {
  const float factor = *s;
  SET_EACH(y, i, n, act_load(x + i) * factor);
}

/* Sets y = |x|; y may be x. */
ADL_API int ADL_ACT(absolute)(const act *x, act *y, int64_t n) {
  SET_EACH(y, i, n, fabsf(act_load(x + i)));
}

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

#define SET_Y(f) ACT_SET(y, i, 0, n, f(act_load(x + i)))

void ADL_ACT(activate_run)(int kind, const act *x, act *y, int64_t n) {
  switch (kind) {
  case GELU:
    SET_Y(gelu)
    break;
  case GELU_NEW:
    SET_Y(gelu_new)
    break;
  case RELU:
    SET_Y(relu)
    break;
  case TANH:
    SET_Y(tanh_at)
    break;
  case SILU:
    SET_Y(silu)
    break;
  }
}

/* Sets y = f(x); y may be x. */
ADL_API int ADL_ACT(activate)(int kind, const act *x, act *y, int64_t n) {
  if (kind < 0 || kind >= ACTIVATIONS) return ADL_BAD_INDEX;
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, ADL_LINE, part, parts);
    ADL_ACT(activate_run)(kind, x + range.from, y + range.from, range.to - range.from);
  }
  return ADL_OK;
}

#define SET_DX(slope) ACT_SET(dx, i, 0, n, act_load(dy + i) * slope(act_load(x + i)))

ADL_NOINLINE void multiply_slopes(int kind, const act *x, const act *dy, act *dx, int64_t n) {
  switch (kind) {
  case GELU:
    SET_DX(gelu_slope)
    break;
  case GELU_NEW:
    SET_DX(gelu_new_slope)
    break;
  case RELU:
    SET_DX(relu_slope)
    break;
  case TANH:
    SET_DX(tanh_slope)
    break;
  case SILU:
    SET_DX(silu_slope)
    break;
  }
}

/* Sets dx = dy * f'(x); dx may be dy. */
ADL_API int ADL_ACT(activation_bwd)(int kind, const act *x, const act *dy, act *dx, int64_t n) {
  if (kind < 0 || kind >= ACTIVATIONS) return ADL_BAD_INDEX;
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, ADL_LINE, part, parts);
    multiply_slopes(kind, x + range.from, dy + range.from, dx + range.from, range.to - range.from);
  }
  return ADL_OK;
}

/* Columns whose dropout factors are drawn at a time, so that they stay in L1. */
enum { STRIP = 1024 };

/* Sets y[rows, cols] = dropout(x); y may be x. */
ADL_API int ADL_ACT(dropout)(const act *x, act *y, int64_t rows, int64_t cols,
                             const adl_dropout *dropout) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    float factors[STRIP + ADL_FACTORS_SLACK];
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      for (int64_t first = 0; first < cols; first += STRIP) {
        int64_t width = adl_min(cols - first, STRIP);
        adl_dropout_row(dropout, (uint32_t)r, first, width, factors);
        const act *from = x + r * cols + first;
        act *to = y + r * cols + first;
        ACT_SET(to, c, 0, width, act_load(from + c) * factors[c])
      }
    }
  }
  return ADL_OK;
}
