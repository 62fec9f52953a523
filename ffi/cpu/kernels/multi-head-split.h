/*
 * Operands on AMX tiles for multi-head attention of long sequences in float (split.h). Blocks whose
 * elements have no exact split, and the CPUs without AMX, use operands.h.
 *
 * Errors are as in float. Probabilities and their gradients may be arbitrarily small: AMX flushes
 * parts of them below 2^-126, as exp_negative flushes probabilities.
 */
#pragma once

#include "multi-head.h"
#include "split.h"

/* Keys whose probabilities are split at once. */
enum { SPLIT_KEYS = 256 };

/* Narrower heads do not pay for splitting their probabilities. */
enum { SPLIT_DIM = 48 };

/* Whether products with this many keys, more than a thread holds at once, are split. */
ADL_INLINE int multi_head_splits(const multi_head_shape *s, int keys) {
  return RIGHT_ROWS == 1 && s->window < 0 && keys > FORWARD_KEYS && s->head_dim >= SPLIT_DIM &&
         split_available();
}

/* Set up and release this thread's tile registers, for operands of either kind. */
ADL_INLINE void multi_head_begin(const multi_head_shape *s, int keys) {
  if (multi_head_splits(s, keys))
    split_begin();
  else
    begin_products();
}
ADL_INLINE void multi_head_end(const multi_head_shape *s, int keys) {
  if (multi_head_splits(s, keys))
    split_end();
  else
    end_products();
}

/* The keys that a sequence without a window holds. */
typedef struct {
  key_range keys;
  int plain;        /* whether the operands of products in float are set */
  split_range k, v; /* of the split operands */
} held_keys;

/* Allocates a split operand. */
ADL_INLINE uint16_t *attention_alloc_split(float **memory, int64_t rows, int64_t depth) {
  return (uint16_t *)attention_alloc(memory, split_floats(rows, depth));
}

/* Part of a right operand from row p of its depth on, a multiple of SPLIT_DEPTH. */
ADL_INLINE const uint16_t *split_at(const uint16_t *right, int p) {
  return right + p / SPLIT_DEPTH * (SPLIT_TERMS * SPLIT_TILE);
}

/* Splits rows of a tensor: as left operand, or as right operand. They are floats where it is used.
 */
ADL_INLINE split_range split_rows(uint16_t *to, const act *from, ptrdiff_t step, int rows,
                                  int dim) {
  split_range range;
  split_left(to, (const float *)from, step, rows, dim, &range);
  return range;
}
ADL_INLINE split_range split_depth(uint16_t *to, const act *from, ptrdiff_t step, int rows,
                                   int dim) {
  split_range range;
  split_right(to, (const float *)from, step, rows, dim, &range);
  return range;
}

/* Floats of memory for the split operands of each direction; `keys`: held, whole vectors. */
ADL_INLINE int64_t split_forward_floats(int64_t keys, int64_t dim) {
  return 2 * split_floats(keys, dim) + split_floats(BLOCK_ROWS, dim + SPLIT_KEYS) + 4 * ADL_LINE;
}
ADL_INLINE int64_t split_backward_floats(int64_t keys, int64_t dim) {
  return 3 * split_floats(keys, dim) + 4 * split_floats(BLOCK_ROWS, dim) +
         split_floats(BLOCK_ROWS, SPLIT_KEYS) + 2 * dim * keys + 10 * ADL_LINE;
}
