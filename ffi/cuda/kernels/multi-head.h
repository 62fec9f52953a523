/* The shape of multi-head attention: which queries attend to which keys. */
#pragma once

#include "ranges.h"

struct MultiHead {
  const i32 *query_offsets, *key_offsets;
  i32 queries, heads, key_heads, dim;
  i32 query_stride, key_stride;
  f32 inverse_scale;
  i32 causal, window; /* window < 0: none */
  i32 blocks;         /* of each sequence in the grid's x; y is the head */
};

#define MULTI_HEAD_PARAMETERS                                                                    \
  const i32 *query_offsets, const i32 *key_offsets, i32 queries, i32 heads, i32 key_heads,       \
      i32 dim, i32 query_stride, i32 key_stride, f32 inverse_scale, i32 causal, i32 window,      \
      i32 blocks
#define MULTI_HEAD_ARGUMENTS                                                                     \
  (MultiHead{query_offsets, key_offsets, queries, heads, key_heads, dim, query_stride,           \
             key_stride, inverse_scale, causal, window, blocks})

/* A block's sequence and its first row there. */
struct Block {
  i32 start, n;     /* of the queries */
  i32 key_start, m; /* of the keys */
  i32 first;
};

/* The block of a grid whose blocks have `rows` rows each. */
DEVICE Block block_of(const MultiHead &s, i32 rows) {
  const i32 b = (i32)blockIdx.x / s.blocks;
  const i32 start = s.query_offsets[b], key_start = s.key_offsets[b];
  return {start, s.query_offsets[b + 1] - start, key_start, s.key_offsets[b + 1] - key_start,
          (i32)blockIdx.x % s.blocks * rows};
}

/* Keys that query i of the sequence attends to. Both ends never fall as i rises. */
DEVICE Range visible_keys(const MultiHead &s, const Block &b, i32 i) {
  const i32 end = s.causal ? larger(0, b.m - (b.n - 1 - i)) : b.m;
  if (s.window < 0) return {0, end};
  return {larger(0, i - s.window), smaller(end, i + s.window + 1)};
}

/* Keys that some of `rows` queries from b.first on attend to. */
DEVICE Range keys_of_block(const MultiHead &s, const Block &b, i32 rows) {
  const i32 last = smaller(b.first + rows, b.n) - 1;
  return {visible_keys(s, b, b.first).from, visible_keys(s, b, last).to};
}

/* Queries that may attend to some of `rows` keys from b.first on. */
DEVICE Range queries_of_block(const MultiHead &s, const Block &b, i32 rows) {
  const i32 last = smaller(b.first + rows, b.m) - 1;
  i32 from = 0, to = b.n;
  if (s.causal) from = larger(from, b.first - b.m + b.n);
  if (s.window >= 0) {
    from = larger(from, b.first - s.window);
    to = smaller(to, last + s.window + 1);
  }
  return {from, to};
}
