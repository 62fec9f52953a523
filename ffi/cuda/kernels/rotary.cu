/* Rotary position embedding: one thread a pair of columns. */
#include "device.h"

/*
 * In place, rotates the pairs (x[i], x[half + i]) of each head, i < half, by the angle of the row's
 * position. cos, sin: [positions, half]. `sign`: -1 rotates by the negative angles, else 1.
 */
template <class T>
DEVICE void rotate(T *x, const i32 *positions, const f32 *cos, const f32 *sin, i32 rows, i32 heads,
                   i32 head_dim, i32 stride, i32 half, f32 sign) {
  const i64 index = thread_index();
  if (index >= (i64)rows * heads * half) return;
  const i32 i = (i32)(index % half), head = (i32)(index / half % heads);
  const i64 row = index / half / heads, angle = (i64)positions[row] * half + i;
  T *first = x + row * stride + head * head_dim + i, *second = first + half;
  const f32 a = load(first), b = load(second), c = cos[angle], s = sign * sin[angle];
  store(first, a * c - b * s);
  store(second, b * c + a * s);
}

#define KERNELS(T)                                                                                 \
  KERNEL void rotate_##T(T *x, const i32 *positions, const f32 *cos, const f32 *sin, i32 rows,     \
                         i32 heads, i32 head_dim, i32 stride, i32 half, f32 sign) {                \
    rotate(x, positions, cos, sin, rows, heads, head_dim, stride, half, sign);                     \
  }

KERNELS(f32)
KERNELS(bf16)
