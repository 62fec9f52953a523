/* Gated linear units: one thread an element. x and gate, and their gradients, have rows that are
 * `stride` apart, others packed rows. */
#include "device.h"

/* Sets y = f(x) * gate. */
template <class T>
DEVICE void gated_activation(i32 kind, const T *x, const T *gate, T *y, i32 cols, i32 stride) {
  const i32 col = own_column();
  if (col >= cols) return;
  const i64 packed = (i64)own_row() * cols + col, strided = (i64)own_row() * stride + col;
  store(y + packed, activation(kind, load(x + strided)) * load(gate + strided));
}

/* Sets dx = dy * gate * f'(x) and dgate = dy * f(x), which may be x and gate. */
template <class T>
DEVICE void gated_activation_backward(i32 kind, const T *dy, const T *x, const T *gate, T *dx,
                                      T *dgate, i32 cols, i32 stride) {
  const i32 col = own_column();
  if (col >= cols) return;
  const i64 packed = (i64)own_row() * cols + col, strided = (i64)own_row() * stride + col;
  const f32 d = load(dy + packed), input = load(x + strided), g = load(gate + strided);
  store(dx + strided, d * g * activation_slope(kind, input));
  store(dgate + strided, d * activation(kind, input));
}

#define KERNELS(T)                                                                                 \
  KERNEL void gated_activation_##T(i32 kind, const T *x, const T *gate, T *y, i32 cols,            \
                                   i32 stride) {                                                   \
    gated_activation(kind, x, gate, y, cols, stride);                                              \
  }                                                                                                \
  KERNEL void gated_activation_backward_##T(i32 kind, const T *dy, const T *x, const T *gate,      \
                                            T *dx, T *dgate, i32 cols, i32 stride) {               \
    gated_activation_backward(kind, dy, x, gate, dx, dgate, cols, stride);                         \
  }

KERNELS(f32)
KERNELS(bf16)
