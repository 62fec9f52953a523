/* Softmax over tiles of keys, and dropout of their weights. Scores are exponents of 2. */
#pragma once

#include "flash-tiles.h"

#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f

/* The largest of a row's values, which four lanes share. */
DEVICE f32 row_max(f32 value) {
  value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 1));
  return fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 2));
}
DEVICE f32 row_sum(f32 value) {
  value += __shfl_xor_sync(ALL_LANES, value, 1);
  return value + __shfl_xor_sync(ALL_LANES, value, 2);
}

/* What a warp has of its 16 queries: by halves, see row_of_half. */
template <i32 D> struct SoftmaxRows {
  f32 top[2], total[2]; /* `total`: of this lane's columns */
  Sums<D / 8> out;
};

template <i32 D> DEVICE SoftmaxRows<D> softmax_rows() {
  return {{-infinity(), -infinity()}, {0.0f, 0.0f}, {}};
}

/* Adds a tile of scores, -Infinity where invisible, to the totals; replaces them by their weights
 * before the division by the final total. */
template <i32 D> DEVICE void add_tile(SoftmaxRows<D> &rows, Scores &scores) {
#pragma unroll
  for (i32 half = 0; half < 2; half++) {
    f32 top = rows.top[half];
#pragma unroll
    for (i32 n = 0; n < COLUMN_TILES; n++)
      top = fmaxf(top, fmaxf(scores.of[n][2 * half], scores.of[n][2 * half + 1]));
    top = row_max(top);
    /* -Infinity - -Infinity would be NaN while every score is -Infinity. */
    const f32 base = top == -infinity() ? 0.0f : top, rescale = exp2f(rows.top[half] - base);
    f32 total = rows.total[half] * rescale;
#pragma unroll
    for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
      for (i32 i = 2 * half; i < 2 * half + 2; i++) {
        scores.of[n][i] = exp2f(scores.of[n][i] - base);
        total += scores.of[n][i];
      }
    rows.top[half] = top;
    rows.total[half] = total;
#pragma unroll
    for (i32 n = 0; n < D / 8; n++) {
      rows.out.of[n][2 * half] *= rescale;
      rows.out.of[n][2 * half + 1] *= rescale;
    }
  }
}

/* Sets what each half's sums are multiplied by: dropout's scale over the total, 0 without keys.
 * Stores the log-sum-exp of each half at log_sum_at(half), unless that is NULL. */
template <i32 D, class LogSumAt>
DEVICE void finish_softmax(f32 (&factor)[2], const SoftmaxRows<D> &rows, f32 scale,
                           LogSumAt log_sum_at) {
  const Place me = own_place();
#pragma unroll
  for (i32 half = 0; half < 2; half++) {
    const f32 total = row_sum(rows.total[half]);
    factor[half] = total == 0.0f ? 0.0f : scale / total;
    f32 *log_sum = log_sum_at(half);
    if (log_sum && me.lane % 4 == 0) *log_sum = rows.top[half] * LN_2 + logf(total);
  }
}

/* Words of a Philox block for this lane's pair of columns and its two rows. Lanes 2i and 2i + 1
 * share the blocks of both rows: each draws one. `column` of the even lane is a multiple of 4. */
DEVICE void query_words(u32 (&words)[4], const Dropout &d, const i32 (&rows)[2], i32 column) {
  const Place me = own_place();
  const bool odd = me.lane % 2 != 0;
  const Philox mine = philox(d, (u32)column >> 2, (u32)(odd ? rows[1] : rows[0]));
  const u32 low = __shfl_xor_sync(ALL_LANES, odd ? mine.words[0] : mine.words[2], 1),
            high = __shfl_xor_sync(ALL_LANES, odd ? mine.words[1] : mine.words[3], 1);
  words[0] = odd ? low : mine.words[0];
  words[1] = odd ? high : mine.words[1];
  words[2] = odd ? mine.words[2] : low;
  words[3] = odd ? mine.words[3] : high;
}

DEVICE u32 word_of(const Philox &block, i32 i) {
  const u32 low = i & 1 ? block.words[1] : block.words[0],
            high = i & 1 ? block.words[3] : block.words[2];
  return i & 2 ? high : low;
}

/* The same where the lane's rows are keys and its columns the queries of dropout rows `row` and
 * row + 1. Four lanes, whose keys are neighbours, share four blocks: each draws one, and they
 * exchange words so that each has its own keys'. `key`: of half 0. */
DEVICE void key_words(u32 (&words)[4], const Dropout &d, i32 row, i32 key) {
  const Place me = own_place();
  const i32 own = me.lane / 4 % 4;
  const Philox mine = philox(d, ((u32)key >> 2) + 2u * (u32)(own >> 1), (u32)(row + (own & 1)));
  Philox found; /* word i: of the block that lane own ^ i has drawn */
#pragma unroll
  for (i32 i = 0; i < 4; i++)
    found.words[i] = __shfl_xor_sync(ALL_LANES, word_of(mine, own ^ i), 4 * i);
#pragma unroll
  for (i32 i = 0; i < 4; i++) words[i] = word_of(found, own ^ i);
}

/* A bit for each of this lane's scores of a tile: 4 n + i for sums i of column tile n. */
typedef u32 ScoreBits;

DEVICE bool has_bit(ScoreBits bits, i32 n, i32 i) { return (bits >> (4 * n + i) & 1u) != 0; }

/*
 * The pairs of a tile that dropout keeps. The lane's first pair is the query of dropout row `row`
 * and the key `key`. `keys`: the tile's rows are keys, its columns queries. Bits, since a loop over
 * them need not be unrolled as one over registers must: Philox is long.
 */
DEVICE ScoreBits kept_pairs(bool keys, const Dropout &d, i32 row, i32 key) {
  if (d.threshold == 0) return 0xffffffffu;
  ScoreBits kept = 0;
#pragma unroll 1
  for (i32 n = 0; n < COLUMN_TILES; n++) {
    u32 words[4];
    if (keys)
      key_words(words, d, row + 8 * n, key);
    else
      query_words(words, d, {row, row + 8}, key + 8 * n);
#pragma unroll
    for (i32 i = 0; i < 4; i++) kept |= (words[i] >= d.threshold ? 1u : 0u) << (4 * n + i);
  }
  return kept;
}

/* Scales a tile of scores, and sets those of invisible pairs to -Infinity. */
DEVICE void mask_scores(Scores &scores, ScoreBits visible, f32 scale) {
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++)
      scores.of[n][i] = has_bit(visible, n, i) ? scores.of[n][i] * scale : -infinity();
}

/* Sets the weights of dropped pairs to 0. Dropout's scale is left to the end: the weights become
 * bf16, in which a weight of 1 is exact and 1 / (1 - probability) is not. */
DEVICE void drop(Scores &weights, ScoreBits kept) {
#pragma unroll
  for (i32 n = 0; n < COLUMN_TILES; n++)
#pragma unroll
    for (i32 i = 0; i < 4; i++)
      if (!has_bit(kept, n, i)) weights.of[n][i] = 0.0f;
}
