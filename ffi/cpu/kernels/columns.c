/* Kernels along the columns of a matrix, and the low-rank update of a linear layer. */
#include "activation.h"
#include "small-gemm.h"

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

/* Sets y[r, c] = x[r, c] * scale[c] * factor; y may be x. */
ADL_API int ADL_ACT(scale_columns)(const act *x, const float *scale, float factor, act *y,
                                   int64_t rows, int64_t cols) {
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const act *from = x + r * cols;
      act *to = y + r * cols;
      ACT_SET(to, c, 0, cols, act_load(from + c) * scale[c] * factor)
    }
  }
  return ADL_OK;
}

/* Rows whose terms are added up before they meet the running sum: fewer passes over it, and less
 * rounding. */
enum { BLOCK_ROWS = 8 };

/* x[i], or x[i] * y[i] where y is given. */
ADL_INLINE float term(const act *x, const act *y, int64_t i) {
  return y ? act_load(x + i) * act_load(y + i) : act_load(x + i);
}

/* sums[c] += the terms of `rows` rows, at most BLOCK_ROWS. */
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

ADL_APART void add_row_sums(const act *x, float *restrict sums, int64_t rows, int64_t cols) {
  add_rows(x, NULL, sums, rows, cols);
}

ADL_APART void add_row_dots(const act *x, const act *y, float *restrict sums, int64_t rows,
                            int64_t cols) {
  add_rows(x, y, sums, rows, cols);
}

#ifndef ADL_BF16
/* Floats of scratch that the two kernels below need. */
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

/* Rows of y that are updated together: as many as a tile has, so that the columns of each are read
 * in a stream. */
enum { LOW_RANK_ROWS = 6 };

#ifndef ADL_BF16
/* Floats of scratch that add_low_rank needs. */
ADL_API int64_t adl_low_rank_scratch(int64_t cols, int64_t rank, int transposed) {
  return transposed ? cols * rank : 0;
}
#endif

/*
 * Adds: y[rows, cols] += h[rows, rank] . factor (+ bias[cols], where it is given), in one pass over
 * y. factor is [rank, cols], or [cols, rank] when `transposed`: it is turned into scratch first.
 * Where `activated` is given, which may be y, it is set to f(y) while rows are close.
 */
ADL_API int ADL_ACT(add_low_rank)(act *y, const float *h, const float *factor, const float *bias,
                                  int64_t rows, int64_t cols, int64_t rank, int transposed,
                                  int kind, act *activated, float *scratch) {
  if (activated && (kind < 0 || kind >= ACTIVATIONS)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  if (transposed) {
    ADL_FOR_PARTS(part, parts) {
      adl_range range = adl_part(cols, ADL_LINE, part, parts);
      for (int64_t k = 0; k < rank; k++) {
        for (int64_t c = range.from; c < range.to; c++)
          scratch[k * cols + c] = factor[c * rank + k];
      }
    }
    factor = scratch;
  }
  const int64_t whole = cols / ADL_VECTOR * ADL_VECTOR;
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, LOW_RANK_ROWS, part, parts);
    for (int64_t r = range.from; r < range.to; r += LOW_RANK_ROWS) {
      int block = (int)adl_min(range.to - r, LOW_RANK_ROWS);
      ADL_ACT(small_gemm)(block, (int)whole, (int)rank, h + r * rank, rank, 1, factor, cols,
                          y + r * cols, cols, 1, bias);
      for (int64_t i = r; i < r + block; i++) {
        for (int64_t c = whole; c < cols; c++) {
          float sum = bias ? bias[c] : 0.0f;
          for (int64_t k = 0; k < rank; k++) sum += h[i * rank + k] * factor[k * cols + c];
          act_store(y + i * cols + c, act_load(y + i * cols + c) + sum);
        }
      }
      if (activated) ADL_ACT(activate_run)(kind, y + r * cols, activated + r * cols, block * cols);
    }
  }
  return ADL_OK;
}
