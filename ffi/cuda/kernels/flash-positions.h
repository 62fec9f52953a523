/*
 * The position terms of disentangled attention on tensor cores.
 *
 * A tile is 64 consecutive positions of a sequence. Two tiles have only 127 differences of
 * positions, and each row of a table's window in shared memory is the table's row for one of them.
 * Positions without a token (a mask with holes) are masked rows.
 *
 * A row of the own tile and one of the other meet at window row own - other + 63. 16 rows meet all
 * 64 of the other tile in 79 window rows, so a warp multiplies its 16 rows by 80 of the table and
 * reads each pair's product from shared memory, where pairs lie on diagonals. Gradients go the
 * opposite way: a warp's gradients, laid out by window row, are an operand of 16 by 80.
 */
#pragma once

#include "disentangled.h"
#include "flash-backward.h"

enum {
  HEAD = 64,            /* columns of a head in shared memory: all of DeBERTa's have 64 */
  WINDOW = 2 * TILE_ROWS, /* window rows of two tiles, and one more */
  WARP_WINDOW = TILE_ROWS + WARP_ROWS, /* window rows of 16 rows and a tile, and one more */
  /* Floats from row to row of the products; also bf16 from row to row of the gradients. The first
   * puts eight rows' pairs into different banks, the second keeps ldmatrix' rows apart. */
  PITCH = WARP_WINDOW + 8,
};

/* A sequence, whose tiles count positions from its first token's. */
struct Placed {
  Sequence sequence;
  i32 first_position;
  i32 keys, queries; /* positions from the first token to the last key and query */
  bool whole;        /* no position lacks a token */
};

DEVICE Placed placed(const Disentangled &s, i32 b) {
  const Sequence sequence = sequence_of(s, b);
  const i32 *positions = s.positions + sequence.start;
  if (sequence.n == 0) return {sequence, 0, 0, sequence.queries, true};
  const i32 first = positions[0], extent = positions[sequence.n - 1] - first + 1;
  return {sequence, first, extent, s.first_only ? 1 : extent, extent == sequence.n};
}

/* Index in its sequence of the key at a position, counted from the first; -1 without a token. */
DEVICE i32 key_index(const Disentangled &s, const Placed &p, i32 position) {
  if (position >= p.keys) return -1;
  return p.whole ? position : key_at(s, p.sequence, p.first_position + position);
}
DEVICE i32 query_index(const Disentangled &s, const Placed &p, i32 position) {
  if (s.first_only) return position == 0 ? 0 : -1;
  return key_index(s, p, position);
}

/* Rows in k and v, and in q and out; -1 without a token. */
DEVICE i32 key_row(const Disentangled &s, const Placed &p, i32 position) {
  const i32 index = key_index(s, p, position);
  return index < 0 ? -1 : p.sequence.start + index;
}
DEVICE i32 query_row(const Disentangled &s, const Placed &p, i32 position) {
  const i32 index = query_index(s, p, position);
  return index < 0 ? -1 : p.sequence.query_start + index;
}

/* Starts to copy a table's rows for the differences of two tiles, `apart` positions from the other
 * tile's start to the own's. `keys`: own rows are keys, others queries. */
DEVICE void copy_window(bool keys, bf16 *window, const Disentangled &s,
                        const HeadRows<const bf16> &table, i32 apart) {
  copy_tile<HEAD, WINDOW, 4>(window, table, [&](i32 w) {
    const i32 own_less_other = apart + w - (TILE_ROWS - 1),
              difference = keys ? -own_less_other : own_less_other;
    const bool exists = -s.span < difference && difference < s.span && w < WINDOW - 1;
    return exists ? s.relative[difference + s.span - 1] : -1;
  });
}

/* Sets `to` [16, PITCH] to the products of a warp's window of `table`, from `first` on, and of 16
 * rows of a tile: 16 columns at a time, since 80 would not fit into the registers beside scores. */
DEVICE void set_products(f32 *to, const bf16 *rows, i32 row, const bf16 *table, i32 first) {
  const Place me = own_place();
#pragma unroll 1
  for (i32 column = 0; column < WARP_WINDOW; column += 16) {
    Sums<2> sums = {};
    add_inner_products<HEAD>(sums, rows, row, table, first + column);
#pragma unroll
    for (i32 n = 0; n < 2; n++)
#pragma unroll
      for (i32 half = 0; half < 2; half++) {
        f32 *pair = to + row_of_half(me, half) * PITCH + column + 8 * n + own_pair(me);
        *reinterpret_cast<float2 *>(pair) = {sums.of[n][2 * half], sums.of[n][2 * half + 1]};
      }
  }
}

/* Adds the products of this warp's rows and their window of `table`. `products`: [64, PITCH]. */
DEVICE void add_own_positions(Scores &scores, f32 *products, const bf16 *own, const bf16 *table) {
  const Place me = own_place();
  const i32 first = first_of_warp(me);
  f32 *mine = products + first * PITCH;
  set_products(mine, own, first, table, first);
  __syncwarp();
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i32 row = row_of_half(me, i / 2), column = 8 * n + own_pair(me) + i % 2;
      scores.of[n][i] += mine[row * PITCH + row + TILE_ROWS - 1 - column];
    }
  __syncwarp(); /* the products have been read */
}

/* Adds the products of the other tile's rows and their windows: each warp computes those of 16
 * rows, all warps read them. */
DEVICE void add_other_positions(Scores &scores, f32 *products, const bf16 *other,
                                const bf16 *table) {
  const Place me = own_place();
  const i32 first = first_of_warp(me);
  set_products(products + first * PITCH, other, first, table, TILE_ROWS - WARP_ROWS - first);
  __syncthreads(); /* all products are there */
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++) {
      const i32 row = first + row_of_half(me, i / 2), column = 8 * n + own_pair(me) + i % 2;
      const i32 in_16 = 8 * (n % 2) + own_pair(me) + i % 2;
      scores.of[n][i] += products[column * PITCH + row - in_16 + WARP_ROWS - 1];
    }
  __syncthreads(); /* the products have been read */
}

/* A warp's rows of the gradients that store_window lays out. */
DEVICE bf16 *window_of_warp(f32 *products, i32 of_warp) {
  return reinterpret_cast<bf16 *>(products + of_warp * WARP_ROWS * PITCH);
}

/* Lays this warp's 16 rows by 64 columns out by window row, 0 elsewhere. */
DEVICE void store_window(f32 *products, const Scores &gradients) {
  const Place me = own_place();
  bf16 *window = window_of_warp(products, me.warp);
  const i32 zero_row = me.lane / 2, after = zero_row + TILE_ROWS;
  const bool left = me.lane % 2 == 0; /* of the row's columns, or right */
#pragma unroll 1
  for (i32 column = left ? 0 : after; column < (left ? zero_row : WARP_WINDOW); column++)
    window[zero_row * PITCH + column] = {0};
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 half = 0; half < 2; half++) {
      const i32 row = row_of_half(me, half), column = 8 * n + own_pair(me);
      const u32 pair = pack_bf16(gradients.of[n][2 * half], gradients.of[n][2 * half + 1]);
      bf16 *to = window + row * PITCH + row + TILE_ROWS - 1 - column;
      to[0] = {(u16)(pair & 0xffffu)};
      to[-1] = {(u16)(pair >> 16)};
    }
  __syncwarp();
}

/* sums += this warp's gradients by window row times these rows of the table. */
DEVICE void add_window_rows(Sums<HEAD / 8> &sums, f32 *products, const bf16 *table) {
  const Place me = own_place();
  const bf16 *window = window_of_warp(products, me.warp);
#pragma unroll
  for (i32 k = 0; k < WARP_WINDOW / 16; k++) {
    u32 left[4];
    load_matrices(left, window + me.lane % 16 * PITCH + 16 * k + me.lane / 16 * 8);
    add_weighted_rows<HEAD>(sums, left, table, first_of_warp(me) + 16 * k);
  }
}

/* The gradient of 16 window rows of a table: those from 16 `block` on. Adds the products of all
 * warps' gradients, transposed, and their rows of the own tile. */
DEVICE void add_table_rows(Sums<HEAD / 8> &sums, f32 *products, const bf16 *own, i32 block) {
  const Place me = own_place();
  for (i32 w = 0; w < FLASH_WARPS; w++) {
    const i32 column = 16 * (block - w);
    if (column < 0 || column >= WARP_WINDOW) continue; /* none of this warp's window */
    const i32 row = me.lane / 16 * 8 + me.lane % 8;
    u32 left[4];
    load_matrices_transposed(left, window_of_warp(products, w) + row * PITCH + column +
                                       me.lane / 8 % 2 * 8);
    add_weighted_rows<HEAD>(sums, left, own, WARP_ROWS * w);
  }
}
