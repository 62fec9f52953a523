/* Sums along the columns of a matrix, in a fixed order. */
#pragma once

#include "device.h"

/* Sums of N quantities. */
template <i32 N> struct Sums {
  f32 of[N];
};

/*
 * Calls add(sums, row, col) for each row, in turn, and then set(col, sums) once a column. A block
 * sums WARP columns: a lane each, and each of its warps every warps()-th row. A kernel calls it
 * once, by all threads.
 */
template <i32 N, class Add, class Set>
DEVICE void sum_columns(i32 rows, i32 cols, Add add, Set set) {
  __shared__ Sums<N> partials[WARP][WARP];
  const i32 col = (i32)blockIdx.x * WARP + lane();
  Sums<N> sums = {};
  if (col < cols)
    for (i32 row = warp(); row < rows; row += warps()) add(sums, (i64)row, col);
  partials[warp()][lane()] = sums;
  __syncthreads();
  if (warp() != 0 || col >= cols) return;
  for (i32 w = 1; w < warps(); w++)
#pragma unroll
    for (i32 i = 0; i < N; i++) sums.of[i] += partials[w][lane()].of[i];
  set(col, sums);
}

/* The sum of one quantity: term(row, col) of each row. */
template <class Term, class Set> DEVICE void sum_columns(i32 rows, i32 cols, Term term, Set set) {
  sum_columns<1>(
      rows, cols, [&](Sums<1> &sums, i64 row, i32 col) { sums.of[0] += term(row, col); },
      [&](i32 col, const Sums<1> &sums) { set(col, sums.of[0]); });
}
