/*
 * Products of activations with factors of adapters, of a group of layers at once: dropout(x) A^T in
 * forward, and dz B in backward. projections-bf16.cu has them in bf16.
 */
#include "triplets.h"

enum { ROWS_OF_WARP = 4, PROJECTED_ROWS = TILE_WARPS * ROWS_OF_WARP };

/* Adds the products of a warp's rows with a tile of a factor. A lane sums its own columns. */
DEVICE void add_products(f32 (*sums)[TILE_RANKS], const Four *x, const FactorTile &tile) {
#pragma unroll
  for (i32 k = 0; k < TILE_RANKS; k++) {
    const Four factor = columns_of(tile, k);
#pragma unroll
    for (i32 r = 0; r < ROWS_OF_WARP; r++)
#pragma unroll
      for (i32 i = 0; i < 4; i++) sums[r][k] += x[r].of[i] * factor.of[i];
  }
}

/* Sets elements of h [rows, rank] to the lanes' sums. */
DEVICE void store_sums(f32 *h, f32 (*sums)[TILE_RANKS], i32 first_row, i32 rows, i32 first_rank,
                       i32 rank) {
  const i32 k = first_rank + lane() % TILE_RANKS;
#pragma unroll
  for (i32 r = 0; r < ROWS_OF_WARP; r += 2) {
    static_assert(2 * TILE_RANKS == WARP, "a lane has one row and triplet");
    const f32 own = own_sum([=](i32 i) { return sums[r + i / TILE_RANKS][i % TILE_RANKS]; });
    const i32 row = first_row + r + lane() / TILE_RANKS;
    if (row < rows && k < rank) h[(i64)row * rank + k] = own;
  }
}

/* Sets h[rows, rank] = dropout(x) factor^T. x[rows, cols], its rows `stride` elements apart; factor
 * [rank, cols], or [cols, rank] if `transposed`. */
DEVICE void project(f32 *h, const f32 *x, i32 stride, const f32 *factor, i32 transposed, i32 rows,
                    i32 cols, i32 rank, const Dropout &dropout) {
  __shared__ FactorTile tile;
  const i32 first_row = (i32)blockIdx.x * PROJECTED_ROWS + warp() * ROWS_OF_WARP,
            first_rank = (i32)blockIdx.y * TILE_RANKS;
  if (first_rank >= rank) return;
  const bool aligned = rows_are_aligned(x, stride);
  f32 sums[ROWS_OF_WARP][TILE_RANKS] = {};
  for (i32 first = 0; first < cols; first += TILE_COLUMNS) {
    __syncthreads(); /* the tile before has been read */
    load_factor<f32>(tile, factor, first_rank, rank, first, cols, transposed,
                   [](i32) { return false; });
    Four values[ROWS_OF_WARP];
#pragma unroll
    for (i32 r = 0; r < ROWS_OF_WARP; r++) {
      const i32 row = first_row + r;
      const Four none = {};
      values[r] = row < rows ? load_dropped(x + (i64)row * stride, first + 4 * lane(), cols,
                                            aligned, dropout, row)
                             : none;
    }
    __syncthreads();
    add_products(sums, values, tile);
  }
  store_sums(h, sums, first_row, rows, first_rank, rank);
}

KERNEL void TILED project_f32(PROJECT_PARAMETERS(f32)) { PROJECT(project); }
