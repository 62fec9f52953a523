/*
 * Multi-head attention of packed queries to packed keys: what its two directions share. A block of
 * queries meets all keys that it sees at once, as in attention.h; no probability leaves the kernel.
 */
#pragma once

#include "attention.h"

/* A sequence's queries and keys. */
typedef struct {
  int start, n;     /* of the queries */
  int key_start, m; /* of the keys */
} multi_head_pair;

ADL_INLINE multi_head_pair multi_head_pair_at(const multi_head_shape *s, int b) {
  const int start = s->query_offsets[b], key_start = s->key_offsets[b];
  return (multi_head_pair){start, s->query_offsets[b + 1] - start, key_start,
                           s->key_offsets[b + 1] - key_start};
}

/* Keys that query i of the sequence sees: the first of them, as many as come back. */
ADL_INLINE int multi_head_visible(const multi_head_shape *s, const multi_head_pair *pair, int i) {
  return s->causal ? (int)adl_max(0, pair->m - (pair->n - 1 - i)) : pair->m;
}

/* Whether the products are worth waking threads. */
ADL_INLINE int multi_head_is_large(const multi_head_shape *s) {
  int64_t products = 0;
  for (int b = 0; b < s->sequences; b++) {
    const multi_head_pair pair = multi_head_pair_at(s, b);
    products += (int64_t)pair.n * pair.m * s->heads * s->head_dim;
  }
  return adl_parts(products) > 1;
}

/* Floats that a thread of either direction needs at most. */
int64_t multi_head_thread_floats(const multi_head_shape *s);
