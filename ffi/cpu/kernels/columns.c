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
/* Floats of scratch that add_low_rank needs: the list of kept triplets, the factor, and of each
 * part some rows of h. */
ADL_API int64_t adl_low_rank_scratch(int64_t rows, int64_t cols, int64_t rank) {
  const int64_t ranks = adl_round_up(rank, ADL_LINE);
  return ranks + ranks * cols + adl_parts(rows * cols) * LOW_RANK_ROWS * ranks;
}
#endif

/* Lists the triplets whose e is not 0, all without e, and returns how many they are. */
static int list_kept(const float *e, int64_t rank, int32_t *kept) {
  int count = 0;
  for (int64_t k = 0; k < rank; k++) {
    if (!e || e[k] != 0.0f) kept[count++] = (int32_t)k;
  }
  return count;
}

typedef struct {
  const float *factor, *e;
  float scale;
  int64_t cols, rank;
  int transposed;
} low_rank_factor;

/* Sets columns of y[count, cols], the factor's rows that are kept, times e and scale. */
static void set_kept_rows(const low_rank_factor *f, const int32_t *kept, int count,
                          adl_range columns, float *y) {
  for (int i = 0; i < count; i++) {
    const int64_t k = kept[i];
    const float times = f->e ? f->e[k] * f->scale : f->scale;
    float *to = y + i * f->cols;
    if (f->transposed) {
      for (int64_t c = columns.from; c < columns.to; c++)
        to[c] = times * f->factor[c * f->rank + k];
    } else {
      const float *row = f->factor + k * f->cols;
#pragma omp simd
      for (int64_t c = columns.from; c < columns.to; c++) to[c] = times * row[c];
    }
  }
}

/* Sets y[rows, count] to the kept columns of h[rows, rank], and returns it. */
static const float *set_kept_columns(const float *h, int64_t rank, const int32_t *kept, int count,
                                     int rows, float *y) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t k = 0; k < count; k++) y[r * count + k] = h[r * rank + kept[k]];
  }
  return y;
}

/* Adds: y[rows, cols] += left[rows, rank] . right[rank, cols] (+ bias[cols]). */
ADL_INLINE void add_product(act *y, const float *left, const float *right, const float *bias,
                            int rows, int64_t cols, int rank) {
  const int64_t whole = cols / ADL_VECTOR * ADL_VECTOR;
  ADL_ACT(small_gemm)(rows, (int)whole, rank, left, rank, 1, right, cols, y, cols, 1, bias);
  for (int r = 0; r < rows; r++) {
    for (int64_t c = whole; c < cols; c++) {
      float sum = bias ? bias[c] : 0.0f;
      for (int k = 0; k < rank; k++) sum += left[r * rank + k] * right[k * cols + c];
      act_store(y + r * cols + c, act_load(y + r * cols + c) + sum);
    }
  }
}

/*
 * Adds: y[rows, cols] += scale * h[rows, rank] . diag(e) . factor (+ bias[cols], where it is
 * given), in one pass over y. factor is [rank, cols], or [cols, rank] when `transposed`; e may be
 * NULL. Triplets whose e is 0 are left out: nothing of them is read. Where `activated` is given,
 * which may be y, it is set to f(y) while rows are close.
 */
ADL_API int ADL_ACT(add_low_rank)(act *y, const float *h, const float *e, float scale,
                                  const float *factor, const float *bias, int64_t rows,
                                  int64_t cols, int64_t rank, int transposed, int kind,
                                  act *activated, float *scratch) {
  if (activated && (kind < 0 || kind >= ACTIVATIONS)) return ADL_BAD_INDEX;
  const int64_t ranks = adl_round_up(rank, ADL_LINE);
  int32_t *kept = (int32_t *)scratch;
  float *right = scratch + ranks, *spaces = right + ranks * cols;
  const int count = list_kept(e, rank, kept);
  if (count == 0 && !bias && !activated) return ADL_OK;
  const int parts = adl_parts(rows * cols);
  const low_rank_factor from = {factor, e, scale, cols, rank, transposed};
  ADL_FOR_PARTS(part, parts) {
    set_kept_rows(&from, kept, count, adl_part(cols, ADL_LINE, part, parts), right);
  }
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, LOW_RANK_ROWS, part, parts);
    float *space = spaces + part * LOW_RANK_ROWS * ranks;
    for (int64_t r = range.from; r < range.to; r += LOW_RANK_ROWS) {
      const int block = (int)adl_min(range.to - r, LOW_RANK_ROWS);
      const float *left = h + r * rank;
      if (count < rank) left = set_kept_columns(left, rank, kept, count, block, space);
      add_product(y + r * cols, left, right, bias, block, cols, count);
      if (activated) ADL_ACT(activate_run)(kind, y + r * cols, activated + r * cols, block * cols);
    }
  }
  return ADL_OK;
}
