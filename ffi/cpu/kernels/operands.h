/*
 * Operands of the products in attention and in adapters' gradients: left [m, k] times right [k, n],
 * summed in float, on one thread.
 *
 * In float both are plain matrices. In bf16 both hold bf16 in the layout of the CPU's dot-product
 * instructions: the left row by row, the right with pairs of rows interleaved, so that an
 * instruction multiplies pairs and adds to floats.
 *
 * Matrices are padded to whole vectors and, with AMX, to tiles of 16 rows by 32 elements; each
 * function states its padding.
 */
#pragma once

#include "activation-type.h"

#ifdef ADL_BF16
typedef uint16_t left;
typedef uint32_t right;  /* row 2p in the low half, row 2p + 1 in the high half */
enum { RIGHT_ROWS = 2 }; /* rows that are interleaved */
#else
typedef float left, right;
enum { RIGHT_ROWS = 1 };
#endif

enum {
  /* Rows of a tile. */
  OPERAND_ROWS = 16,
  /* Elements of a tile along the inner dimension. */
  OPERAND_DEPTH = 32,
};

/* Row stride of a left operand with inner dimension n, and of buffers with a head's columns. */
ADL_INLINE int64_t padded_depth(int64_t n) { return adl_round_up(n, OPERAND_DEPTH); }

/* Floats of memory for a right and for a left operand. */
ADL_INLINE int64_t right_floats(int64_t rows, int64_t columns) {
  return RIGHT_ROWS == 1 ? rows * columns
                         : (padded_depth(rows) + OPERAND_DEPTH) / RIGHT_ROWS * columns;
}
ADL_INLINE int64_t left_floats(int64_t rows, int64_t depth) {
  return adl_round_up(rows, OPERAND_ROWS) * padded_depth(depth) / RIGHT_ROWS;
}

/* Row `row` of a right operand; even in bf16. */
ADL_INLINE const right *right_at(const right *b, int64_t ldb, int64_t row) {
  return b + row / RIGHT_ROWS * ldb;
}

#define copy_right ADL_ACT(copy_right)
#define copy_right_transposed ADL_ACT(copy_right_transposed)
#define multiply ADL_ACT(multiply)
#define multiply_floats ADL_ACT(multiply_floats)

/*
 * Sets to[rows, padded_depth(dim)] to rows of `from` with row stride `step`, zero-padded after dim.
 */
ADL_INLINE void copy_left(left *to, const act *from, ptrdiff_t step, int rows, int dim) {
  const int64_t padded = padded_depth(dim);
  for (int r = 0; r < rows; r++, from += step, to += padded) {
    memcpy(to, from, sizeof(act) * (size_t)dim);
    memset(to + dim, 0, sizeof(act) * (size_t)(padded - dim));
  }
}

/* Sets the right operand to[rows, padded_depth(dim)] in the same way. In bf16 zero rows follow: up
 * to a whole tile, and one tile more. A negative step reverses the rows. */
void copy_right(right *to, const act *from, ptrdiff_t step, int rows, int dim);

/* Sets both operands to the same rows. In float one matrix serves as both. */
ADL_INLINE void copy_both(left *l, right *r, const act *from, ptrdiff_t step, int rows, int dim) {
  copy_right(r, from, step, rows, dim);
  if (RIGHT_ROWS > 1) copy_left(l, from, step, rows, dim);
}

/* Sets the right operand to[dim, stride] to the transpose, zero-padded to whole vectors; in bf16
 * zero rows follow up to a whole tile. */
void copy_right_transposed(right *to, int64_t stride, const act *from, ptrdiff_t step, int rows,
                           int dim);

/* Sets each row of `to` to the first dim elements of the row of `from`. */
ADL_INLINE void copy_out(act *to, ptrdiff_t step, const float *from, int64_t stride, int rows,
                         int dim) {
  for (int r = 0; r < rows; r++, from += stride, to += step) {
    int d = 0;
    for (; d + ADL_VECTOR <= dim; d += ADL_VECTOR) vec_store_act(to + d, vec_load(from + d));
    for (; d < dim; d++) act_store(to + d, from[d]);
  }
}

/*
 * C[m, n] = A B, or += with `add`. A has row stride lda. Columns of C are computed and written in
 * whole vectors. In bf16 A must be zero from k to padded_depth(k), and B finite there. With AMX
 * rows are computed in whole tiles too: A may hold anything after row m, and C is written there.
 */
void multiply(int m, int n, int k, const left *a, int64_t lda, const right *b, int64_t ldb,
              float *c, int64_t ldc, int add);

/*
 * The same with a left operand of floats, rounded to bf16 in bf16: A(i, p) = a[i * a_row + p *
 * a_col], where one of the strides is 1. If a_row is 1, whole vectors of rows are read and results
 * for rows after m are added to C, so those elements must be 0 where C continues with other data.
 * `panel` holds panel_floats(k) floats.
 */
void multiply_floats(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col,
                     const right *b, int64_t ldb, float *c, int64_t ldc, int add, left *panel);

/* Rows that multiply_floats rounds at a time: few, so that they stay in L1. */
enum { PANEL_ROWS = 32 };

ADL_INLINE int64_t panel_floats(int64_t k) { return PANEL_ROWS * padded_depth(k) / 2; }

/* Set up and release this thread's tile registers around its products, where the CPU has them. */
#if defined ADL_BF16 && defined __AMX_BF16__
void begin_products(void);
void end_products(void);
#else
ADL_INLINE void begin_products(void) {}
ADL_INLINE void end_products(void) {}
#endif
