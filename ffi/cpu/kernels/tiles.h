/*
 * Register tiling of small products: a tile of the result stays in registers, 6 x 4 vectors of
 * AVX-512's 32, or 6 x 2 of AVX2's 16. Each step multiplies one row of the right operand by 6
 * elements of the left, so that 10 loads feed 24 multiply-adds.
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

/* Defines any_tile(rows, vectors, o), which calls `tile` with constant sizes, so that its loops
 * unroll into registers. */
#define DEFINE_ANY_TILE(tile, operands)                                                            \
  static void any_tile(int rows, int vectors, const operands *o) {                                 \
    switch (8 * rows + vectors) {                                                                  \
      TILE_CASES(tile, 1)                                                                          \
      TILE_CASES(tile, 2)                                                                          \
      TILE_WIDE_CASES(tile)                                                                        \
    }                                                                                              \
  }
