/* The shape of disentangled attention: its sequences, positions and rows of the tables. */
#pragma once

#include "device.h"
#include "ranges.h"

struct Disentangled {
  const i32 *offsets, *positions, *relative;
  i32 span, tokens, heads, dim;
  i32 first_only; /* one query a sequence, its first token, in row b of q and out */
  f32 inverse_scale;
  i32 blocks; /* of each sequence in the grid's x; y is the head, from first_head on */
  i32 first_head;
};

#define DISENTANGLED_PARAMETERS                                                                  \
  const i32 *offsets, const i32 *positions, const i32 *relative, i32 span, i32 tokens,           \
      i32 heads, i32 dim, i32 first_only, f32 inverse_scale, i32 blocks, i32 first_head
#define DISENTANGLED_ARGUMENTS                                                                   \
  (Disentangled{offsets, positions, relative, span, tokens, heads, dim, first_only,              \
                inverse_scale, blocks, first_head})

/* A sequence: its keys are the rows [start, start + n), its queries those from query_start on. */
struct Sequence {
  i32 start, n, query_start, queries;
};

DEVICE Sequence sequence_of(const Disentangled &s, i32 b) {
  const i32 start = s.offsets[b], n = s.offsets[b + 1] - start;
  return {start, n, s.first_only ? b : start, s.first_only ? 1 : n};
}

/* The key of a sequence at a position, or -1. Positions increase within a sequence; without holes
 * the search ends before it begins. */
DEVICE i32 key_at(const Disentangled &s, const Sequence &sequence, i32 position) {
  const i32 *positions = s.positions + sequence.start;
  const i32 last = sequence.n - 1;
  i32 low = larger(0, last - (positions[last] - position)),
      high = smaller(last, position - positions[0]);
  while (low < high) {
    const i32 middle = (low + high) / 2;
    if (positions[middle] < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low == high && positions[low] == position ? low : -1;
}

/* Sets bit d + span - 1 of `bits` where relative[d] = t, by the whole block; returns whether there
 * are any. */
DEVICE bool find_differences(u32 *bits, const Disentangled &s, i32 t) {
  const i32 count = 2 * s.span - 1;
  u32 all = 0;
  for (i32 word = warp(); word * WARP < count; word += warps()) {
    const i32 i = word * WARP + lane();
    const u32 found = __ballot_sync(ALL_LANES, i < count && s.relative[i] == t);
    if (lane() == 0) bits[word] = found;
    all |= found;
  }
  return __syncthreads_or(all != 0);
}
