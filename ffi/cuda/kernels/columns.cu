/* Kernels along the columns of a matrix. */
#include "columns.h"

#define KERNELS(T)                                                                                 \
  /* Adds: y[rows, cols] += bias[cols]. */                                                         \
  KERNEL void add_bias_##T(T *y, const f32 *bias, i32 cols) {                                      \
    const i32 col = own_column();                                                                  \
    T *at = y + (i64)own_row() * cols + col;                                                       \
    if (col < cols) store(at, load(at) + bias[col]);                                               \
  }                                                                                                \
  /* Adds: sums[cols] += sum over rows of x[rows, cols]. */                                        \
  KERNEL void add_column_sums_##T(const T *x, f32 *sums, i32 rows, i32 cols) {                     \
    sum_columns(                                                                                   \
        rows, cols, [=](i64 row, i32 col) { return load(x + row * cols + col); },                  \
        [=](i32 col, f32 sum) { sums[col] += sum; });                                              \
  }                                                                                                \
  /* Adds: dots[c] += factor * sum over r of x[r, c] * y[r, c]. */                                 \
  KERNEL void add_column_dots_##T(const T *x, const T *y, f32 factor, f32 *dots, i32 rows,         \
                                  i32 cols) {                                                      \
    sum_columns(                                                                                   \
        rows, cols,                                                                                \
        [=](i64 row, i32 col) {                                                                    \
          const i64 at = row * cols + col;                                                         \
          return load(x + at) * load(y + at);                                                      \
        },                                                                                         \
        [=](i32 col, f32 sum) { dots[col] += factor * sum; });                                     \
  }

KERNELS(f32)
KERNELS(bf16)
