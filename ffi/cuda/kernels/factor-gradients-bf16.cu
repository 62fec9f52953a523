/*
 * factor-gradients.h in bf16, on tensor cores: h is rounded, products are summed in f32. A sum over
 * rows may take them in any order, and the columns of a product may be any: a lane loads eight
 * neighbouring columns of four neighbouring rows, one column for each of eight products.
 */
#include "eights.h"
#include "factor-gradients.h"

enum {
  /* Rows and columns of x of a warp; the warps of a block are four by two. */
  ROWS_OF_WARP = 16,
  COLUMNS_OF_WARP = 64,
  ROW_WARPS = H_ROWS / ROWS_OF_WARP,
  PRODUCTS = COLUMNS_OF_WARP / 8,
  /* Elements from a triplet to the next: 4 banks further. */
  LEFT_PITCH = H_ROWS + 8,
};

/* Rows of h, rounded: triplets by rows. */
struct __align__(16) LeftTile {
  bf16 of[TILE_RANKS][LEFT_PITCH];
};

/* A warp's sums: triplets by the columns of each product. */
struct WarpSums {
  f32 of[PRODUCTS][4];
};

/* Column i of two rows: the earlier row in the lower half. */
DEVICE u32 pair_of(const Eight &first, const Eight &second, i32 i) {
  const u32 a = first.pair[i / 2], b = second.pair[i / 2];
  return i % 2 == 0 ? (a & 0xffffu) | b << 16 : a >> 16 | (b & 0xffff0000u);
}

/* Adds the products of the warp's rows of the tile: `row` is its first. */
DEVICE void add_rows(WarpSums &sums, const LeftTile &left, const Gradient<bf16> &of, bool aligned,
                     i32 column, i32 row, i32 end) {
  const i32 g = lane() / 4, t = lane() % 4, own = warp() % ROW_WARPS * ROWS_OF_WARP + 4 * t;
  Eight x[4];
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    const i32 r = row + own + i;
    const Eight none = {};
    x[i] = r < end ? load_dropped_eight(of.right + (i64)r * of.stride, column + 8 * g, of.cols,
                                        aligned, of.dropout, r)
                   : none;
  }
  const uint2 upper = *reinterpret_cast<const uint2 *>(&left.of[g][own]),
              lower = *reinterpret_cast<const uint2 *>(&left.of[g + 8][own]);
  const u32 a[4] = {upper.x, lower.x, upper.y, lower.y};
#pragma unroll
  for (i32 i = 0; i < PRODUCTS; i++)
    mma(sums.of[i], a, pair_of(x[0], x[1], i), pair_of(x[2], x[3], i));
}

/* Adds a warp's sums to the totals of its columns, or sets these if it is the first. */
DEVICE void add_to(Totals &totals, const WarpSums &sums, i32 column, bool first) {
  const i32 g = lane() / 4, t = lane() % 4;
#pragma unroll
  for (i32 i = 0; i < PRODUCTS; i++)
#pragma unroll
    for (i32 j = 0; j < 4; j++) {
      f32 &total = totals.tile[g + j / 2 * 8][column + 8 * (2 * t + j % 2) + i];
      total = first ? sums.of[i][j] : total + sums.of[i][j];
    }
}

/* Sums h^T x over rows `from` to `end`: each warp its rows, then the warps in order. */
DEVICE void sum_part(Totals &totals, const Gradient<bf16> &of, Place at, i32 from, i32 end) {
  __shared__ LeftTile left;
  const bool aligned = rows_hold_eights(of.right, of.stride);
  const i32 own = warp() / ROW_WARPS * COLUMNS_OF_WARP;
  WarpSums sums = {};
  f32 dot = 0.0f;
  for (i32 row = from; row < end; row += H_ROWS) {
    __syncthreads(); /* the rows before have been read */
    each_left(dot, of, at, row, end,
              [&](i32 r, i32 k, f32 value) { store(&left.of[k][r], value); });
    __syncthreads();
    add_rows(sums, left, of, aligned, at.first_column + own, row, end);
  }
  store_dots(totals, dot);
  for (i32 w = 0; w < ROW_WARPS; w++) {
    if (warp() % ROW_WARPS == w) add_to(totals, sums, own, w == 0);
    __syncthreads(); /* the next warp adds to these */
  }
}

KERNEL void TILED add_factor_gradients_bf16(GRADIENT_PARAMETERS(bf16)) {
  ADD_GRADIENTS(bf16, sum_part);
}
