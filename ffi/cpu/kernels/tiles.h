/*
 * How small products are cut: a tile of the result stays in registers, 6 x 4 vectors of AVX-512's
 * 32, or 6 x 2 of AVX2's 16. Each step multiplies a row of the right by 6 numbers of the left, so
 * that loads (4 + 6) stay below the 24 multiply-adds that they feed.
 */
#pragma once

#include "vector.h"

enum { TILE_ROWS = 6, TILE_VECTORS = ADL_VECTOR == 16 ? 4 : 2 };

#define TILE_CASE(tile, rows, vectors)                                                             \
  case 8 * (rows) + (vectors):                                                                     \
    tile(rows, vectors, o);                                                                        \
    break;
#define TILE_CASES(tile, vectors)                                                                  \
  TILE_CASE(tile, 1, vectors)                                                                      \
  TILE_CASE(tile, 2, vectors)                                                                      \
  TILE_CASE(tile, 3, vectors)                                                                      \
  TILE_CASE(tile, 4, vectors)                                                                      \
  TILE_CASE(tile, 5, vectors)                                                                      \
  TILE_CASE(tile, 6, vectors)

#if ADL_VECTOR == 16
#define TILE_WIDE_CASES(tile) TILE_CASES(tile, 3) TILE_CASES(tile, 4)
#else
#define TILE_WIDE_CASES(tile)
#endif

/* Defines any_tile(rows, vectors, o), which calls `tile` with these as constants, so that its loops
 * over them unroll into registers. */
#define DEFINE_ANY_TILE(tile, operands)                                                            \
  static void any_tile(int rows, int vectors, const operands *o) {                                 \
    switch (8 * rows + vectors) {                                                                  \
      TILE_CASES(tile, 1)                                                                          \
      TILE_CASES(tile, 2)                                                                          \
      TILE_WIDE_CASES(tile)                                                                        \
    }                                                                                              \
  }
