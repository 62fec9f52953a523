/* Four neighbouring elements at a time: one access of 8 or 16 bytes where the address allows it. */
#pragma once

#include "values.h"

/* Four floats, for accesses of 16 bytes to shared memory. */
struct __align__(16) Four {
  f32 of[4];
};

/* Whether all rows of a matrix begin where four elements can be accessed at once. */
template <class T> DEVICE bool rows_are_aligned(const T *matrix, i64 stride) {
  return (u64)matrix % (4 * sizeof(T)) == 0 && stride % 4 == 0;
}

DEVICE Four load_aligned(const f32 *p) {
  const float4 *v = reinterpret_cast<const float4 *>(p);
  return {{v->x, v->y, v->z, v->w}};
}
DEVICE Four load_aligned(const bf16 *p) {
  const uint2 *v = reinterpret_cast<const uint2 *>(p);
  return {{__uint_as_float(v->x << 16), __uint_as_float(v->x & 0xffff0000u),
           __uint_as_float(v->y << 16), __uint_as_float(v->y & 0xffff0000u)}};
}

DEVICE void store_aligned(f32 *p, Four x) {
  float4 *to = reinterpret_cast<float4 *>(p);
  to->x = x.of[0], to->y = x.of[1], to->z = x.of[2], to->w = x.of[3];
}
DEVICE void store_aligned(bf16 *p, Four x) {
  uint2 *to = reinterpret_cast<uint2 *>(p);
  to->x = bits_of_bf16(x.of[0]) | bits_of_bf16(x.of[1]) << 16;
  to->y = bits_of_bf16(x.of[2]) | bits_of_bf16(x.of[3]) << 16;
}

/* Columns col to col + 3 of a row, 0 past its end. */
template <class T> DEVICE Four load_four(const T *row, i32 col, i32 cols, bool aligned) {
  if (aligned && col + 4 <= cols) return load_aligned(row + col);
  Four result;
#pragma unroll
  for (i32 i = 0; i < 4; i++) result.of[i] = col + i < cols ? load(row + col + i) : 0.0f;
  return result;
}

/* Sets columns col to col + 3 of a row, as far as it has them. */
template <class T> DEVICE void store_four(T *row, i32 col, i32 cols, bool aligned, Four x) {
  if (aligned && col + 4 <= cols) return store_aligned(row + col, x);
#pragma unroll
  for (i32 i = 0; i < 4; i++)
    if (col + i < cols) store(row + col + i, x.of[i]);
}
