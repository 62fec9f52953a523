/* Eight neighbouring columns of a row in bf16: what a lane passes to a tensor core at once. */
#pragma once

#include "device.h"
#include "mma.h"

/* Column 2i in the lower half of pair i, column 2i + 1 in the upper one. */
struct Eight {
  u32 pair[4];
};

/* Whether all rows of a matrix begin where eight elements can be accessed at once. */
DEVICE bool rows_hold_eights(const bf16 *matrix, i64 stride) {
  return (u64)matrix % 16 == 0 && stride % 8 == 0;
}

DEVICE u32 bits_at(const bf16 *row, i32 col, i32 cols) { return col < cols ? row[col].bits : 0u; }

/* Columns col to col + 7 of a row, 0 past its end. */
DEVICE Eight load_eight(const bf16 *row, i32 col, i32 cols, bool aligned) {
  if (aligned && col + 8 <= cols) {
    const uint4 *v = reinterpret_cast<const uint4 *>(row + col);
    return {{v->x, v->y, v->z, v->w}};
  }
  Eight result;
#pragma unroll
  for (i32 i = 0; i < 4; i++)
    result.pair[i] = bits_at(row, col + 2 * i, cols) | bits_at(row, col + 2 * i + 1, cols) << 16;
  return result;
}

/* The same of dropout(x), rounded. */
DEVICE Eight load_dropped_eight(const bf16 *row, i32 col, i32 cols, bool aligned,
                                const Dropout &dropout, i32 row_index) {
  Eight x = load_eight(row, col, cols, aligned);
  if (dropout.threshold == 0) return x;
#pragma unroll
  for (i32 half = 0; half < 2; half++) {
    const Factors factors = dropout_factors(dropout, row_index, col / 4 + half);
#pragma unroll
    for (i32 i = 0; i < 2; i++) {
      u32 &pair = x.pair[2 * half + i];
      pair = pack_bf16(__uint_as_float(pair << 16) * factors.of[2 * i],
                       __uint_as_float(pair & 0xffff0000u) * factors.of[2 * i + 1]);
    }
  }
  return x;
}
