#include "multi-head-split.h"

/* Operands end with zero rows of two tiles in bf16, and take half as much. */
enum { TAIL = 2 * OPERAND_DEPTH };

static int64_t forward_floats(const multi_head_shape *s) {
  const int64_t dim = padded_depth(s->head_dim),
                keys =
                    adl_round_up(multi_head_held(s, s->longest_keys, FORWARD_KEYS), OPERAND_ROWS),
                scores = multi_head_scores(s);
  const int64_t split =
      multi_head_splits(s, s->longest_keys) ? split_forward_floats(keys, dim) : 0;
  return split + 2 * (keys + TAIL) * dim + BLOCK_ROWS * dim + panel_floats(keys) + 2 * scores +
         4 * BLOCK_ROWS + ADL_FACTORS_SLACK + LONG_QUERIES * (dim + 2) + 8 * ADL_LINE;
}

static int64_t backward_floats(const multi_head_shape *s) {
  const int64_t dim = padded_depth(s->head_dim),
                keys =
                    adl_round_up(multi_head_held(s, s->longest_keys, BACKWARD_KEYS), OPERAND_ROWS);
  const int64_t split =
      multi_head_splits(s, s->longest_keys) ? split_backward_floats(keys, dim) : 0;
  return split + 5 * (keys + TAIL) * dim + (2 * (BLOCK_ROWS + TAIL) + multi_head_sums(s)) * dim +
         2 * BLOCK_ROWS * keys + BLOCK_ROWS * (keys + 4) + ADL_FACTORS_SLACK +
         panel_floats(adl_max(keys, BLOCK_ROWS)) + 14 * ADL_LINE;
}

int64_t multi_head_thread_floats(const multi_head_shape *s) {
  /* Each allocation is aligned to a cache line. */
  return adl_round_up(adl_max(forward_floats(s), backward_floats(s)), ADL_LINE);
}

/* Floats of scratch for the multi-head attention kernels; `group`: query heads per key head. */
ADL_API int64_t adl_multi_head_scratch(int longest_queries, int longest_keys, int group,
                                       int head_dim, int window) {
  const multi_head_shape s = {.longest_queries = longest_queries,
                              .longest_keys = longest_keys,
                              .heads = group,
                              .key_heads = 1,
                              .head_dim = head_dim,
                              .window = window};
  return omp_get_max_threads() * multi_head_thread_floats(&s);
}
