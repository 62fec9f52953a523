/*
 * Products of float operands on AMX tiles, as accurate as in float: each operand is split exactly
 * into three bf16 terms, x = high + middle + low, and six of the nine products of terms are summed
 * in float, per 32 elements of depth with the largest last. The other three are below 2^-23 of the
 * product, and 2^-26 on average; rounding each sum to float costs as much.
 *
 * Operands are lists of tiles of 1 KiB. A left operand [rows, depth] has tiles of 16 rows by 32
 * elements; a right operand [depth, columns] has tiles of 32 rows by 16 columns, in which pairs of
 * rows are interleaved. The three terms of a tile follow each other, then the tiles along the
 * depth, then the next 16 rows or columns. Tiles past the end are zero-padded.
 *
 * AMX treats subnormal numbers as 0, and an infinity has no split: callers check the range of each
 * operand.
 */
#pragma once

#include "vector.h"

enum {
  SPLIT_ROWS = 16,
  SPLIT_DEPTH = 32,
  SPLIT_TILE = 512, /* bf16 elements of a tile */
  SPLIT_TERMS = 3,
};

/* Objects over float are shared by all libraries, but only those for AMX define these functions. */
#define ADL_WEAK __attribute__((weak))

/* Magnitudes in an operand, as the bits of floats. */
typedef struct {
  uint32_t smallest, largest; /* of the elements that are not 0: smallest - 1 (2^32 - 1 for none) */
} split_range;

ADL_INLINE int split_exponent(uint32_t bits) { return (int)(bits >> 23) - 127; }

/* Whether no term of an element is subnormal or infinite, with room for sums of products. */
ADL_INLINE int split_fits(split_range a) {
  return split_exponent(a.smallest) >= -80 && split_exponent(a.largest) < 40;
}

/* Whether products of an element of each have no subnormal parts that count in float. */
ADL_INLINE int split_pair_fits(split_range a, split_range b) {
  return split_fits(a) && split_fits(b) &&
         split_exponent(a.smallest) + split_exponent(b.smallest) >= -98;
}

/* Elements of an operand of `rows` rows (left) or columns (right), and floats of memory for it. */
ADL_INLINE int64_t split_elements(int64_t rows, int64_t depth) {
  return adl_round_up(rows, SPLIT_ROWS) * adl_round_up(depth, SPLIT_DEPTH) * SPLIT_TERMS;
}
ADL_INLINE int64_t split_floats(int64_t rows, int64_t depth) {
  return split_elements(rows, depth) / 2;
}

/* Sets the left operand to[rows, depth] to `from`, with row stride `step`; sets *range unless NULL.
 */
ADL_WEAK void split_left(uint16_t *to, const float *from, ptrdiff_t step, int rows, int depth,
                         split_range *range);
/* Sets the right operand to[depth, columns] in the same way. */
ADL_WEAK void split_right(uint16_t *to, const float *from, ptrdiff_t step, int depth, int columns,
                          split_range *range);
/* Sets the right operand to[depth, rows] to the transpose of the left operand from[rows, depth]; or
 * the left operand to[rows, depth] to that of the right operand from[depth, rows]. `to` may be
 * `from`. */
ADL_WEAK void split_transpose(uint16_t *to, const uint16_t *from, int rows, int depth);

/* C[m, n] = A B, or += with `add`, over the first k of the operands' depths. C has row stride ldc;
 * 16 columns begin `c_next` after the 16 before. Computes and writes C in whole tiles of 16 by
 * 16. */
ADL_WEAK void split_multiply(int m, int n, int k, const uint16_t *a, int a_depth,
                             const uint16_t *b, int b_depth, float *c, int64_t ldc, int64_t c_next,
                             int add);

/* Set up and release this thread's tile registers. */
ADL_WEAK void split_begin(void);
ADL_WEAK void split_end(void);

/* Whether this library has them. */
ADL_INLINE int split_available(void) { return split_begin != NULL; }
