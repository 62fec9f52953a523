/*
 * Multi-head attention of packed queries to packed keys: shared by forward and backward. A block of
 * queries is multiplied by a block of keys at once; no probabilities are stored.
 *
 * Without a window a block of keys is copied to operands once and stays in L2 while blocks of
 * queries pass. With one, each block of queries copies its own keys, so that time per query and
 * scratch do not grow with the sequence.
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

/* Keys [from, to) of a sequence. */
typedef struct {
  int from, to;
} key_range;

/* Keys visible to query i of the sequence. */
ADL_INLINE key_range multi_head_visible(const multi_head_shape *s, const multi_head_pair *pair,
                                        int i) {
  const int end = s->causal ? (int)adl_max(0, pair->m - (pair->n - 1 - i)) : pair->m;
  if (s->window < 0) return (key_range){0, end};
  return (key_range){(int)adl_max(0, i - s->window), (int)adl_min(end, i + s->window + 1)};
}

/* Keys visible to any query of a block, from the start of a tile on. */
ADL_INLINE key_range multi_head_block_keys(const multi_head_shape *s, const multi_head_pair *pair,
                                           int first, int rows) {
  const int from = multi_head_visible(s, pair, first).from;
  return (key_range){from - from % OPERAND_ROWS, multi_head_visible(s, pair, first + rows - 1).to};
}

/*
 * Keys that a thread holds at once without a window: operands and scores of a block fit in 2 MiB of
 * L2. A block of the forward kernel is the larger one, because a row's softmax is rounded in
 * another way when it spans several. Multiples of OPERAND_DEPTH, so that blocks sum in the order of
 * one product.
 */
enum { FORWARD_KEYS = 1024, BACKWARD_KEYS = 512 };

/* Queries whose sums over several blocks of keys a thread of the forward kernel holds. */
enum { LONG_QUERIES = 1024 };

/* Keys whose operands a thread holds at once, for a sequence of `keys` keys and blocks of `block`.
 */
ADL_INLINE int multi_head_held(const multi_head_shape *s, int keys, int block) {
  if (s->window < 0) return (int)adl_min(keys, block);
  return (int)adl_min(keys, BLOCK_ROWS + 2 * (int64_t)s->window + OPERAND_ROWS);
}

/* Row stride of matrices with a column per held key. */
ADL_INLINE int64_t multi_head_stride(int held) { return adl_round_up(held, ADL_VECTOR); }

/* Whether the products are large enough to pay for waking threads. */
ADL_INLINE int multi_head_is_large(const multi_head_shape *s) {
  int64_t products = 0;
  for (int b = 0; b < s->sequences; b++) {
    const multi_head_pair pair = multi_head_pair_at(s, b);
    products += (int64_t)pair.n * multi_head_held(s, pair.m, pair.m) * s->heads * s->head_dim;
  }
  return adl_parts(products) > 1;
}

/* Up to this many queries per sequence, as in decoding, transposing the keys would cost more than
 * the products: the forward kernel reads all keys in place. */
enum { FEW_QUERIES = 16 };

/* Scores that the forward kernel holds per thread. */
ADL_INLINE int64_t multi_head_scores(const multi_head_shape *s) {
  const int held = multi_head_held(s, s->longest_keys, FORWARD_KEYS);
  return adl_max(BLOCK_ROWS * multi_head_stride(held),
                 FEW_QUERIES * multi_head_stride(s->longest_keys));
}

/* Rows of dq that the backward kernel sums per thread: without a window, those of all queries that
 * read a key head. */
ADL_INLINE int64_t multi_head_sums(const multi_head_shape *s) {
  if (s->window >= 0) return BLOCK_ROWS;
  return adl_round_up(s->longest_queries, OPERAND_ROWS) * (s->heads / s->key_heads);
}

/* Floats of scratch per thread, enough for either direction. */
int64_t multi_head_thread_floats(const multi_head_shape *s);
