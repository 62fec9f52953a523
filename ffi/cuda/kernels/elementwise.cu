/* Kernels that treat every element alike: one thread an element, or one for four columns where
 * dropout draws four factors at a time. */
#include "device.h"

/* Sets y[i] = value(i) for each i < n. */
template <class T, class Value> DEVICE void set_each(T *y, i64 n, Value value) {
  const i64 i = own_element();
  if (i < n) store(y + i, value(i));
}

/* Sets y[at] = value(at, factor) for four columns and their dropout factors. */
template <class T, class Value>
DEVICE void set_dropped(T *y, i32 cols, const Dropout &dropout, Value value) {
  const i32 row = own_row(), group = own_column();
  const Factors factors = dropout_factors(dropout, row, group);
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    const i32 col = 4 * group + i;
    const i64 at = (i64)row * cols + col;
    if (col < cols) store(y + at, value(at, factors.of[i]));
  }
}

#define KERNELS(T)                                                                                 \
  /* Adds: y += x. */                                                                              \
  KERNEL void add_##T(T *y, const T *x, i64 n) {                                                   \
    set_each(y, n, [=](i64 i) { return load(y + i) + load(x + i); });                              \
  }                                                                                                \
  /* Sets y = x * factor; y may be x. */                                                           \
  KERNEL void scale_##T(f32 factor, const T *x, T *y, i64 n) {                                     \
    set_each(y, n, [=](i64 i) { return load(x + i) * factor; });                                   \
  }                                                                                                \
  /* Sets y = x * s[0]; y may be x. */                                                             \
  KERNEL void scale_by_##T(const f32 *s, const T *x, T *y, i64 n) {                                \
    set_each(y, n, [=](i64 i) { return load(x + i) * *s; });                                       \
  }                                                                                                \
  /* Sets y = |x|; y may be x. */                                                                  \
  KERNEL void absolute_##T(const T *x, T *y, i64 n) {                                              \
    set_each(y, n, [=](i64 i) { return fabsf(load(x + i)); });                                     \
  }                                                                                                \
  /* Sets y = f(x); y may be x. */                                                                 \
  KERNEL void activate_##T(i32 kind, const T *x, T *y, i64 n) {                                    \
    set_each(y, n, [=](i64 i) { return activation(kind, load(x + i)); });                          \
  }                                                                                                \
  /* Sets dx = dy * f'(x); dx may be dy. */                                                        \
  KERNEL void activation_backward_##T(i32 kind, const T *x, const T *dy, T *dx, i64 n) {           \
    set_each(dx, n, [=](i64 i) { return load(dy + i) * activation_slope(kind, load(x + i)); });    \
  }                                                                                                \
  /* Sets y[rows, cols] = dropout(x); y may be x. */                                               \
  KERNEL void dropout_##T(const T *x, T *y, i32 cols, DROPOUT_PARAMETERS) {                        \
    set_dropped(y, cols, DROPOUT_ARGUMENTS,                                                        \
                [=](i64 at, f32 factor) { return load(x + at) * factor; });                        \
  }                                                                                                \
  /* Sets y[rows, cols] = residual + dropout(x); y may be x or residual. */                        \
  KERNEL void add_dropout_##T(const T *x, const T *residual, T *y, i32 cols, DROPOUT_PARAMETERS) { \
    set_dropped(y, cols, DROPOUT_ARGUMENTS,                                                        \
                [=](i64 at, f32 factor) { return load(residual + at) + load(x + at) * factor; });  \
  }

KERNELS(f32)
KERNELS(bf16)

/* Sets to[n] = from, rounded. */
KERNEL void round_to_bf16(const f32 *from, bf16 *to, i64 n) {
  set_each(to, n, [=](i64 i) { return from[i]; });
}
