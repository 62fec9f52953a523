/* factor-gradients.h in f32. */
#include "factor-gradients.h"

/* Rows that a warp takes at once. */
enum { ROWS_AT_ONCE = 4 };

/* A thread's sums: all triplets of the tile, its lane's columns. */
struct Sums {
  Four rank[TILE_RANKS];
};

/* Adds the products of rows `first` to `first + ROWS_AT_ONCE * TILE_WARPS` of the tile: a warp
 * takes every eighth. */
DEVICE void add_rows(Sums &sums, const f32 (*left)[TILE_RANKS], const Gradient<f32> &of,
                     bool aligned, i32 column, i32 row, i32 end, i32 first) {
  Four x[ROWS_AT_ONCE]; /* read together, so that their latencies overlap */
#pragma unroll
  for (i32 i = 0; i < ROWS_AT_ONCE; i++) {
    const i32 r = row + first + warp() + i * TILE_WARPS;
    const Four none = {};
    x[i] = r < end ? load_dropped(of.right + (i64)r * of.stride, column, of.cols, aligned,
                                  of.dropout, r)
                   : none;
  }
#pragma unroll
  for (i32 i = 0; i < ROWS_AT_ONCE; i++)
#pragma unroll
    for (i32 k = 0; k < TILE_RANKS; k++) {
      const f32 factor = left[first + warp() + i * TILE_WARPS][k];
#pragma unroll
      for (i32 c = 0; c < 4; c++) sums.rank[k].of[c] += factor * x[i].of[c];
    }
}

/* Sums h^T x over rows `from` to `end`: each warp its rows, then the warps in order. */
DEVICE void sum_part(Totals &totals, const Gradient<f32> &of, Place at, i32 from, i32 end) {
  __shared__ f32 left[H_ROWS][TILE_RANKS];
  const bool aligned = rows_are_aligned(of.right, of.stride);
  const i32 column = at.first_column + 4 * lane();
  Sums sums = {};
  f32 dot = 0.0f;
  for (i32 row = from; row < end; row += H_ROWS) {
    __syncthreads(); /* the rows before have been read */
    each_left(dot, of, at, row, end, [&](i32 r, i32 k, f32 value) { left[r][k] = value; });
    __syncthreads();
#pragma unroll 1
    for (i32 first = 0; first < H_ROWS; first += ROWS_AT_ONCE * TILE_WARPS)
      add_rows(sums, left, of, aligned, column, row, end, first);
  }
  store_dots(totals, dot);
  for (i32 w = 0; w < TILE_WARPS; w++) {
    if (warp() == w) {
#pragma unroll
      for (i32 k = 0; k < TILE_RANKS; k++) {
        Four *to = reinterpret_cast<Four *>(&totals.tile[k][4 * lane()]);
        const Four before = *to;
#pragma unroll
        for (i32 c = 0; c < 4; c++)
          to->of[c] = w == 0 ? sums.rank[k].of[c] : before.of[c] + sums.rank[k].of[c];
      }
    }
    __syncthreads(); /* the next warp adds to these */
  }
}

KERNEL void add_factor_gradients_f32(GRADIENT_PARAMETERS(f32)) {
  ADD_GRADIENTS(f32, sum_part);
}
