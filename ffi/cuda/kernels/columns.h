/* Sums along the columns of a matrix, in a fixed order. */
#pragma once

#include "device.h"

/*
 * Returns the sum over rows of term(row, col) to the first lane of each warp, with its column;
 * other threads, and columns past the last, get col = -1. A block of WARP * WARP threads sums WARP
 * columns from blockIdx.x * WARP on: each warp every WARP-th row, one lane a column.
 */
struct ColumnSum {
  i32 col;
  f32 sum;
};

template <class Term> DEVICE ColumnSum column_sum(i32 rows, i32 cols, Term term) {
  __shared__ f32 partials[WARP][WARP + 1]; /* + 1: lanes that read a column hit distinct banks */
  const i32 first = (i32)blockIdx.x * WARP, own = first + lane();
  f32 sum = 0.0f;
  if (own < cols)
    for (i32 row = warp(); row < rows; row += WARP) sum += term(row, own);
  __syncthreads(); /* an earlier sum's partials have been read */
  partials[warp()][lane()] = sum;
  __syncthreads();
  const i32 col = first + warp();
  sum = warp_sum(partials[lane()][warp()]);
  return {lane() == 0 && col < cols ? col : -1, sum};
}
