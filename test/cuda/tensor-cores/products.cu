/* Products of two tiles by every wrapper of mma.h, and reductions, for tensor-cores.test.ts. */
#include "flash-tiles.h"

enum { SIDE = TILE_ROWS, NO_WAIT = 1, NO_BARRIER = 2 };

/* Sets sums[64, 64] of the block. */
DEVICE void store_sums(f32 *to, const Sums<SIDE / 8> &sums) {
  const Place me = own_place();
  for (i32 n = 0; n < SIDE / 8; n++)
    for (i32 i = 0; i < 4; i++) {
      const i32 row = first_of_warp(me) + row_of_half(me, i / 2),
                column = 8 * n + own_pair(me) + i % 2;
      to[row * SIDE + column] = sums.of[n][i];
    }
}

/* Whether mma_columns and mma_rows differ from their parts, for 16 rows of a and of b. */
DEVICE bool differ_from_parts(const bf16 *a, const bf16 *b) {
  const Place me = own_place();
  u32 left[4];
  load_matrices(left, a + chunk_at<SIDE>(me.lane % 16, me.lane / 16));
  f32 whole[4][4] = {}, parts[4][4] = {};
  const bf16 *columns = b + chunk_at<SIDE>(me.lane / 16 * 8 + me.lane % 8, me.lane / 8 % 2);
  mma_columns(whole[0], whole[1], left, columns);
  mma_columns_by_parts(parts[0], parts[1], left, columns);
  const bf16 *rows = b + chunk_at<SIDE>(me.lane % 16, me.lane / 16);
  mma_rows(whole[2], whole[3], left, rows);
  mma_rows_by_parts(parts[2], parts[3], left, rows);
  bool differ = false;
  for (i32 i = 0; i < 16; i++) differ |= whole[i / 4][i % 4] != parts[i / 4][i % 4];
  return differ;
}

/* inner = a b^T, weighted = inner b, transposed = a^T b, of matrices [64, 64]. `fault` leaves out a
 * wait or a barrier. */
KERNEL void products_of_tiles(f32 *inner, f32 *weighted, f32 *transposed, const bf16 *a,
                              const bf16 *b, i32 fault) {
  const Place me = own_place();
  DYNAMIC_SHARED(bf16, tile_a);
  bf16 *tile_b = tile_a + SIDE * SIDE;
  const auto same = [](i32 r) { return r; };
  copy_tile<SIDE, SIDE, 1>(tile_a, head_rows(a, SIDE, 0, SIDE), same);
  commit_copies();
  copy_tile<SIDE, SIDE, 4>(tile_b, head_rows(b, SIDE, 0, SIDE), same);
  commit_copies();
  wait_copies<1>();
  if (fault != NO_WAIT) wait_copies<0>();
  if (fault != NO_BARRIER) __syncthreads();
  Sums<SIDE / 8> sums = {};
  add_inner_products<SIDE>(sums, tile_a, first_of_warp(me), tile_b, 0);
  store_sums(inner, sums);
  Sums<SIDE / 8> sums_of_rows = {};
  add_weighted_tile<SIDE>(sums_of_rows, sums, tile_b);
  store_sums(weighted, sums_of_rows);
  Sums<SIDE / 8> sums_of_columns = {};
  for (i32 k = 0; k < SIDE; k += 16) {
    u32 left[4];
    const i32 row = k + me.lane / 16 * 8 + me.lane % 8,
              chunk = first_of_warp(me) / 8 + me.lane / 8 % 2;
    load_matrices_transposed(left, tile_a + chunk_at<SIDE>(row, chunk));
    add_weighted_rows<SIDE>(sums_of_columns, left, tile_b, k);
  }
  store_sums(transposed, sums_of_columns);
  if (differ_from_parts(tile_a, tile_b)) transposed[own_pair(me)] = -1e9f;
}

/* Reductions of a thread. */
struct Reductions {
  f32 sum, largest, own_sum;
};

/* Of each warp's values: by warp_sum, warp_max and own_sum, and by the loops of shuffles that a
 * device has for them. */
KERNEL void reductions(Reductions *reduced, Reductions *by_shuffles, const f32 *values) {
  const i32 thread = (i32)threadIdx.x;
  const f32 value = values[thread];
  const auto product = [&](i32 i) { return value * values[i]; };
  const auto add = [](f32 a, f32 b) { return a + b; };
  reduced[thread] = {warp_sum(value), warp_max(value), own_sum(product)};
  Reductions &loops = by_shuffles[thread];
  loops.sum = reduce_by_shuffles(value, add);
  loops.largest = reduce_by_shuffles(value, [](f32 a, f32 b) { return a > b ? a : b; });
  loops.own_sum = own_sum_by_shuffles(product);
}

/* Sums in half of the lanes, sums of 32 values in the others: undefined on a device. */
KERNEL void diverged(f32 *sums) {
  const f32 one = 1.0f;
  sums[threadIdx.x] = lane() < WARP / 2 ? warp_sum(one) : own_sum([=](i32) { return one; });
}
