/* Element-wise kernels. All are bound by memory bandwidth. */
#include "activation.h"
#include "activation-math.h"
#include "philox.h"

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

#define SET_Y(f, slope) ACT_SET(y, i, 0, n, f(act_load(x + i)))

void ADL_ACT(activate_run)(int kind, const act *x, act *y, int64_t n) {
  FOR_ACTIVATION(kind, SET_Y)
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

#define SET_DX(f, slope) ACT_SET(dx, i, 0, n, act_load(dy + i) * slope(act_load(x + i)))

ADL_NOINLINE void multiply_slopes(int kind, const act *x, const act *dy, act *dx, int64_t n) {
  FOR_ACTIVATION(kind, SET_DX)
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

/* Sets y[rows, cols] = residual + dropout(x); y may be x or residual, dropout NULL for none. */
ADL_API int ADL_ACT(add_dropout)(const act *x, const act *residual, act *y, int64_t rows,
                                 int64_t cols, const adl_dropout *dropout) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    float factors[STRIP + ADL_FACTORS_SLACK];
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      for (int64_t first = 0; first < cols; first += STRIP) {
        const int64_t width = adl_min(cols - first, STRIP), at = r * cols + first;
        const act *from = x + at, *addend = residual + at;
        act *to = y + at;
        if (dropout) {
          adl_dropout_row(dropout, (uint32_t)r, first, width, factors);
          ACT_SET(to, c, 0, width, act_load(from + c) * factors[c] + act_load(addend + c))
        } else {
          ACT_SET(to, c, 0, width, act_load(from + c) + act_load(addend + c))
        }
      }
    }
  }
  return ADL_OK;
}
