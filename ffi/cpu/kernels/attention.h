/*
 * Disentangled attention over packed sequences (DeBERTa, He et al. 2021): shared by forward and
 * backward.
 *
 * For query i and key j of one sequence, per head: S = (q_i.k_j + q_i.posKey[t] + k_j.posQuery[t])
 * / scale, with t = relative[pos_i - pos_j + span - 1]. The last two terms are products with a
 * slice of posKey and posQuery, of which each pair takes one element. Where positions and
 * `relative` both increase by one, as they do except at holes and for distant tokens, a row of
 * pairs takes consecutive elements and whole vectors move; elsewhere single elements do. posKey's
 * slice is stored in reverse, so that its elements increase with j.
 */
#pragma once

#include "arguments.h"
#include "operands.h"

/* Queries of a sequence processed together. */
enum { BLOCK_ROWS = 64 };

/* Data shared by all threads, and the layout of their scratch. Sizes are in floats, enough for
 * operands of either type. */
typedef struct {
  int groups;                 /* groups that a head's sequences are split into */
  int low, high;              /* rows of posKey and posQuery that some pair uses: [low, high) */
  const int32_t *breakpoints; /* [2 span - 1]: running count of steps where `relative` does not
                                 increase by one */
  int monotone;               /* whether `relative` never decreases */
  int64_t padded_dim, padded_rows, padded_band;
  int64_t thread_floats;
  float *threads, *sums;
} attention_plan;

/* Lays out `scratch` (adl_attention_scratch floats) and inspects `relative`. */
attention_plan attention_prepare(const attention_shape *s, float *scratch);

/* First sequence of group `group`; groups have about equal cost. */
int attention_group_start(const attention_shape *s, const attention_plan *plan, int group);

/* A sequence, and the rows of posKey and posQuery that its pairs use. */
typedef struct {
  int start, n, padded; /* first row, rows, rows padded to whole vectors */
  int low, width;       /* rows of posKey and posQuery: [low, low + width) */
  int64_t band;         /* row stride of a matrix with one column per such row */
  const int32_t *positions, *table, *breakpoints; /* positions of the sequence; `relative` and
                                                     `breakpoints`, indexed by signed distance */
  int monotone;
} attention_sequence;

attention_sequence attention_sequence_at(const attention_shape *s, const attention_plan *plan,
                                         int index);

/* Row of the dropout mask for the sequence's first query; rows count modulo 2^32. */
ADL_INLINE uint32_t attention_dropout_row(const attention_shape *s, const attention_sequence *q,
                                          int head) {
  return (uint32_t)head * (uint32_t)s->tokens + (uint32_t)q->start;
}

/* Columns of a relative product that a block of rows uses: [from, to). */
typedef struct {
  int from, to;
} column_range;

/* For queries [first, first + rows), in the reversed order of posKey's slice. */
column_range attention_query_columns(const attention_sequence *q, int first, int rows);
/* For keys [first, first + rows), in the order of posQuery's slice. */
column_range attention_key_columns(const attention_sequence *q, int first, int rows);

/*
 * scores[i, j] += by_query[i, t(i, j)] + by_key[j, t(i, j)] for queries [first, first + rows) and
 * all keys; either may be NULL. by_query holds the block's rows with columns reversed; by_key holds
 * all keys. May write padding columns.
 */
void attention_add_relative(const attention_sequence *q, int first, int rows, float *scores,
                            const float *by_query, const float *by_key);

/* The transpose: by_query[i, t(i, j)] += dscores[i, j] and by_key[j, t(i, j)] += dscores[i, j].
 * Padding of dscores must be 0. */
void attention_scatter_relative(const attention_sequence *q, int first, int rows,
                                const float *dscores, float *by_query, float *by_key);

/* Rows per block: as even as whole vectors allow, at most BLOCK_ROWS. */
int attention_block_rows(int n);

/* Rows whose columns of a relative product are computed together: two register tiles, or one AMX
 * tile. Fewer rows use fewer columns. */
enum { SLICE_ROWS = RIGHT_ROWS == 1 ? 12 : 16 };

/* Allocates `count` floats from a thread's scratch, aligned to a cache line. */
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
/* Allocates a left operand with the rows of `same`, for copy_both. */
ADL_INLINE left *attention_alloc_both(float **memory, right *same, int64_t rows, int64_t depth) {
  return RIGHT_ROWS == 1 ? (left *)same : attention_alloc_left(memory, rows, depth);
}
/* Allocates the panel of multiply_floats for inner dimension k. */
ADL_INLINE left *attention_alloc_panel(float **memory, int64_t k) {
  return (left *)attention_alloc(memory, panel_floats(k));
}
