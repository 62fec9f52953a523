/* Kernels that gather and scatter rows by index. */
#include "activation-type.h"

static int all_below(const int32_t *ids, int64_t n, int64_t lowest, int64_t limit) {
  int bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t i = 0; i < n; i++) bad |= (ids[i] < lowest) | (ids[i] >= limit);
  return !bad;
}

/* Sets y[r] = table[ids[r]], or adds it if `add`. table is [table_rows, cols]. */
ADL_API int ADL_ACT(gather_rows)(const act *table, int64_t table_rows, const int32_t *ids, act *y,
                                 int64_t rows, int64_t cols, int add) {
  if (!all_below(ids, rows, 0, table_rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const act *from = table + ids[r] * cols;
      act *to = y + r * cols;
      if (!add) {
        memcpy(to, from, sizeof(act) * (size_t)cols);
        continue;
      }
      ACT_SET(to, c, 0, cols, act_load(to + c) + act_load(from + c))
    }
  }
  return ADL_OK;
}

#ifdef ADL_BF16
/* Sets y[r] = table[ids[r]], or adds it if `add`, from a float table: a trained one, or one of
 * which few rows are read. */
ADL_API int ADL_ACT(gather_float_rows)(const float *table, int64_t table_rows, const int32_t *ids,
                                       act *y, int64_t rows, int64_t cols, int add) {
  if (!all_below(ids, rows, 0, table_rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const float *from = table + ids[r] * cols;
      act *to = y + r * cols;
      ACT_SET(to, c, 0, cols, add ? act_load(to + c) + from[c] : from[c])
    }
  }
  return ADL_OK;
}
#endif

/* Adds: table[ids[r]] += dy[r], with a float table. Each part owns columns, so that every sum runs
 * over the rows in order. */
ADL_API int ADL_ACT(scatter_add_rows)(const act *dy, const int32_t *ids, float *table,
                                      int64_t table_rows, int64_t rows, int64_t cols) {
  if (!all_below(ids, rows, 0, table_rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(cols, ADL_LINE, part, parts);
    for (int64_t r = 0; r < rows; r++) {
      const act *from = dy + r * cols;
      float *to = table + ids[r] * cols;
#pragma omp simd
      for (int64_t c = range.from; c < range.to; c++) to[c] += act_load(from + c);
    }
  }
  return ADL_OK;
}

#ifdef ADL_BF16
/* The same with a table of the activation type. */
ADL_API int ADL_ACT(scatter_add_act_rows)(const act *dy, const int32_t *ids, act *table,
                                          int64_t table_rows, int64_t rows, int64_t cols) {
  if (!all_below(ids, rows, 0, table_rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(cols, ADL_LINE, part, parts);
    for (int64_t r = 0; r < rows; r++) {
      const act *from = dy + r * cols;
      act *to = table + ids[r] * cols;
      ACT_SET(to, c, range.from, range.to, act_load(to + c) + act_load(from + c))
    }
  }
  return ADL_OK;
}
#endif

/* Sets y[r, c * width + t] = x[neighbours[r * width + t], c], 0 where the neighbour is -1. x is
 * [rows, cols]. */
ADL_API int ADL_ACT(unfold)(const act *x, const int32_t *neighbours, act *y, int64_t rows,
                            int64_t cols, int64_t width) {
  if (!all_below(neighbours, rows * width, -1, rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols * width);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      for (int64_t t = 0; t < width; t++) {
        const int32_t from = neighbours[r * width + t];
        act *to = y + r * cols * width + t;
        for (int64_t c = 0; c < cols; c++)
          act_store(to + c * width, from < 0 ? 0.0f : act_load(x + from * cols + c));
      }
    }
  }
  return ADL_OK;
}

/*
 * Adds: dx[neighbours[r * width + t], c] += dy[r, c * width + t]. Each part owns columns, as above.
 */
ADL_API int ADL_ACT(fold_add)(const act *dy, const int32_t *neighbours, act *dx, int64_t rows,
                              int64_t cols, int64_t width) {
  if (!all_below(neighbours, rows * width, -1, rows)) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols * width);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(cols, ADL_LINE, part, parts);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t t = 0; t < width; t++) {
        const int32_t to = neighbours[r * width + t];
        const act *from = dy + r * cols * width + t;
        for (int64_t c = range.from; to >= 0 && c < range.to; c++) {
          act *sum = dx + to * cols + c;
          act_store(sum, act_load(sum) + act_load(from + c * width));
        }
      }
    }
  }
  return ADL_OK;
}
