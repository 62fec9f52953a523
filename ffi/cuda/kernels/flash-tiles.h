/*
 * Tiles of flash-style attention: bf16 rows of one head in shared memory, and their products on
 * tensor cores. A block is four warps; each has 16 rows of the block's tile of 64.
 *
 * Sizes: 64 rows of a head of 64 are 8 KiB, so that several blocks share a multiprocessor and one
 * computes while another waits for memory; a warp's 16 rows by 64 columns of scores are 32
 * registers a thread, and its sums 32 or 64.
 *
 * A row's chunks of 16 bytes are permuted by its number: ldmatrix reads the same chunk of eight
 * rows at once, which then lie in different banks. No room is lost to padding, and each chunk stays
 * one copy of 16 bytes.
 */
#pragma once

#include "device.h"
#include "mma.h"

enum {
  TILE_ROWS = 64,
  FLASH_WARPS = 4,
  FLASH_THREADS = FLASH_WARPS * WARP,
  WARP_ROWS = TILE_ROWS / FLASH_WARPS,
  COLUMN_TILES = TILE_ROWS / 8, /* of 8 columns, in 64 columns of scores */
};

/* This lane's part of a warp's 16 rows by 8 N columns of sums; see mma.h. */
template <i32 N> struct Sums {
  f32 of[N][4];
};

/* A warp's 16 rows by 64 columns of scores, and the weights or gradients made of them. */
typedef Sums<COLUMN_TILES> Scores;

/* A thread's place in its block. */
struct Place {
  i32 lane, warp;
};

/* Read anew wherever it is needed: the compiler would otherwise keep every address that depends on
 * it in a register through all loops, and spill the sums and scores instead. */
DEVICE Place own_place() {
  const i32 thread = read_thread();
  return {thread % WARP, thread / WARP};
}

/* Of 16 rows: the row of sums 0 and 1 (half 0), or 2 and 3 (half 1). */
DEVICE i32 row_of_half(const Place &me, i32 half) { return me.lane / 4 + 8 * half; }
/* Of 8 columns: the first of this lane's two. */
DEVICE i32 own_pair(const Place &me) { return me.lane % 4 * 2; }
/* The first of this warp's rows of the tile. */
DEVICE i32 first_of_warp(const Place &me) { return me.warp * WARP_ROWS; }

/* Elements from a tile's start to a chunk of 8 columns of a row of D. */
template <i32 D> DEVICE i32 chunk_at(i32 row, i32 chunk) {
  return row * D + ((chunk ^ (row & 7)) << 3);
}

/* Rows of one head in global memory: `dim` columns, the first at `at`. */
template <class T> struct HeadRows {
  T *at;
  i64 stride;
  i32 dim;
  bool vectors; /* chunks of 8 are aligned to 16 bytes */
};

template <class T> DEVICE HeadRows<T> head_rows(T *matrix, i64 stride, i32 column, i32 dim) {
  T *at = matrix + column;
  const u64 bits = reinterpret_cast<u64>(at) | (u64)stride * sizeof(bf16);
  return {at, stride, dim, bits % 16 == 0 && dim % 8 == 0};
}

/* Starts to copy a tile by the whole block: row r is row row_of(r) of `from`, or 0 where that is
 * negative. Columns from dim to D are 0. AT_ONCE: rows that a thread looks up together. More than
 * one hides the latency of a row_of that reads a table; one that searches takes too long to compile
 * several times. */
template <i32 D, i32 ROWS, i32 AT_ONCE, class RowOf>
DEVICE void copy_tile(bf16 *tile, const HeadRows<const bf16> &from, RowOf row_of) {
  enum { STEP = FLASH_THREADS / (D / 8) };
  static_assert(STEP % 8 == 0, "all chunks of a thread are permuted alike");
  const i32 thread = read_thread(), chunk = thread % (D / 8), columns = from.dim - 8 * chunk;
  i32 r = thread / (D / 8);
  bf16 *to = tile + chunk_at<D>(r, chunk);
  if (AT_ONCE > 1 && from.vectors) {
#pragma unroll AT_ONCE
    for (; r < ROWS; r += STEP, to += STEP * D) {
      const i32 row = row_of(r);
      const bool present = row >= 0 && columns > 0;
      copy_async(to, from.at + (present ? row * from.stride + 8 * chunk : 0), present ? 16 : 0);
    }
    return;
  }
#pragma unroll 1
  for (; r < ROWS; r += STEP, to += STEP * D) {
    const i32 row = row_of(r), present = row < 0 ? 0 : columns;
    const bf16 *source = from.at + (present > 0 ? row * from.stride + 8 * chunk : 0);
    if (from.vectors) {
      copy_async(to, source, present > 0 ? 16 : 0);
      continue;
    }
#pragma unroll 1
    for (i32 e = 0; e < 8; e++) to[e] = e < present ? source[e] : bf16{0};
  }
}

/* Sets this warp's rows of a matrix, row r of 16 to row row_of(r) unless that is negative, to
 * factor[half] * sums. `tile`: this warp's rows of a tile that no other warp reads. */
template <i32 D, class RowOf>
DEVICE void store_rows(const HeadRows<bf16> &to, const Sums<D / 8> &sums, const f32 (&factor)[2],
                       bf16 *tile, RowOf row_of) {
  const Place me = own_place();
  const i32 first = first_of_warp(me);
  __syncwarp(); /* the tile's rows have been read */
#pragma unroll
  for (i32 n = 0; n < D / 8; n++)
#pragma unroll
    for (i32 half = 0; half < 2; half++) {
      bf16 *pair = tile + chunk_at<D>(first + row_of_half(me, half), n) + own_pair(me);
      *reinterpret_cast<u32 *>(pair) = pack_bf16(factor[half] * sums.of[n][2 * half],
                                                 factor[half] * sums.of[n][2 * half + 1]);
    }
  __syncwarp();
#pragma unroll 1
  for (i32 i = me.lane; i < WARP_ROWS * (D / 8); i += WARP) {
    const i32 r = i / (D / 8), chunk = i % (D / 8), row = row_of(r), columns = to.dim - 8 * chunk;
    if (row < 0 || columns <= 0) continue;
    const bf16 *from = tile + chunk_at<D>(first + r, chunk);
    bf16 *at = to.at + row * to.stride + 8 * chunk;
    if (to.vectors) {
      *reinterpret_cast<uint4 *>(at) = *reinterpret_cast<const uint4 *>(from);
      continue;
    }
#pragma unroll 1
    for (i32 e = 0; e < 8 && e < columns; e++) at[e] = from[e];
  }
}

/* sums += a b^T for 16 rows of tile a and 8 N rows of tile b. */
template <i32 D, i32 N>
DEVICE void add_inner_products(Sums<N> &sums, const bf16 *a, i32 a_row, const bf16 *b, i32 b_row) {
  const Place me = own_place();
  const i32 left_row = a_row + me.lane % 16, right_row = b_row + me.lane / 16 * 8 + me.lane % 8;
  __syncwarp(); /* its lanes may have gone through different loops: tensor cores take them as one */
#pragma unroll
  for (i32 k = 0; k < D / 16; k++) {
    u32 left[4];
    load_matrices(left, a + chunk_at<D>(left_row, 2 * k + me.lane / 16));
    const bf16 *rows = b + chunk_at<D>(right_row, 2 * k + me.lane / 8 % 2);
#pragma unroll
    for (i32 n = 0; n < N; n += 2) /* 8 rows on, chunks are permuted alike */
      mma_columns(sums.of[n], sums.of[n + 1], left, rows + 8 * n * D);
  }
}

/* sums += left b for 16 rows of tile b from b_row on, whose products `left` weights. */
template <i32 D>
DEVICE void add_weighted_rows(Sums<D / 8> &sums, const u32 (&left)[4], const bf16 *b, i32 b_row) {
  const Place me = own_place();
#pragma unroll
  for (i32 n = 0; n < D / 8; n += 2)
    mma_rows(sums.of[n], sums.of[n + 1], left,
             b + chunk_at<D>(b_row + me.lane % 16, n + me.lane / 16));
}

/* sums += weights b for a tile of 64 rows; the weights are rounded to bf16. A lane's sums of two
 * products are its part of the left operand of another. */
template <i32 D>
DEVICE void add_weighted_tile(Sums<D / 8> &sums, const Scores &weights, const bf16 *b) {
  __syncwarp(); /* as above */
#pragma unroll
  for (i32 k = 0; k < TILE_ROWS / 16; k++) {
    const f32(&low)[4] = weights.of[2 * k], (&high)[4] = weights.of[2 * k + 1];
    const u32 left[4] = {pack_bf16(low[0], low[1]), pack_bf16(low[2], low[3]),
                         pack_bf16(high[0], high[1]), pack_bf16(high[2], high[3])};
    add_weighted_rows<D>(sums, left, b, 16 * k);
  }
}
