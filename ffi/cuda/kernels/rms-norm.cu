/* Root mean square normalisation: one warp a row. */
#include "columns.h"

/* Sets y = x * rstd * weight per row, which may be x, and rstd [rows] = 1 / sqrt(mean(x^2) + eps).
 */
template <class T>
DEVICE void rms_norm(const T *x, const f32 *weight, T *y, f32 *rstd, i32 rows, i32 cols, f32 eps) {
  const i32 row = warp_index();
  if (row >= rows) return;
  x += (i64)row * cols;
  y += (i64)row * cols;
  f32 squares = 0.0f;
  for (i32 col = lane(); col < cols; col += WARP) squares += load(x + col) * load(x + col);
  const f32 scale = 1.0f / sqrtf(warp_sum(squares) / (f32)cols + eps);
  for (i32 col = lane(); col < cols; col += WARP)
    store(y + col, load(x + col) * scale * weight[col]);
  if (lane() == 0) rstd[row] = scale;
}

/* Sets dx [rows, cols], which may be dy, to rstd * (g - xhat * mean(g * xhat)), g = dy * weight,
 * xhat = x * rstd. */
template <class T>
DEVICE void rms_norm_backward(const T *dy, const T *x, const f32 *weight, const f32 *rstd, T *dx,
                              i32 rows, i32 cols) {
  const i32 row = warp_index();
  if (row >= rows) return;
  const i64 first = (i64)row * cols;
  const f32 scale = rstd[row];
  f32 dot = 0.0f;
  for (i32 col = lane(); col < cols; col += WARP)
    dot += load(dy + first + col) * weight[col] * (load(x + first + col) * scale);
  const f32 mean_dot = warp_sum(dot) / (f32)cols;
  for (i32 col = lane(); col < cols; col += WARP) {
    const f32 g = load(dy + first + col) * weight[col];
    store(dx + first + col, (g - load(x + first + col) * scale * mean_dot) * scale);
  }
}

#define KERNELS(T)                                                                                 \
  KERNEL void rms_norm_##T(const T *x, const f32 *weight, T *y, f32 *rstd, i32 rows, i32 cols,     \
                           f32 eps) {                                                              \
    rms_norm(x, weight, y, rstd, rows, cols, eps);                                                 \
  }                                                                                                \
  KERNEL void rms_norm_backward_##T(const T *dy, const T *x, const f32 *weight, const f32 *rstd,   \
                                    T *dx, i32 rows, i32 cols) {                                   \
    rms_norm_backward(dy, x, weight, rstd, dx, rows, cols);                                        \
  }                                                                                                \
  /* Adds: dweight[c] += sum over r of dy[r, c] * xhat[r, c]. */                                   \
  KERNEL void rms_norm_weight_##T(const T *dy, const T *x, const f32 *rstd, f32 *dweight,          \
                                  i32 rows, i32 cols) {                                            \
    sum_columns(                                                                                   \
        rows, cols,                                                                                \
        [=](i64 row, i32 col) {                                                                    \
          const i64 at = row * cols + col;                                                         \
          return load(dy + at) * (load(x + at) * rstd[row]);                                       \
        },                                                                                         \
        [=](i32 col, f32 sum) { dweight[col] += sum; });                                           \
  }

KERNELS(f32)
KERNELS(bf16)
