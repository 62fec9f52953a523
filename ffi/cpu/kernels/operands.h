/*
 * What the products within attention, and of adapters' gradients, multiply: left [m, k] by right
 * [k, n] gives floats.
 *
 * In float both are plain matrices. In bf16 both hold bf16 as the processor's dot products want it:
 * the left by rows, the right by pairs of rows, whose numbers of a column are neighbours; an
 * instruction multiplies pairs of one by pairs of the other and adds to floats. Products that small
 * are run on one thread.
 *
 * Matrices are padded, so that whole vectors, and where there are any, the processor's tiles of 16
 * rows by 32 numbers move: see the functions.
 */
#pragma once

#include "activation-type.h"

#ifdef ADL_BF16
typedef uint16_t left;
typedef uint32_t right;  /* row 2p in the lower half, row 2p + 1 in the upper */
enum { RIGHT_ROWS = 2 }; /* rows that are kept together */
#else
typedef float left, right;
enum { RIGHT_ROWS = 1 };
#endif

enum {
  /* Rows of a tile. */
  OPERAND_ROWS = 16,
  /* Numbers of a sum that a tile takes. */
  OPERAND_DEPTH = 32,
};

/* Numbers from a row to the next of a left operand with sums of n, and of what has a head's
 * columns. */
ADL_INLINE int64_t padded_depth(int64_t n) { return adl_round_up(n, OPERAND_DEPTH); }

/* Memory of a right operand, and of a left one, in floats. */
ADL_INLINE int64_t right_floats(int64_t rows, int64_t columns) {
  return RIGHT_ROWS == 1 ? rows * columns
                         : (padded_depth(rows) + OPERAND_DEPTH) / RIGHT_ROWS * columns;
}
ADL_INLINE int64_t left_floats(int64_t rows, int64_t depth) {
  return adl_round_up(rows, OPERAND_ROWS) * padded_depth(depth) / RIGHT_ROWS;
}

/* Row `row` of a right operand: an even one in bf16. */
ADL_INLINE const right *right_at(const right *b, int64_t ldb, int64_t row) {
  return b + row / RIGHT_ROWS * ldb;
}

#define copy_right ADL_ACT(copy_right)
#define copy_right_transposed ADL_ACT(copy_right_transposed)
#define multiply ADL_ACT(multiply)
#define multiply_floats ADL_ACT(multiply_floats)

/* Sets to[rows, padded_depth(dim)] to rows of `from`, zeros after dim; `step` leads from a row
 * to the next. */
ADL_INLINE void copy_left(left *to, const act *from, ptrdiff_t step, int rows, int dim) {
  const int64_t padded = padded_depth(dim);
  for (int r = 0; r < rows; r++, from += step, to += padded) {
    memcpy(to, from, sizeof(act) * (size_t)dim);
    memset(to + dim, 0, sizeof(act) * (size_t)(padded - dim));
  }
}

/* Sets the right operand to[rows, padded_depth(dim)] likewise. In bf16 zero rows follow: up to
 * whole tiles, and one more. A negative step reverses rows. */
void copy_right(right *to, const act *from, ptrdiff_t step, int rows, int dim);

/* Sets both kinds of operands to the same rows. In float a right operand by rows is a left one too.
 */
ADL_INLINE void copy_both(left *l, right *r, const act *from, ptrdiff_t step, int rows, int dim) {
  copy_right(r, from, step, rows, dim);
  if (RIGHT_ROWS > 1) copy_left(l, from, step, rows, dim);
}

/* The transpose: to[dim, stride], zeros where rows are rounded up to whole vectors; in bf16 zero
 * rows follow, up to whole tiles. */
void copy_right_transposed(right *to, int64_t stride, const act *from, ptrdiff_t step, int rows,
                           int dim);

/* Sets rows of `to` to the first dim numbers of rows of `from`. */
ADL_INLINE void copy_out(act *to, ptrdiff_t step, const float *from, int64_t stride, int rows,
                         int dim) {
  for (int r = 0; r < rows; r++, from += stride, to += step) {
    int d = 0;
    for (; d + ADL_VECTOR <= dim; d += ADL_VECTOR) vec_store_act(to + d, vec_load(from + d));
    for (; d < dim; d++) act_store(to + d, from[d]);
  }
}

/*
 * C[m, n] = A B, or += with `add`. Rows of A lie lda apart. Columns are computed, and C written, in
 * whole vectors. In bf16 A has zeros after k up to padded_depth(k), and what B has in these rows is
 * finite. With AMX rows are computed in whole tiles too: A's after m may hold anything, C's are
 * written, so that nobody else uses them.
 */
void multiply(int m, int n, int k, const left *a, int64_t lda, const right *b, int64_t ldb,
              float *c, int64_t ldc, int add);

/*
 * The same with a left operand of floats, rounded in bf16: A(i, p) = a[i * a_row + p * a_col],
 * where one of the strides is 1. Where it is a_row, whole vectors of rows are read, and rows after
 * m are added to C as they are: zeros, where others' rows follow. `panel` has panel_floats(k).
 */
void multiply_floats(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col,
                     const right *b, int64_t ldb, float *c, int64_t ldc, int add, left *panel);

/* Rows that multiply_floats rounds before it multiplies them: few, so that they stay close. */
enum { PANEL_ROWS = 32 };

ADL_INLINE int64_t panel_floats(int64_t k) { return PANEL_ROWS * padded_depth(k) / 2; }

/* Around a thread's products: its tiles are set up and given back, where the processor has any. */
#if defined ADL_BF16 && defined __AMX_BF16__
void begin_products(void);
void end_products(void);
#else
ADL_INLINE void begin_products(void) {}
ADL_INLINE void end_products(void) {}
#endif
