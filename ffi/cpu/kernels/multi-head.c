#include "multi-head.h"

int64_t multi_head_thread_floats(const multi_head_shape *s) {
  const int64_t dim = padded_depth(s->head_dim),
                keys = adl_round_up(multi_head_held(s, s->longest_keys), OPERAND_ROWS);
  /* The backward kernel's allocations, each aligned to a cache line; the forward kernel needs less
   * of each. bf16 operands take half, but end with zero rows of two tiles. */
  const int64_t tail = 2 * OPERAND_DEPTH;
  const int64_t floats = 5 * (keys + tail) * dim + 3 * (BLOCK_ROWS + tail) * dim +
                         2 * BLOCK_ROWS * keys + BLOCK_ROWS * (keys + 4) + ADL_FACTORS_SLACK +
                         panel_floats(adl_max(keys, BLOCK_ROWS)) + 14 * ADL_LINE;
  return adl_round_up(floats, ADL_LINE);
}

/* Floats of scratch for the multi-head attention kernels. */
ADL_API int64_t adl_multi_head_scratch(int longest_keys, int head_dim, int window) {
  const multi_head_shape s = {
      .longest_keys = longest_keys, .head_dim = head_dim, .window = window};
  return omp_get_max_threads() * multi_head_thread_floats(&s);
}
