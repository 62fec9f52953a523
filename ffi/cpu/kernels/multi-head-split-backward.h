/* Products of the backward kernel on AMX tiles: see multi-head-split.h. */
#pragma once

#include "multi-head-split.h"

/* Split operands of held keys and of a block of queries; all NULL where nothing is split. */
typedef struct {
  uint16_t *k, *k_transposed, *v_transposed; /* right operands of the held keys */
  uint16_t *q, *dout, *q_transposed, *dout_transposed, *panel;
  float *dk, *dv; /* sums over blocks of queries, 16 keys after the other: [keys / 16, dim, 16] */
} split_workspace;

/* Allocates operands for up to `keys` held keys, a multiple of ADL_VECTOR. */
static split_workspace split_workspace_at(float **memory, int64_t keys, int64_t dim) {
  return (split_workspace){
      .k = attention_alloc_split(memory, dim, keys),
      .k_transposed = attention_alloc_split(memory, keys, dim),
      .v_transposed = attention_alloc_split(memory, keys, dim),
      .q = attention_alloc_split(memory, BLOCK_ROWS, dim),
      .dout = attention_alloc_split(memory, BLOCK_ROWS, dim),
      .q_transposed = attention_alloc_split(memory, dim, BLOCK_ROWS),
      .dout_transposed = attention_alloc_split(memory, dim, BLOCK_ROWS),
      .panel = attention_alloc_split(memory, BLOCK_ROWS, SPLIT_KEYS),
      .dk = attention_alloc(memory, dim * keys),
      .dv = attention_alloc(memory, dim * keys),
  };
}

/* Sets a right operand to the transpose of rows. */
ADL_INLINE split_range split_rows_transposed(uint16_t *to, const act *from, ptrdiff_t step,
                                             int rows, int dim) {
  const split_range range = split_rows(to, from, step, rows, dim);
  split_transpose(to, to, rows, dim);
  return range;
}

/* Sets a left operand to rows, and another to their transpose. */
ADL_INLINE split_range split_both(uint16_t *to, uint16_t *transposed, const act *from,
                                  ptrdiff_t step, int rows, int dim) {
  split_depth(transposed, from, step, rows, dim);
  split_transpose(transposed, transposed, dim, rows);
  return split_rows(to, from, step, rows, dim);
}

/* Adds products with a panel to the sums of `keys` keys from key j on. */
ADL_INLINE void add_key_sums(int rows, int dim, int j, int keys, const uint16_t *queries,
                             const uint16_t *panel, float *sums) {
  const int64_t padded_dim = padded_depth(dim);
  split_multiply(dim, keys, rows, queries, rows, panel, rows, sums + j * padded_dim, SPLIT_ROWS,
                 SPLIT_ROWS * padded_dim, 1);
}

/*
 * For `keys` held keys from key j on, a multiple of SPLIT_KEYS, of `held`: adds to dq [rows, dim],
 * or sets it unless `add`; adds to dk. `largest_factor`: the largest element of q or of k, whichever
 * is smaller, as the bits of a float. Returns 0, having done nothing, if the gradients have no split.
 */
static int split_score_gradients(const split_workspace *w, const float *dscores, int64_t stride,
                                 int rows, int dim, int j, int keys, int held,
                                 uint32_t largest_factor, float *dq, int add) {
  split_range range;
  split_left(w->panel, dscores + j, stride, rows, keys, &range);
  /* Small gradients may be flushed where others of the panel are large enough to hide it. */
  const int largest = split_exponent(range.largest);
  if (range.largest != 0 &&
      (largest >= 60 || largest < -90 || largest + split_exponent(largest_factor) < -90))
    return 0;
  split_multiply(rows, dim, keys, w->panel, keys, split_at(w->k, j), held, dq, padded_depth(dim),
                 SPLIT_ROWS, add);
  split_right(w->panel, dscores + j, stride, rows, keys, NULL);
  add_key_sums(rows, dim, j, keys, w->q_transposed, w->panel, w->dk);
  return 1;
}

/* Adds to dv in the same way. */
static void split_value_gradients(const split_workspace *w, const float *probs, int64_t stride,
                                  int rows, int dim, int j, int keys) {
  split_right(w->panel, probs + j, stride, rows, keys, NULL);
  add_key_sums(rows, dim, j, keys, w->dout_transposed, w->panel, w->dv);
}

/* Adds sums of keys to to[keys, padded_depth(dim)]. */
static void add_transposed(float *to, const float *sums, int keys, int dim) {
  const int64_t padded_dim = padded_depth(dim);
  for (int j = 0; j < keys; j += SPLIT_ROWS) {
    for (int i = 0; i < SPLIT_ROWS && j + i < keys; i++) {
      const float *from = sums + j * padded_dim + i;
      for (int d = 0; d < dim; d++) to[(j + i) * padded_dim + d] += from[d * SPLIT_ROWS];
    }
  }
}
