/*
 * Dropout factors by Philox4x32-10 (Salmon et al., SC 2011). Element (row, col) is kept if word
 * col & 3 of philox(counter = [col >> 2, row, site, step], key) >= threshold.
 */
#pragma once

#include "language.h"

struct Dropout {
  u32 threshold; /* floor(probability * 2^32); 0: everything is kept, and nothing is drawn */
  f32 scale;     /* 1 / (1 - probability) */
  u32 key0, key1;
  u32 step, site;
};

/* The parameters of a kernel that make a Dropout, as dropoutArgs of backend/dropout.ts passes them,
 * and the Dropout made of them. */
#define DROPOUT_PARAMETERS u32 threshold, f32 scale, u32 key0, u32 key1, u32 step, u32 site
#define DROPOUT_ARGUMENTS (Dropout{threshold, scale, key0, key1, step, site})

/* A Philox block: random bits for four columns. */
struct Philox {
  u32 words[4];
};

DEVICE Philox philox(const Dropout &d, u32 group, u32 row) {
  u32 c0 = group, c1 = row, c2 = d.site, c3 = d.step, k0 = d.key0, k1 = d.key1;
#pragma unroll
  for (i32 round = 0; round < 10; round++) {
    const u64 p0 = (u64)0xd2511f53u * c0, p1 = (u64)0xcd9e8d57u * c2;
    c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
    c1 = (u32)p1;
    c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c3 = (u32)p0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

/* Factors of four columns: `scale` where kept, else 0. */
struct Factors {
  f32 of[4];
};

/* The factors of columns 4 * group to 4 * group + 3 of a row. */
DEVICE Factors dropout_factors(const Dropout &d, i32 row, i32 group) {
  if (d.threshold == 0) return {{d.scale, d.scale, d.scale, d.scale}};
  const Philox block = philox(d, (u32)group, (u32)row);
  Factors factors;
#pragma unroll
  for (i32 i = 0; i < 4; i++) factors.of[i] = block.words[i] >= d.threshold ? d.scale : 0.0f;
  return factors;
}

/* The factor of one element. A thread that treats neighbours draws four at a time instead. */
DEVICE f32 dropout_factor(const Dropout &d, i32 row, i32 col) {
  if (d.threshold == 0) return d.scale;
  const Philox block = philox(d, (u32)col >> 2, (u32)row);
  const i32 w = col & 3;
  const u32 word = w == 0   ? block.words[0]
                   : w == 1 ? block.words[1]
                   : w == 2 ? block.words[2]
                            : block.words[3];
  return word >= d.threshold ? d.scale : 0.0f;
}
