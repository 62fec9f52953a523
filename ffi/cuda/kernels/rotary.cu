/* Rotary position embedding: one thread a pair of columns. */
#include "device.h"

/*
 * In place, rotates the pairs (x[i], x[half + i]) of each head, i < half, by the angle of the row's
 * position. cos, sin: [positions, half]. `sign`: -1 rotates by the negative angles, else 1.
 */
template <class T>
DEVICE void rotate(T *x, const i32 *positions, const f32 *cos, const f32 *sin, i32 heads,
                   i32 head_dim, i32 stride, i32 half, f32 sign) {
  const i32 row = own_row(), head = own_column() / half, i = own_column() % half;
  if (head >= heads) return;
  const i64 angle = (i64)positions[row] * half + i;
  T *first = x + (i64)row * stride + head * head_dim + i, *second = first + half;
  const f32 a = load(first), b = load(second), c = cos[angle], s = sign * sin[angle];
  store(first, a * c - b * s);
  store(second, b * c + a * s);
}

#define KERNELS(T)                                                                                 \
  KERNEL void rotate_##T(T *x, const i32 *positions, const f32 *cos, const f32 *sin, i32 heads,    \
                         i32 head_dim, i32 stride, i32 half, f32 sign) {                           \
    rotate(x, positions, cos, sin, heads, head_dim, stride, half, sign);                           \
  }

KERNELS(f32)
KERNELS(bf16)
