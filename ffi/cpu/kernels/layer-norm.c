/* Residual add, dropout and layer normalisation (Ba et al., 2016) in one pass, in which a row stays
 * in L1. */
#include "arguments.h"

/* Columns whose dropout factors are drawn at a time. */
enum { STRIP = 1024 };

/* Sets x = residual + dropout(x) for one row; residual and dropout may be NULL. Returns the row's
 * sum. */
ADL_NOINLINE float add_row(act *x, const act *residual, int64_t cols, const adl_dropout *dropout,
                           uint32_t row) {
  float factors[STRIP + ADL_FACTORS_SLACK];
  for (int64_t first = 0; first < cols; first += STRIP) {
    const int64_t width = adl_min(cols - first, STRIP);
    act *strip = x + first;
    const act *addend = residual ? residual + first : NULL;
    if (dropout) adl_dropout_row(dropout, row, first, width, factors);
    if (dropout && addend) {
      ACT_SET(strip, c, 0, width, act_load(strip + c) * factors[c] + act_load(addend + c))
    } else if (dropout) {
      ACT_SET(strip, c, 0, width, act_load(strip + c) * factors[c])
    } else if (addend) {
      ACT_SET(strip, c, 0, width, act_load(strip + c) + act_load(addend + c))
    }
  }
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < cols; c++) sum += act_load(x + c);
  return sum;
}

/*
 * Sets x = residual + dropout(x) in place (residual and dropout may be NULL), then y to the
 * normalised x, (x - mean) * rstd * weight + bias; bias may be NULL. Sets y [rows, cols], mean
 * [rows] and rstd [rows].
 */
ADL_API int ADL_ACT(add_layer_norm)(act *x, const act *residual, const float *weight,
                                    const float *bias, act *y, float *mean, float *rstd,
                                    int64_t rows, int64_t cols, float eps,
                                    const adl_dropout *dropout) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      act *row = x + r * cols, *out = y + r * cols;
      const float mu =
          add_row(row, residual ? residual + r * cols : NULL, cols, dropout, (uint32_t)r) /
          (float)cols;
      float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
      for (int64_t c = 0; c < cols; c++) {
        float centred = act_load(row + c) - mu;
        squares += centred * centred;
      }
      const float scale = 1.0f / sqrtf(squares / (float)cols + eps);
      mean[r] = mu;
      rstd[r] = scale;
      if (bias) {
        ACT_SET(out, c, 0, cols, (act_load(row + c) - mu) * scale * weight[c] + bias[c])
      } else {
        ACT_SET(out, c, 0, cols, (act_load(row + c) - mu) * scale * weight[c])
      }
    }
  }
  return ADL_OK;
}

typedef struct {
  const act *dy, *x;
  const float *weight;
  float mean, rstd;
} row_inputs;

/* dsum = rstd * (g - mean(g) - xhat * mean(g * xhat)), g = dy * weight, xhat = (x - mean) * rstd.
 */
ADL_NOINLINE void set_dsum(row_inputs in, act *dsum, int64_t cols) {
  const float mu = in.mean, rstd = in.rstd;
  const act *dy = in.dy, *x = in.x;
  const float *weight = in.weight;
  float sum = 0.0f, dot = 0.0f;
#pragma omp simd reduction(+ : sum, dot)
  for (int64_t c = 0; c < cols; c++) {
    float g = act_load(dy + c) * weight[c];
    sum += g;
    dot += g * ((act_load(x + c) - mu) * rstd);
  }
  const float mean_g = sum / (float)cols, mean_dot = dot / (float)cols;
  ACT_SET(dsum, c, 0, cols,
          (act_load(dy + c) * weight[c] - mean_g - (act_load(x + c) - mu) * rstd * mean_dot) * rstd)
}

ADL_NOINLINE void set_masked(act *dx, const act *dsum, int64_t cols, const adl_dropout *dropout,
                             uint32_t row) {
  float factors[STRIP + ADL_FACTORS_SLACK];
  for (int64_t first = 0; first < cols; first += STRIP) {
    int64_t width = adl_min(cols - first, STRIP);
    adl_dropout_row(dropout, row, first, width, factors);
    const act *from = dsum + first;
    act *to = dx + first;
    ACT_SET(to, c, 0, width, act_load(from + c) * factors[c])
  }
}

/* Adds one row's contribution to dweight and dbias; either may be NULL. */
ADL_NOINLINE void add_parameters(row_inputs in, float *restrict dweight, float *restrict dbias,
                                 int64_t cols) {
  const float mu = in.mean, rstd = in.rstd;
  const act *dy = in.dy, *x = in.x;
  if (dweight) {
#pragma omp simd
    for (int64_t c = 0; c < cols; c++)
      dweight[c] += act_load(dy + c) * ((act_load(x + c) - mu) * rstd);
  }
  if (dbias) {
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) dbias[c] += act_load(dy + c);
  }
}

#ifndef ADL_BF16
/* Floats of scratch for add_layer_norm_bwd. */
ADL_API int64_t adl_layer_norm_bwd_scratch(int64_t rows, int64_t cols) {
  return adl_parts(rows * cols) * 2 * adl_round_up(cols, ADL_LINE);
}
#endif

/*
 * From the saved x = residual + dropout(x): sets dsum [rows, cols], which may be dy, and dx to dsum
 * times the dropout mask if both are given. Adds to dweight [cols] and dbias [cols] unless they are
 * NULL: partial sums over rows in scratch, added in order.
 */
ADL_API int ADL_ACT(add_layer_norm_bwd)(const layer_norm_bwd_args *args) {
  const int64_t rows = args->rows, cols = args->cols, stride = adl_round_up(cols, ADL_LINE);
  const adl_dropout *dropout = args->dropout;
  float *dweight = args->dweight, *dbias = args->dbias, *scratch = args->scratch;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    float *part_dweight = dweight ? scratch + 2 * part * stride : NULL;
    float *part_dbias = dbias ? scratch + (2 * part + 1) * stride : NULL;
    if (dweight) memset(part_dweight, 0, sizeof(float) * (size_t)cols);
    if (dbias) memset(part_dbias, 0, sizeof(float) * (size_t)cols);
    for (int64_t r = range.from; r < range.to; r++) {
      const int64_t at = r * cols;
      row_inputs in = {args->dy + at, args->x + at, args->weight, args->mean[r], args->rstd[r]};
      add_parameters(in, part_dweight, part_dbias, cols);
      set_dsum(in, args->dsum + at, cols);
      if (dropout && args->dx)
        set_masked(args->dx + at, args->dsum + at, cols, dropout, (uint32_t)r);
    }
  }
  for (int part = 0; part < parts; part++) {
    for (int64_t c = 0; dweight && c < cols; c++) dweight[c] += scratch[2 * part * stride + c];
    for (int64_t c = 0; dbias && c < cols; c++) dbias[c] += scratch[(2 * part + 1) * stride + c];
  }
  return ADL_OK;
}
