/*
 * projections.cu in bf16, on tensor cores: factors are rounded, products summed in f32. A sum over
 * columns may take them in any order, so that a lane loads eight neighbours, for two products of 16
 * columns.
 */
#include "eights.h"
#include "triplets.h"

enum {
  /* Rows of a warp, and warps with other rows in a block; the rest have other columns. */
  ROWS_OF_WARP = 16,
  ROW_WARPS = 2,
  COLUMN_WARPS = TILE_WARPS / ROW_WARPS,
  /* Columns of a warp, of which a lane has eight. */
  COLUMNS_OF_WARP = TILE_COLUMNS / COLUMN_WARPS,
  /* Elements from a triplet to the next: 4 banks further. */
  ROUNDED_PITCH = TILE_COLUMNS + 8,
};

/* A tile of a factor, triplets by columns. */
struct __align__(16) RoundedTile {
  bf16 of[TILE_RANKS][ROUNDED_PITCH];
};

DEVICE void load_rounded(RoundedTile &tile, const f32 *factor, i32 first_rank, i32 rank,
                         i32 first_column, i32 cols, i32 transposed) {
  for (i32 i = (i32)threadIdx.x; i < TILE_RANKS * TILE_COLUMNS; i += (i32)blockDim.x) {
    const i32 r = transposed ? i % TILE_RANKS : i / TILE_COLUMNS,
              c = transposed ? i / TILE_RANKS : i % TILE_COLUMNS;
    const i32 k = first_rank + r, column = first_column + c;
    const bool read = k < rank && column < cols;
    const i64 at = transposed ? (i64)column * rank + k : (i64)k * cols + column;
    store(&tile.of[r][c], read ? factor[at] : 0.0f);
  }
}

/* A warp's sums: 16 rows by two halves of the triplets. */
struct WarpSums {
  f32 of[2][4];
};

/* Sets h to the sums of the warps with the same rows, in order. */
DEVICE void store_sums(f32 *h, const WarpSums &sums, i32 first_row, i32 rows, i32 first_rank,
                       i32 rank) {
  __shared__ f32 partials[TILE_WARPS][ROWS_OF_WARP][TILE_RANKS];
  const i32 g = lane() / 4, t = lane() % 4;
#pragma unroll
  for (i32 half = 0; half < 2; half++)
#pragma unroll
    for (i32 i = 0; i < 4; i++)
      partials[warp()][g + i / 2 * 8][8 * half + 2 * t + i % 2] = sums.of[half][i];
  __syncthreads();
  for (i32 i = (i32)threadIdx.x; i < ROW_WARPS * ROWS_OF_WARP * TILE_RANKS; i += (i32)blockDim.x) {
    const i32 r = i / TILE_RANKS, k = i % TILE_RANKS;
    if (first_row + r >= rows || first_rank + k >= rank) continue;
    f32 sum = 0.0f;
    for (i32 w = 0; w < COLUMN_WARPS; w++)
      sum += partials[w * ROW_WARPS + r / ROWS_OF_WARP][r % ROWS_OF_WARP][k];
    h[(i64)(first_row + r) * rank + first_rank + k] = sum;
  }
}

/* As project of projections.cu. */
DEVICE void project(f32 *h, const bf16 *x, i32 stride, const f32 *factor, i32 transposed, i32 rows,
                    i32 cols, i32 rank, const Dropout &dropout) {
  __shared__ RoundedTile tile;
  const i32 g = lane() / 4, t = lane() % 4, block_row = (i32)blockIdx.x * ROW_WARPS * ROWS_OF_WARP,
            row = block_row + warp() % ROW_WARPS * ROWS_OF_WARP + g,
            own = warp() / ROW_WARPS * COLUMNS_OF_WARP + 8 * t,
            first_rank = (i32)blockIdx.y * TILE_RANKS;
  if (first_rank >= rank) return;
  const bool aligned = rows_hold_eights(x, stride);
  WarpSums sums = {};
  for (i32 first = 0; first < cols; first += TILE_COLUMNS) {
    __syncthreads(); /* the tile before has been read */
    load_rounded(tile, factor, first_rank, rank, first, cols, transposed);
    Eight upper = {}, lower = {}; /* rows g and g + 8 */
    if (row < rows)
      upper = load_dropped_eight(x + (i64)row * stride, first + own, cols, aligned, dropout, row);
    if (row + 8 < rows)
      lower = load_dropped_eight(x + (i64)(row + 8) * stride, first + own, cols, aligned, dropout,
                                 row + 8);
    __syncthreads();
#pragma unroll
    for (i32 half = 0; half < 2; half++) {
      const uint4 b = *reinterpret_cast<const uint4 *>(&tile.of[8 * half + g][own]);
      const u32 first_left[4] = {upper.pair[0], lower.pair[0], upper.pair[1], lower.pair[1]},
                second_left[4] = {upper.pair[2], lower.pair[2], upper.pair[3], lower.pair[3]};
      mma(sums.of[half], first_left, b.x, b.y);
      mma(sums.of[half], second_left, b.z, b.w);
    }
  }
  store_sums(h, sums, block_row, rows, first_rank, rank);
}

KERNEL void project_bf16(PROJECT_PARAMETERS(bf16)) { PROJECT(project); }
