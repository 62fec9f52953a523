/* Rotary position embedding (Su et al., 2021). */
#include "activation-type.h"

/* Rotates the pairs (x[i], x[half + i]) of one head by the angles of cos and sin. */
ADL_NOINLINE void rotate_head(act *x, const float *cos, const float *sin, float sign,
                              int64_t half) {
  act *y = x + half;
  ADL_PRAGMA(omp simd)
  for (int64_t i = 0; i < half; i++) {
    const float a = act_load(x + i), b = act_load(y + i), s = sign * sin[i];
    act_store(x + i, a * cos[i] - b * s);
    act_store(y + i, b * cos[i] + a * s);
  }
}

/*
 * In place: rotates the first `rotated` columns of each head by its row's position, or back if
 * `inverse`. Heads are the first heads * head_dim columns of x, whose row stride is `stride`; cos and
 * sin are [table_rows, rotated / 2].
 */
ADL_API int ADL_ACT(rotate)(act *x, const float *cos, const float *sin, const int32_t *positions,
                            int64_t rows, int64_t heads, int64_t head_dim, int64_t rotated,
                            int64_t stride, int64_t table_rows, int inverse) {
  const int64_t half = rotated / 2;
  const float sign = inverse ? -1.0f : 1.0f;
  for (int64_t r = 0; r < rows; r++) {
    if (positions[r] < 0 || positions[r] >= table_rows) return ADL_BAD_INDEX;
  }
  const int parts = adl_parts(rows * heads * rotated);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const int64_t at = positions[r] * half;
      for (int64_t head = 0; head < heads; head++)
        rotate_head(x + r * stride + head * head_dim, cos + at, sin + at, sign, half);
    }
  }
  return ADL_OK;
}
