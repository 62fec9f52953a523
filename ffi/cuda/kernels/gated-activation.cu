/* Gated linear units: one thread an element. */
#include "device.h"

/* An element of packed rows, and of rows that are `stride` apart. */
struct GatedElement {
  i64 packed, strided;
};

DEVICE GatedElement gated_element(i64 index, i32 cols, i32 stride) {
  const i64 row = index / cols;
  return {index, row * stride + (index - row * cols)};
}

/* Sets y[rows, cols] = f(x) * gate; y's rows are packed. */
template <class T>
DEVICE void gated_activation(i32 kind, const T *x, const T *gate, T *y, i32 rows, i32 cols,
                             i32 stride) {
  const i64 index = thread_index();
  if (index >= (i64)rows * cols) return;
  const GatedElement at = gated_element(index, cols, stride);
  store(y + at.packed, activation(kind, load(x + at.strided)) * load(gate + at.strided));
}

/* Sets dx = dy * gate * f'(x) and dgate = dy * f(x), which may be x and gate; dy's rows are
 * packed. */
template <class T>
DEVICE void gated_activation_backward(i32 kind, const T *dy, const T *x, const T *gate, T *dx,
                                      T *dgate, i32 rows, i32 cols, i32 stride) {
  const i64 index = thread_index();
  if (index >= (i64)rows * cols) return;
  const GatedElement at = gated_element(index, cols, stride);
  const f32 d = load(dy + at.packed), input = load(x + at.strided), g = load(gate + at.strided);
  store(dx + at.strided, d * g * activation_slope(kind, input));
  store(dgate + at.strided, d * activation(kind, input));
}

#define KERNELS(T)                                                                                 \
  KERNEL void gated_activation_##T(i32 kind, const T *x, const T *gate, T *y, i32 rows, i32 cols,  \
                                   i32 stride) {                                                   \
    gated_activation(kind, x, gate, y, rows, cols, stride);                                        \
  }                                                                                                \
  KERNEL void gated_activation_backward_##T(i32 kind, const T *dy, const T *x, const T *gate,      \
                                            T *dx, T *dgate, i32 rows, i32 cols, i32 stride) {     \
    gated_activation_backward(kind, dy, x, gate, dx, dgate, rows, cols, stride);                   \
  }

KERNELS(f32)
KERNELS(bf16)
