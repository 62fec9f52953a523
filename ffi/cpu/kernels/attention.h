/*
 * Disentangled attention over packed sequences (DeBERTa, He et al. 2021): what its two directions
 * share.
 *
 * For query i and key j of one sequence, per head: S = (q_i.k_j + q_i.posKey[t] + k_j.posQuery[t])
 * / scale, with t = relative[pos_i - pos_j + span - 1]. The last two terms are products with a
 * slice of posKey and posQuery, from which each pair takes one number. Where positions and
 * `relative` both go up by one, as they do but for holes and for far tokens, a row of pairs takes a
 * run of neighbouring numbers, so that whole vectors move; elsewhere single numbers do. posKey's
 * slice is kept in reverse order: then the runs go up with j.
 */
#pragma once

#include "arguments.h"
#include "operands.h"

/* Queries of a sequence that are worked on together. */
enum { BLOCK_ROWS = 64 };

/* What all threads read, and where each has its own memory. Sizes in floats, enough for operands of
 * either type. */
typedef struct {
  int groups;                 /* parts that the sequences of a head are cut into */
  int low, high;              /* rows of posKey and posQuery that some pair reaches: [low, high) */
  const int32_t *breakpoints; /* [2 span - 1]: how often `relative` has not gone up by one, up to
                                 each difference */
  int monotone;               /* whether it never falls */
  int64_t padded_dim, padded_rows, padded_band;
  int64_t thread_floats;
  float *threads, *sums;
} attention_plan;

/* Cuts `scratch` (adl_attention_scratch floats) and looks `relative` through. */
attention_plan attention_prepare(const attention_shape *s, float *scratch);

/* First sequence of group `group`: groups cost about the same. */
int attention_group_start(const attention_shape *s, const attention_plan *plan, int group);

/* A sequence, and the rows of the relative slice that its pairs reach. */
typedef struct {
  int start, n, padded; /* first row, rows, rows rounded up to whole vectors */
  int low, width;       /* rows of posKey and posQuery: [low, low + width) */
  int64_t band;         /* stride of a matrix with a column for each */
  const int32_t *positions, *table,
      *breakpoints; /* of the sequence; of `relative` and `breakpoints` by difference, which may be
                       negative */
  int monotone;
} attention_sequence;

attention_sequence attention_sequence_at(const attention_shape *s, const attention_plan *plan,
                                         int index);

/* Columns of a relative product that a block of rows reaches: [from, to). */
typedef struct {
  int from, to;
} column_range;

/* Of queries [first, first + rows), in the reversed order of posKey's slice. */
column_range attention_query_columns(const attention_sequence *q, int first, int rows);
/* Of keys [first, first + rows), in the order of posQuery's slice. */
column_range attention_key_columns(const attention_sequence *q, int first, int rows);

/*
 * scores[i, j] += by_query[i, t(i, j)] + by_key[j, t(i, j)] for queries [first, first + rows) and
 * all keys; either may be NULL. by_query holds the block's rows and has its columns reversed;
 * by_key holds all keys. Padding columns may change.
 */
void attention_add_relative(const attention_sequence *q, int first, int rows, float *scores,
                            const float *by_query, const float *by_key);

/* The reverse: by_query[i, t(i, j)] += dscores[i, j] and by_key[j, t(i, j)] += dscores[i, j].
 * Padding of dscores must be 0. */
void attention_scatter_relative(const attention_sequence *q, int first, int rows,
                                const float *dscores, float *by_query, float *by_key);

/* Rows of a block: as even as whole vectors allow, at most BLOCK_ROWS. */
int attention_block_rows(int n);

/* Rows over which a relative product's columns are computed together: two register tiles, or one
 * of AMX. Fewer rows reach fewer columns. */
enum { SLICE_ROWS = RIGHT_ROWS == 1 ? 12 : 16 };

/* Cuts `count` floats off a thread's memory, at a whole cache line. */
ADL_INLINE float *attention_alloc(float **memory, int64_t count) {
  float *allocated = *memory;
  *memory += adl_round_up(count, ADL_LINE);
  return allocated;
}
ADL_INLINE right *attention_alloc_right(float **memory, int64_t rows, int64_t columns) {
  return (right *)attention_alloc(memory, right_floats(rows, columns));
}
ADL_INLINE left *attention_alloc_left(float **memory, int64_t rows, int64_t depth) {
  return (left *)attention_alloc(memory, left_floats(rows, depth));
}
/* A left operand of the rows of `same`, for copy_both. */
ADL_INLINE left *attention_alloc_both(float **memory, right *same, int64_t rows, int64_t depth) {
  return RIGHT_ROWS == 1 ? (left *)same : attention_alloc_left(memory, rows, depth);
}
/* What multiply_floats needs for sums of k. */
ADL_INLINE left *attention_alloc_panel(float **memory, int64_t k) {
  return (left *)attention_alloc(memory, panel_floats(k));
}
