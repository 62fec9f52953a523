/*
 * Shared by the kernels of attention. A block computes BLOCK_ROWS queries (or keys) of one sequence
 * and head, a warp each, against tiles of TILE keys (or queries) in shared memory: lane j has the
 * score of the tile's row j, then each lane sums columns lane, lane + 32, ... of the result.
 */
#pragma once

#include "device.h"
#include "ranges.h"

enum {
  BLOCK_ROWS = 8,
  TILE = WARP,
  CHUNKS = 8, /* head dimensions up to 8 * 32 */
};

/* Columns of one row that a lane sums. */
struct Columns {
  f32 of[CHUNKS];
};

/* sum += factor * row, whose columns the lanes of a warp share. */
template <class T>
DEVICE void add_scaled(Columns &sum, f32 factor, const T *row, i32 dim) {
#pragma unroll
  for (i32 i = 0; i < CHUNKS && i * WARP < dim; i++) {
    const i32 d = i * WARP + lane();
    if (d < dim) sum.of[i] += factor * load(row + d);
  }
}

/* row = factor * sum. */
template <class T>
DEVICE void store_scaled(T *row, const Columns &sum, f32 factor, i32 dim) {
#pragma unroll
  for (i32 i = 0; i < CHUNKS && i * WARP < dim; i++) {
    const i32 d = i * WARP + lane();
    if (d < dim) store(row + d, factor * sum.of[i]);
  }
}

/* The product of a row in shared memory and one of this lane's own: in four sums, which round less
 * than one and do not wait for each other. */
template <class T>
DEVICE f32 dot(const f32 *a, const T *b, i32 dim) {
  f32 sums[4] = {};
  i32 d = 0;
#pragma unroll 2
  for (; d + 4 <= dim; d += 4) {
#pragma unroll
    for (i32 i = 0; i < 4; i++) sums[i] += a[d + i] * load(b + d + i);
  }
#pragma unroll 1
  for (; d < dim; d++) sums[0] += a[d] * load(b + d);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* The product of two rows, by a whole warp. */
template <class T>
DEVICE f32 warp_dot(const T *a, const T *b, i32 dim) {
  f32 sum = 0.0f;
#pragma unroll 2
  for (i32 d = lane(); d < dim; d += WARP) sum += load(a + d) * load(b + d);
  return warp_sum(sum);
}

/* Copies a row to shared memory, by one warp. */
template <class T>
DEVICE void load_row(f32 *to, const T *from, i32 dim) {
#pragma unroll 2
  for (i32 d = lane(); d < dim; d += WARP) to[d] = load(from + d);
}

/* Elements from one row to the next of a tile: odd, so that lanes that read a row each have no bank
 * conflicts. */
DEVICE i32 tile_pitch(i32 dim) { return dim | 1; }

/* Copies rows to a tile in shared memory, by the whole block. */
template <class T>
DEVICE void load_tile(f32 *to, const T *from, i64 stride, i32 rows, i32 dim) {
#pragma unroll 2
  for (i32 r = warp(); r < rows; r += warps())
    load_row(to + r * tile_pitch(dim), from + r * stride, dim);
}

/* Shared memory of a block: two tiles, and rows, weights and row numbers of this warp. */
struct Space {
  f32 *tile_a, *tile_b;       /* [TILE, pitch] */
  f32 *row_a, *row_b;         /* [dim] */
  f32 *weights_a, *weights_b; /* [TILE] */
  i32 *relative;              /* [TILE] */
};

/* As attentionShared of backend/attention-blocks.ts counts it. */
DEVICE Space space_at(f32 *memory, i32 dim) {
  const i32 tile = TILE * tile_pitch(dim);
  f32 *rows = memory + 2 * tile + 2 * warp() * dim,
      *weights = memory + 2 * tile + 2 * BLOCK_ROWS * dim + 3 * warp() * TILE;
  return {memory,
          memory + tile,
          rows,
          rows + dim,
          weights,
          weights + TILE,
          reinterpret_cast<i32 *>(weights + 2 * TILE)};
}

/* Copies rows of a and b to the two tiles, by the whole block, which waits for both. */
template <class T>
DEVICE void load_tiles(const Space &space, const T *a, i64 a_stride, const T *b, i64 b_stride,
                       i32 rows, i32 dim) {
  __syncthreads(); /* the tiles before have been read */
  load_tile(space.tile_a, a, a_stride, rows, dim);
  load_tile(space.tile_b, b, b_stride, rows, dim);
  __syncthreads();
}

/* The part of a range that lies in the tile from `first` on, counted from there. */
DEVICE Range within_tile(Range range, i32 first) {
  return {larger(0, range.from - first), smaller(TILE, range.to - first)};
}

/* Softmax of one query over tiles of keys, and the sum that it weighs, by one warp. */
struct Softmax {
  f32 top, total;
  Columns out;
};

DEVICE Softmax softmax() { return {-infinity(), 0.0f, {}}; }

/* Adds a tile of scores to the total: this lane's is `score`, if it is `visible`. Returns its
 * weight before the division by the final total. */
DEVICE f32 add_scores(Softmax &s, f32 score, bool visible, i32 dim) {
  const f32 top = fmaxf(s.top, warp_max(visible ? score : -infinity()));
  /* -Infinity - -Infinity would be NaN while every score is -Infinity. */
  const f32 base = top == -infinity() ? 0.0f : top;
  const f32 weight = visible ? expf(score - base) : 0.0f, rescale = expf(s.top - base);
  s.total = s.total * rescale + warp_sum(weight);
  s.top = top;
#pragma unroll
  for (i32 i = 0; i < CHUNKS && i * WARP < dim; i++) s.out.of[i] *= rescale;
  return weight;
}

/* Of the scores so far; -Infinity if there were none. */
DEVICE f32 log_sum_exp(const Softmax &s) { return s.top + logf(s.total); }
