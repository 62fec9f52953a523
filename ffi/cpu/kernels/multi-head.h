/*
 * Multi-head attention of packed queries to packed keys: shared by forward and backward. A block of
 * queries is multiplied by all of its visible keys at once, as in attention.h; no probabilities are
 * stored.
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

/* Number of keys visible to query i of the sequence: always the first ones. */
ADL_INLINE int multi_head_visible(const multi_head_shape *s, const multi_head_pair *pair, int i) {
  return s->causal ? (int)adl_max(0, pair->m - (pair->n - 1 - i)) : pair->m;
}

/* Whether the products are large enough to pay for waking threads. */
ADL_INLINE int multi_head_is_large(const multi_head_shape *s) {
  int64_t products = 0;
  for (int b = 0; b < s->sequences; b++) {
    const multi_head_pair pair = multi_head_pair_at(s, b);
    products += (int64_t)pair.n * pair.m * s->heads * s->head_dim;
  }
  return adl_parts(products) > 1;
}

/* Floats of scratch per thread, enough for either direction. */
int64_t multi_head_thread_floats(const multi_head_shape *s);
