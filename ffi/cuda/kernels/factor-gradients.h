/*
 * Gradients of the factors of a group of adapters: gradient += scale * diag(e) h^T x. A block sums
 * a part of the rows of one tile; the last block of a tile to end adds the parts, in order. Each
 * type sums a part in its own way (sum_part).
 */
#pragma once

#include "triplets.h"

enum {
  /* Rows of h held in shared memory at once. */
  H_ROWS = 64,
  TILE_ELEMENTS = TILE_RANKS * TILE_COLUMNS,
  /* Floats of a part in scratch: its tile and its dots. PART_FLOATS of backend/low-rank.ts. */
  PART_FLOATS = TILE_ELEMENTS + TILE_RANKS,
};

/* One gradient. */
template <class T> struct Gradient {
  f32 *gradient;   /* [rank, cols], or [cols, rank] if transposed */
  const f32 *left; /* [rows, rank] */
  const T *right;  /* [rows, cols], its rows `stride` elements apart */
  i32 stride;
  Triplets triplets;
  i32 rank, cols, transposed;
  Dropout dropout;    /* of right */
  const f32 *dots_of; /* [rows, rank]; NULL without dots */
  f32 *dots;          /* [rank] += scale * sum over rows of left * dots_of */
};

/* A block's sums over its part of the rows, in shared memory. */
struct __align__(16) Totals {
  f32 tile[TILE_RANKS][TILE_COLUMNS];
  f32 dots[TILE_RANKS][TILE_WARPS * WARP / TILE_RANKS];
};

/* A block's tile of the gradient. */
struct Place {
  i32 first_rank, first_column;
};

/*
 * Calls set(row, triplet, value) for the elements of H_ROWS rows of `left` from `row` on, 0 past
 * the ends and for pruned triplets. Adds their products with dots_of to `dot`, which belongs to the
 * thread's one triplet.
 */
template <class T, class Set>
DEVICE void each_left(f32 &dot, const Gradient<T> &of, Place at, i32 row, i32 end, Set set) {
  const i32 k = at.first_rank + (i32)threadIdx.x % TILE_RANKS;
  const bool exists = k < of.rank, read = exists && !is_pruned(of.triplets, k),
             has_dots = exists && of.dots_of && at.first_column == 0;
  for (i32 i = (i32)threadIdx.x; i < H_ROWS * TILE_RANKS; i += (i32)blockDim.x) {
    const i32 r = row + i / TILE_RANKS;
    const i64 from = (i64)r * of.rank + k;
    set(i / TILE_RANKS, i % TILE_RANKS, read && r < end ? of.left[from] : 0.0f);
    if (has_dots && r < end) dot += of.left[from] * of.dots_of[from];
  }
}

DEVICE void store_dots(Totals &totals, f32 dot) {
  totals.dots[threadIdx.x % TILE_RANKS][threadIdx.x / TILE_RANKS] = dot;
}

/* The sum of the dots of triplet k of the tile. */
DEVICE f32 dots_of(const Totals &totals, i32 k) {
  f32 sum = 0.0f;
  for (i32 i = 0; i < TILE_WARPS * WARP / TILE_RANKS; i++) sum += totals.dots[k][i];
  return sum;
}

/* Adds to the gradient: value(i) of each element of the tile, stored triplet by triplet. */
template <class T, class Value>
DEVICE void add_tile(const Gradient<T> &of, Place at, Value value) {
  for (i32 i = (i32)threadIdx.x; i < TILE_ELEMENTS; i += (i32)blockDim.x) {
    /* Neighbouring threads write neighbouring elements. */
    const i32 r = of.transposed ? i % TILE_RANKS : i / TILE_COLUMNS,
              c = of.transposed ? i / TILE_RANKS : i % TILE_COLUMNS;
    const i32 k = at.first_rank + r, column = at.first_column + c;
    if (k >= of.rank || column >= of.cols || is_pruned(of.triplets, k)) continue;
    const i64 to = of.transposed ? (i64)column * of.rank + k : (i64)k * of.cols + column;
    of.gradient[to] += multiplier(of.triplets, k) * value(r * TILE_COLUMNS + c);
  }
  const i32 r = (i32)threadIdx.x, k = at.first_rank + r;
  if (of.dots_of && at.first_column == 0 && r < TILE_RANKS && k < of.rank)
    of.dots[k] += of.triplets.scale * value(TILE_ELEMENTS + r);
}

/* Stores a block's sums, and returns on every thread whether all parts of the tile are stored. */
DEVICE bool store_part(const Totals &totals, f32 *part, i32 *counter, i32 parts) {
  __shared__ i32 earlier;
  for (i32 i = (i32)threadIdx.x; i < TILE_ELEMENTS; i += (i32)blockDim.x)
    part[i] = totals.tile[i / TILE_COLUMNS][i % TILE_COLUMNS];
  if (threadIdx.x < TILE_RANKS)
    part[TILE_ELEMENTS + threadIdx.x] = dots_of(totals, (i32)threadIdx.x);
  __threadfence();
  __syncthreads(); /* the part is complete before it is counted */
  if (threadIdx.x == 0) earlier = atomicAdd(counter, 1);
  __syncthreads();
  if (earlier != parts - 1) return false;
  __threadfence(); /* the other parts are read after the count */
  if (threadIdx.x == 0) *counter = 0;
  return true;
}

/* Adds a tile of a gradient. sum_part(totals, of, at, from, end) sums its rows from `from` to
 * `end`. */
template <class T, class SumPart>
DEVICE void add_factor_gradient(const Gradient<T> &of, Place at, i32 rows, i32 part_rows,
                                f32 *scratch, i32 *counter, SumPart sum_part) {
  __shared__ Totals totals;
  const i32 parts = (i32)gridDim.y, from = (i32)blockIdx.y * part_rows;
  sum_part(totals, of, at, from, from + part_rows < rows ? from + part_rows : rows);
  if (parts == 1) {
    add_tile(of, at, [&](i32 i) {
      return i < TILE_ELEMENTS ? totals.tile[i / TILE_COLUMNS][i % TILE_COLUMNS]
                               : dots_of(totals, i - TILE_ELEMENTS);
    });
    return;
  }
  if (!store_part(totals, scratch + (i64)blockIdx.y * PART_FLOATS, counter, parts)) return;
  add_tile(of, at, [&](i32 i) {
    const volatile f32 *stored = scratch; /* by other blocks: not from a cache of this one */
    f32 sum = 0.0f;
    for (i32 p = 0; p < parts; p++) sum += stored[(i64)p * PART_FLOATS + i];
    return sum;
  });
}

#define GRADIENT(T, i)                                                                            \
  Gradient<T> {                                                                                   \
    gradient.of[i], left.of[i], right.of[i], stride.of[i], Triplets{e.of[i], e_scale.of[i]},      \
        rank.of[i], cols.of[i], transposed.of[i],                                                 \
        Dropout{threshold.of[i], scale.of[i], key0.of[i], key1.of[i], step.of[i], site.of[i]},    \
        others.of[i], dots.of[i]                                                                  \
  }

/* The parameters of a kernel that adds `count` gradients. tiles[i]: those of gradients 0 to i. */
#define GRADIENT_PARAMETERS(T)                                                                    \
  GROUPED(f32 *) gradient, GROUPED(const f32 *) left, GROUPED(const T *) right,                   \
      GROUPED(i32) stride, GROUPED(const f32 *) e, GROUPED(f32) e_scale, GROUPED(i32) rank,       \
      GROUPED(i32) cols, GROUPED(i32) transposed, GROUPED(const f32 *) others,                    \
      GROUPED(f32 *) dots, GROUPED(i32) tiles, i32 rows, i32 part_rows, f32 *scratch,             \
      i32 *counters, GROUPED(u32) threshold, GROUPED(f32) scale, GROUPED(u32) key0,               \
      GROUPED(u32) key1, GROUPED(u32) step, GROUPED(u32) site

/* Its body. */
#define ADD_GRADIENTS(T, sum_part)                                                                \
  const i32 tile = (i32)blockIdx.x;                                                               \
  i32 i = 0;                                                                                      \
  while (tile >= tiles.of[i]) i++;                                                                \
  const i32 own = i == 0 ? tile : tile - tiles.of[i - 1],                                         \
            columns = (cols.of[i] + TILE_COLUMNS - 1) / TILE_COLUMNS;                             \
  const Place place = {own / columns * TILE_RANKS, own % columns * TILE_COLUMNS};                 \
  add_factor_gradient(GRADIENT(T, i), place, rows, part_rows,                                     \
                      scratch + (i64)tile * gridDim.y * PART_FLOATS, counters + tile, sum_part)
