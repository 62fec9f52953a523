/* Kernels along the columns of a matrix. */
#include "activation-type.h"

/* Adds: y[rows, cols] += bias[cols]. */
ADL_API int ADL_ACT(add_bias)(act *y, const float *bias, int64_t rows, int64_t cols) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      act *row = y + r * cols;
      ACT_SET(row, c, 0, cols, act_load(row + c) + bias[c])
    }
  }
  return ADL_OK;
}

/* Rows summed before they are added to the running sum: fewer passes over it, and less rounding. */
enum { BLOCK_ROWS = 8 };

/* x[i], or x[i] * y[i] unless y is NULL. */
ADL_INLINE float term(const act *x, const act *y, int64_t i) {
  return y ? act_load(x + i) * act_load(y + i) : act_load(x + i);
}

/* Adds: sums[c] += the terms of `rows` rows, at most BLOCK_ROWS. */
ADL_INLINE void add_rows(const act *x, const act *y, float *restrict sums, int64_t rows,
                         int64_t cols) {
  if (rows == BLOCK_ROWS) {
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) {
      float low = (term(x, y, c) + term(x, y, cols + c)) +
                  (term(x, y, 2 * cols + c) + term(x, y, 3 * cols + c));
      float high = (term(x, y, 4 * cols + c) + term(x, y, 5 * cols + c)) +
                   (term(x, y, 6 * cols + c) + term(x, y, 7 * cols + c));
      sums[c] += low + high;
    }
    return;
  }
  for (int64_t r = 0; r < rows; r++) {
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) sums[c] += term(x, y, r * cols + c);
  }
}

ADL_NOINLINE void add_row_sums(const act *x, float *restrict sums, int64_t rows, int64_t cols) {
  add_rows(x, NULL, sums, rows, cols);
}

ADL_NOINLINE void add_row_dots(const act *x, const act *y, float *restrict sums, int64_t rows,
                               int64_t cols) {
  add_rows(x, y, sums, rows, cols);
}

#ifndef ADL_BF16
/* Floats of scratch for add_column_sums and add_column_dots. */
ADL_API int64_t adl_column_sums_scratch(int64_t rows, int64_t cols) {
  return adl_parts(rows * cols) * adl_round_up(cols, ADL_LINE);
}
#endif

ADL_INLINE void add_columns(const act *x, const act *y, float factor, float *total, int64_t rows,
                            int64_t cols, float *scratch) {
  const int parts = adl_parts(rows * cols);
  const int64_t stride = adl_round_up(cols, ADL_LINE);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, BLOCK_ROWS, part, parts);
    float *sums = scratch + part * stride;
    memset(sums, 0, sizeof(float) * (size_t)cols);
    for (int64_t r = range.from; r < range.to; r += BLOCK_ROWS) {
      const int64_t block = adl_min(range.to - r, BLOCK_ROWS);
      if (y)
        add_row_dots(x + r * cols, y + r * cols, sums, block, cols);
      else
        add_row_sums(x + r * cols, sums, block, cols);
    }
  }
  for (int64_t c = 0; c < cols; c++) {
    float sum = 0.0f;
    for (int part = 0; part < parts; part++) sum += scratch[part * stride + c];
    total[c] += factor * sum;
  }
}

/* Adds: sum[cols] += sum over rows of x[rows, cols]. */
ADL_API int ADL_ACT(add_column_sums)(const act *x, float *sum, int64_t rows, int64_t cols,
                                     float *scratch) {
  add_columns(x, NULL, 1.0f, sum, rows, cols, scratch);
  return ADL_OK;
}

/* Adds: dots[c] += factor * sum over r of x[r, c] * y[r, c]. */
ADL_API int ADL_ACT(add_column_dots)(const act *x, const act *y, float factor, float *dots,
                                     int64_t rows, int64_t cols, float *scratch) {
  add_columns(x, y, factor, dots, rows, cols, scratch);
  return ADL_OK;
}
