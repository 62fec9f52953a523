/* The triplets (A, E, B) of an adapter in its products with activations. */
#pragma once

#include "device.h"
#include "vectors.h"

/*
 * A factor e * scale by triplet; e may be NULL. A pruned triplet (e = 0) is not read, so that NaN
 * does not spread from it.
 */
struct Triplets {
  const f32 *e;
  f32 scale;
};

DEVICE bool is_pruned(const Triplets &t, i32 k) { return t.e && t.e[k] == 0.0f; }
DEVICE f32 multiplier(const Triplets &t, i32 k) { return t.e ? t.e[k] * t.scale : t.scale; }

enum {
  /* Columns of a tile: four a lane. */
  TILE_COLUMNS = 4 * WARP,
  /* Triplets of a tile. */
  TILE_RANKS = 16,
  /* Threads of a block: 8 warps. */
  TILE_WARPS = 8,
  /* Floats from a triplet of a tile to the next, so that columns of 8 triplets lie in different
   * banks. */
  TILE_PITCH = TILE_COLUMNS + 4,
};

/* Two blocks of a kernel fit into a multiprocessor's registers. */
#define TILED __launch_bounds__(TILE_WARPS *WARP, 2)

/* A tile of a factor, triplets by columns: aligned, since lanes load four columns at once. */
struct __align__(16) FactorTile {
  f32 of[TILE_RANKS][TILE_PITCH];
};
static_assert(alignof(FactorTile) >= alignof(Four), "four columns are one access");
static_assert(TILE_PITCH % 4 == 0, "each triplet begins where four columns can be loaded");

/* Four columns of a triplet. */
DEVICE Four columns_of(const FactorTile &tile, i32 k) {
  return *reinterpret_cast<const Four *>(&tile.of[k][4 * lane()]);
}

/*
 * Sets a tile to elements of a factor [rank, cols], or [cols, rank] if `transposed`, rounded to T;
 * 0 past the ends and where `skip(k)`. Neighbouring threads read neighbouring elements.
 */
template <class T, class Skip>
DEVICE void load_factor(FactorTile &tile, const f32 *factor, i32 first_rank, i32 rank,
                        i32 first_column, i32 cols, i32 transposed, Skip skip) {
  for (i32 i = (i32)threadIdx.x; i < TILE_RANKS * TILE_COLUMNS; i += (i32)blockDim.x) {
    const i32 r = transposed ? i % TILE_RANKS : i / TILE_COLUMNS,
              c = transposed ? i / TILE_RANKS : i % TILE_COLUMNS;
    const i32 k = first_rank + r, column = first_column + c;
    const bool read = k < rank && column < cols && !skip(k);
    const i64 at = transposed ? (i64)column * rank + k : (i64)k * cols + column;
    tile.of[r][c] = read ? rounded<T>(factor[at]) : 0.0f;
  }
}

/* Four columns of a row of dropout(x), rounded to T. */
template <class T>
DEVICE Four load_dropped(const T *row, i32 col, i32 cols, bool aligned, const Dropout &dropout,
                         i32 row_index) {
  Four x = load_four(row, col, cols, aligned);
  if (dropout.threshold == 0) return x;
  const Factors factors = dropout_factors(dropout, row_index, col / 4);
#pragma unroll
  for (i32 i = 0; i < 4; i++) x.of[i] = rounded<T>(x.of[i] * factors.of[i]);
  return x;
}

/* Parameters of a kernel that projects a group: a matrix a block z. */
#define PROJECT_PARAMETERS(T)                                                                     \
  GROUPED(f32 *) h, GROUPED(const T *) x, GROUPED(i32) stride, GROUPED(const f32 *) factor,       \
      GROUPED(i32) cols, GROUPED(i32) rank, i32 transposed, i32 rows, GROUPED(u32) threshold,     \
      GROUPED(f32) scale, GROUPED(u32) key0, GROUPED(u32) key1, GROUPED(u32) step,                \
      GROUPED(u32) site

/* Its body. */
#define PROJECT(project)                                                                          \
  const i32 i = (i32)blockIdx.z;                                                                  \
  project(h.of[i], x.of[i], stride.of[i], factor.of[i], transposed, rows, cols.of[i], rank.of[i], \
          Dropout{threshold.of[i], scale.of[i], key0.of[i], key1.of[i], step.of[i], site.of[i]})
