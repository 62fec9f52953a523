/* Root mean square normalisation (Zhang and Sennrich, 2019). */
#include "activation-type.h"

/* Sets y[rows, cols] = x * rstd * weight, and rstd [rows] = 1 / sqrt(mean(x^2) + eps) of each row;
 * y may be x. */
ADL_API int ADL_ACT(rms_norm)(const act *x, const float *weight, act *y, float *rstd, int64_t rows,
                              int64_t cols, float eps) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const act *row = x + r * cols;
      act *out = y + r * cols;
      float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
      for (int64_t c = 0; c < cols; c++) squares += act_load(row + c) * act_load(row + c);
      const float scale = 1.0f / sqrtf(squares / (float)cols + eps);
      rstd[r] = scale;
      ACT_SET(out, c, 0, cols, act_load(row + c) * scale * weight[c])
    }
  }
  return ADL_OK;
}

/* dx = rstd * (g - xhat * mean(g * xhat)) for one row, with g = dy * weight and xhat = x * rstd. */
ADL_NOINLINE void set_dx(const act *dy, const act *x, const float *weight, float rstd, act *dx,
                         int64_t cols) {
  float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
  for (int64_t c = 0; c < cols; c++)
    dot += act_load(dy + c) * weight[c] * (act_load(x + c) * rstd);
  const float mean = dot / (float)cols;
  ACT_SET(dx, c, 0, cols,
          (act_load(dy + c) * weight[c] - act_load(x + c) * rstd * mean) * rstd)
}

/* Adds one row's contribution to dweight. */
ADL_NOINLINE void add_dweight(const act *dy, const act *x, float rstd, float *restrict dweight,
                              int64_t cols) {
#pragma omp simd
  for (int64_t c = 0; c < cols; c++) dweight[c] += act_load(dy + c) * (act_load(x + c) * rstd);
}

#ifndef ADL_BF16
/* Floats of scratch for rms_norm_bwd. */
ADL_API int64_t adl_rms_norm_bwd_scratch(int64_t rows, int64_t cols) {
  return adl_parts(rows * cols) * adl_round_up(cols, ADL_LINE);
}
#endif

/* Sets dx[rows, cols], which may be dy. Adds to dweight [cols] unless it is NULL: partial sums over
 * rows in scratch, added in order. */
ADL_API int ADL_ACT(rms_norm_bwd)(const act *dy, const act *x, const float *weight,
                                  const float *rstd, act *dx, float *dweight, int64_t rows,
                                  int64_t cols, float *scratch) {
  const int64_t stride = adl_round_up(cols, ADL_LINE);
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    float *sums = scratch + part * stride;
    if (dweight) memset(sums, 0, sizeof(float) * (size_t)cols);
    for (int64_t r = range.from; r < range.to; r++) {
      const int64_t at = r * cols;
      if (dweight) add_dweight(dy + at, x + at, rstd[r], sums, cols);
      set_dx(dy + at, x + at, weight, rstd[r], dx + at, cols);
    }
  }
  for (int part = 0; part < parts; part++) {
    for (int64_t c = 0; dweight && c < cols; c++) dweight[c] += scratch[part * stride + c];
  }
  return ADL_OK;
}
