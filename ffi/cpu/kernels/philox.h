/*
 * Dropout factors by Philox4x32-10 (Salmon et al., SC 2011), sixteen counters at a time. Element
 * (row, col) is kept if word col & 3 of philox(counter = [col >> 2, row, site, step], key) >=
 * threshold.
 */
#pragma once

#include "vector.h"

typedef struct {
  uint32_t threshold; /* floor(probability * 2^32) */
  float scale;        /* 1 / (1 - probability) */
  uint32_t key[2];
  uint32_t step, site;
} adl_dropout;

#define ADL_PHILOX_LANES 16

/* Functions that write factors may write this many floats past the last one. */
#define ADL_FACTORS_SLACK (4 * ADL_PHILOX_LANES)

/*
 * Sets words[4 * lane + w] to word w of the Philox block of counter [group[lane], row[lane], site,
 * step]. Each word has a 64-bit lane, of which only the low half counts, so that the low half of a
 * product serves as the next word unmasked.
 */
ADL_INLINE void adl_philox_words(const adl_dropout *d, const uint64_t *group, const uint64_t *row,
                                 uint32_t *restrict words) {
  enum { WIDTH = ADL_VECTOR / 2 };
  uint64_t pairs[2][ADL_PHILOX_LANES];
#pragma GCC unroll 4
  for (int lane = 0; lane < ADL_PHILOX_LANES; lane += WIDTH) {
    vec_u64 c0, c1, zero = {0};
    memcpy(&c0, group + lane, sizeof c0);
    memcpy(&c1, row + lane, sizeof c1);
    vec_u64 c2 = zero + d->site, c3 = zero + d->step;
    uint32_t k0 = d->key[0], k1 = d->key[1];
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
      vec_u64 p0 = vec_multiply_low(zero + 0xd2511f53u, c0),
              p1 = vec_multiply_low(zero + 0xcd9e8d57u, c2);
      c0 = (p1 >> 32) ^ c1 ^ k0;
      c1 = p1;
      c2 = (p0 >> 32) ^ c3 ^ k1;
      c3 = p0;
      k0 += 0x9e3779b9u;
      k1 += 0xbb67ae85u;
    }
    c0 = (c0 & 0xffffffffu) | (c1 << 32);
    c2 = (c2 & 0xffffffffu) | (c3 << 32);
    memcpy(pairs[0] + lane, &c0, sizeof c0);
    memcpy(pairs[1] + lane, &c2, sizeof c2);
  }
  uint64_t both[2 * ADL_PHILOX_LANES];
  for (int lane = 0; lane < ADL_PHILOX_LANES; lane++) {
    both[2 * lane] = pairs[0][lane];
    both[2 * lane + 1] = pairs[1][lane];
  }
  memcpy(words, both, sizeof both);
}

/* Sets factors[i] to scale if words[i] is kept, else to 0. */
ADL_INLINE void adl_philox_factors(const adl_dropout *d, const uint64_t *group, const uint64_t *row,
                                   float *restrict factors) {
  uint32_t words[4 * ADL_PHILOX_LANES];
  adl_philox_words(d, group, row, words);
  const uint32_t threshold = d->threshold;
  const float scale = d->scale;
  for (int i = 0; i < 4 * ADL_PHILOX_LANES; i++) factors[i] = words[i] >= threshold ? scale : 0.0f;
}

/* Sets the factors of `cols` columns of one row, from column `first` (a multiple of 4); rounds cols
 * up to whole groups of lanes. */
static inline void adl_dropout_row(const adl_dropout *d, uint32_t row, int64_t first, int64_t cols,
                                   float *factors) {
  static const uint64_t lanes[ADL_PHILOX_LANES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  uint64_t group[ADL_PHILOX_LANES], rows[ADL_PHILOX_LANES];
  for (int64_t c = 0; c < cols; c += 4 * ADL_PHILOX_LANES) {
    for (int lane = 0; lane < ADL_PHILOX_LANES; lane += ADL_VECTOR / 2) {
      /* Stores whole vectors: a load from sixteen scalar stores would stall store forwarding. */
      vec_u64 g, r = {0};
      memcpy(&g, lanes + lane, sizeof g);
      g += (uint64_t)((first + c) / 4);
      r += row;
      memcpy(group + lane, &g, sizeof g);
      memcpy(rows + lane, &r, sizeof r);
    }
    adl_philox_factors(d, group, rows, factors + c);
  }
}

/* Sets the factors of `rows` rows, 4 * groups floats each, from column 4 * first on. Lanes run
 * across rows, so that short rows fill them. */
static inline void adl_dropout_block(const adl_dropout *d, uint32_t row, int rows, int first,
                                     int groups, float *factors) {
  uint64_t group[ADL_PHILOX_LANES], at[ADL_PHILOX_LANES];
  const float inverse = 1.0f / (float)groups;
  for (int base = 0; base < rows * groups; base += ADL_PHILOX_LANES) {
    for (int lane = 0; lane < ADL_PHILOX_LANES; lane++) {
      int index = base + lane;
      int r = (int)(((float)index + 0.5f) * inverse); /* index / groups: exact below 2^22 */
      group[lane] = (uint64_t)(first + index - r * groups);
      at[lane] = (uint64_t)row + (uint64_t)r;
    }
    adl_philox_factors(d, group, at, factors + 4 * (int64_t)base);
  }
}

/* The same for whole rows. */
static inline void adl_dropout_rows(const adl_dropout *d, uint32_t row, int rows, int groups,
                                    float *factors) {
  adl_dropout_block(d, row, rows, 0, groups, factors);
}
