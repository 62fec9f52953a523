/* LayerNorm with the residual connection and dropout before it: one warp a row. */
#include "columns.h"

/* Sets row = residual + dropout(row), without a residual where it is NULL. A lane treats four
 * columns at a time, for which it draws one Philox block. */
template <class T>
DEVICE void add_residual(T *x, const T *residual, i32 row, i32 cols, const Dropout &dropout) {
  for (i32 group = lane(); 4 * group < cols; group += WARP) {
    const Factors factors = dropout_factors(dropout, row, group);
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i32 col = 4 * group + i;
      if (col >= cols) continue;
      const f32 value = load(x + col) * factors.of[i];
      store(x + col, residual ? load(residual + col) + value : value);
    }
  }
}

/*
 * Sets x = residual + dropout(x), either of which may be absent, then y = (x - mean) * rstd *
 * weight + bias per row, mean [rows] and rstd [rows]. residual and bias may be NULL.
 */
template <class T>
DEVICE void add_layer_norm(T *x, const T *residual, const f32 *weight, const f32 *bias, T *y,
                           f32 *mean, f32 *rstd, i32 rows, i32 cols, f32 eps,
                           const Dropout &dropout) {
  const i32 row = warp_index();
  if (row >= rows) return;
  x += (i64)row * cols;
  y += (i64)row * cols;
  if (residual || dropout.threshold != 0) {
    add_residual(x, residual ? residual + (i64)row * cols : residual, row, cols, dropout);
    __syncwarp(); /* below, lanes read what others have stored */
  }
  f32 sum = 0.0f, squares = 0.0f;
  for (i32 col = lane(); col < cols; col += WARP) sum += load(x + col);
  const f32 mu = warp_sum(sum) / (f32)cols;
  for (i32 col = lane(); col < cols; col += WARP) {
    const f32 centred = load(x + col) - mu;
    squares += centred * centred;
  }
  const f32 scale = 1.0f / sqrtf(warp_sum(squares) / (f32)cols + eps);
  for (i32 col = lane(); col < cols; col += WARP) {
    const f32 offset = bias ? bias[col] : 0.0f;
    store(y + col, (load(x + col) - mu) * scale * weight[col] + offset);
  }
  if (lane() == 0) {
    mean[row] = mu;
    rstd[row] = scale;
  }
}

/*
 * From the saved x = residual + dropout(x): sets dsum [rows, cols], which may be dy, to
 *   rstd * (g - mean(g) - xhat * mean(g * xhat)), g = dy * weight, xhat = (x - mean) * rstd
 * and dx, unless it is NULL, to dsum times the dropout factors.
 */
template <class T>
DEVICE void layer_norm_backward(const T *dy, const T *x, const f32 *weight, const f32 *mean,
                                const f32 *rstd, T *dsum, T *dx, i32 rows, i32 cols,
                                const Dropout &dropout) {
  const i32 row = warp_index();
  if (row >= rows) return;
  const i64 first = (i64)row * cols;
  const f32 mu = mean[row], scale = rstd[row];
  f32 sum = 0.0f, dot = 0.0f;
  for (i32 col = lane(); col < cols; col += WARP) {
    const f32 g = load(dy + first + col) * weight[col];
    sum += g;
    dot += g * ((load(x + first + col) - mu) * scale);
  }
  const f32 mean_g = warp_sum(sum) / (f32)cols, mean_dot = warp_sum(dot) / (f32)cols;
  for (i32 col = lane(); col < cols; col += WARP) {
    const f32 g = load(dy + first + col) * weight[col];
    const f32 normalised = (load(x + first + col) - mu) * scale;
    store(dsum + first + col, (g - mean_g - normalised * mean_dot) * scale);
  }
  if (!dx) return;
  __syncwarp(); /* below, lanes read what others have stored */
  for (i32 group = lane(); 4 * group < cols; group += WARP) {
    const Factors factors = dropout_factors(dropout, row, group);
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i64 at = first + 4 * group + i;
      if (4 * group + i < cols) store(dx + at, load(dsum + at) * factors.of[i]);
    }
  }
}

/* Adds: dweight[c] += sum over r of dy[r, c] * xhat[r, c], and dbias[c] += sum over r of dy[r, c];
 * either may be NULL. */
template <class T>
DEVICE void layer_norm_parameters(const T *dy, const T *x, const f32 *mean, const f32 *rstd,
                                  f32 *dweight, f32 *dbias, i32 rows, i32 cols) {
  sum_columns<2>(
      rows, cols,
      [=](Sums<2> &sums, i64 row, i32 col) {
        const f32 d = load(dy + row * cols + col);
        sums.of[0] += d * ((load(x + row * cols + col) - mean[row]) * rstd[row]);
        sums.of[1] += d;
      },
      [=](i32 col, const Sums<2> &sums) {
        if (dweight) dweight[col] += sums.of[0];
        if (dbias) dbias[col] += sums.of[1];
      });
}

#define KERNELS(T)                                                                                 \
  KERNEL void add_layer_norm_##T(T *x, const T *residual, const f32 *weight, const f32 *bias,      \
                                 T *y, f32 *mean, f32 *rstd, i32 rows, i32 cols, f32 eps,          \
                                 DROPOUT_PARAMETERS) {                                             \
    add_layer_norm(x, residual, weight, bias, y, mean, rstd, rows, cols, eps, DROPOUT_ARGUMENTS);  \
  }                                                                                                \
  KERNEL void layer_norm_backward_##T(const T *dy, const T *x, const f32 *weight, const f32 *mean, \
                                      const f32 *rstd, T *dsum, T *dx, i32 rows, i32 cols,         \
                                      DROPOUT_PARAMETERS) {                                        \
    layer_norm_backward(dy, x, weight, mean, rstd, dsum, dx, rows, cols, DROPOUT_ARGUMENTS);       \
  }                                                                                                \
  KERNEL void layer_norm_parameters_##T(const T *dy, const T *x, const f32 *mean, const f32 *rstd, \
                                        f32 *dweight, f32 *dbias, i32 rows, i32 cols) {            \
    layer_norm_parameters(dy, x, mean, rstd, dweight, dbias, rows, cols);                          \
  }

KERNELS(f32)
KERNELS(bf16)
