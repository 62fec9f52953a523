#include "attention.h"

static int64_t group_count(int heads, int sequences) {
  int threads = omp_get_max_threads();
  if (heads % threads == 0 || heads >= 4 * threads) return 1;
  return adl_min(sequences, (4 * threads + heads - 1) / heads);
}

static int64_t cost(const attention_shape *s, int b) {
  int64_t n = s->offsets[b + 1] - s->offsets[b];
  return n * (n + BLOCK_ROWS);
}

int attention_group_start(const attention_shape *s, const attention_plan *plan, int group) {
  int64_t total = 0, sum = 0;
  for (int b = 0; b < s->sequences; b++) total += cost(s, b);
  int b = 0;
  for (; b < s->sequences && sum * plan->groups < total * group; b++) sum += cost(s, b);
  return group == plan->groups ? s->sequences : b;
}

/* Finds the rows of posKey and posQuery that the table uses, and whether it is monotone. */
static void inspect_relative(const attention_shape *s, attention_plan *plan) {
  if (!s->relative) return;
  plan->monotone = 1;
  plan->low = plan->high = s->relative[0];
  for (int d = 1; d < 2 * s->span - 1; d++) {
    const int32_t t = s->relative[d];
    plan->monotone &= t >= s->relative[d - 1];
    plan->low = t < plan->low ? t : plan->low;
    plan->high = t > plan->high ? t : plan->high;
  }
  plan->high++;
}

static attention_plan layout(const attention_shape *s) {
  attention_plan plan = {.groups = (int)group_count(s->heads, s->sequences)};
  inspect_relative(s, &plan);
  const int64_t dim = padded_depth(s->head_dim), rows = adl_round_up(s->longest, OPERAND_ROWS);
  /* Vectors that start at the last column, padding rows and tiles reach past the slice. */
  const int64_t band = adl_round_up(plan.high - plan.low, OPERAND_ROWS) + 2 * OPERAND_ROWS;
  plan.padded_dim = dim;
  plan.padded_rows = rows;
  plan.padded_band = band;
  /* The backward kernel's allocations, each aligned to a cache line; the forward kernel needs less
   * of each. bf16 operands take half, but end with zero rows of two tiles. */
  const int64_t tail = 2 * OPERAND_DEPTH;
  plan.thread_floats = 6 * (rows + tail) * dim + 2 * (band + tail) * dim + 2 * BLOCK_ROWS * rows +
                       BLOCK_ROWS * (rows + 4) + ADL_FACTORS_SLACK + BLOCK_ROWS * (band + 2 * dim) +
                       rows * band + rows + panel_floats(rows + band) + 20 * ADL_LINE;
  plan.thread_floats = adl_round_up(plan.thread_floats, ADL_LINE);
  return plan;
}

static int64_t sums_floats(const attention_shape *s, const attention_plan *plan) {
  return 2 * plan->groups * (int64_t)s->heads * plan->padded_band * plan->padded_dim;
}

/* Floats of scratch for the attention kernels. */
ADL_API int64_t adl_attention_scratch(int sequences, int longest, int span, const int32_t *relative,
                                      int heads, int head_dim) {
  const attention_shape s = {.sequences = sequences,
                             .longest = longest,
                             .heads = heads,
                             .head_dim = head_dim,
                             .span = span,
                             .relative = relative};
  const attention_plan plan = layout(&s);
  return omp_get_max_threads() * plan.thread_floats + sums_floats(&s, &plan) + 2 * (int64_t)span;
}

attention_plan attention_prepare(const attention_shape *s, float *scratch) {
  attention_plan plan = layout(s);
  plan.threads = scratch;
  plan.sums = scratch + omp_get_max_threads() * plan.thread_floats;
  int32_t *breakpoints = (int32_t *)(plan.sums + sums_floats(s, &plan));
  plan.breakpoints = breakpoints;
  for (int d = 0; s->relative && d < 2 * s->span - 1; d++) {
    breakpoints[d] = d == 0 ? 0 : breakpoints[d - 1] + (s->relative[d] != s->relative[d - 1] + 1);
  }
  return plan;
}

attention_sequence attention_sequence_at(const attention_shape *s, const attention_plan *plan,
                                         int index) {
  const int start = s->offsets[index], n = s->offsets[index + 1] - start;
  attention_sequence q = {.start = start, .n = n, .padded = (int)adl_round_up(n, ADL_VECTOR)};
  if (!s->relative || n == 0) return q;
  q.positions = s->positions + start;
  q.table = s->relative + s->span - 1;
  q.breakpoints = plan->breakpoints + s->span - 1;
  q.monotone = plan->monotone;
  const int reach = q.positions[n - 1] - q.positions[0];
  const int low = plan->monotone ? q.table[-reach] : plan->low,
            high = plan->monotone ? q.table[reach] + 1 : plan->high;
  /* Keeps even numbers of rows before and after the slice: operands interleave two rows. */
  q.low = low - (low - plan->low) % 2;
  q.width = high + (plan->high - high) % 2 - q.low;
  q.band = adl_round_up(q.width, ADL_VECTOR) + 2 * ADL_VECTOR;
  return q;
}

column_range attention_query_columns(const attention_sequence *q, int first, int rows) {
  if (!q->monotone) return (column_range){0, q->width};
  const int32_t *p = q->positions;
  const int low = q->table[p[first] - p[q->n - 1]], high = q->table[p[first + rows - 1] - p[0]];
  const int last = q->low + q->width - 1;
  return (column_range){last - high, last - low + 1};
}

column_range attention_key_columns(const attention_sequence *q, int first, int rows) {
  if (!q->monotone) return (column_range){0, q->width};
  const int32_t *p = q->positions;
  const int low = q->table[p[0] - p[first + rows - 1]], high = q->table[p[q->n - 1] - p[first]];
  return (column_range){low - q->low, high - q->low + 1};
}

/* A vector-wide square of pairs, clipped at the sequence's end. */
typedef struct {
  int i, j, rows, cols;
} square;

/* Whether positions and `relative` increase by one over all pairs of the square. If so, sets *t to
 * the row of pair (i, j). */
static int has_unit_slope(const attention_sequence *q, square at, int *t) {
  const int32_t *p = q->positions;
  const int i_last = at.i + at.rows - 1, j_last = at.j + at.cols - 1;
  if (p[i_last] - p[at.i] != at.rows - 1 || p[j_last] - p[at.j] != at.cols - 1) return 0;
  *t = q->table[p[at.i] - p[at.j]] - q->low;
  return q->breakpoints[p[i_last] - p[at.j]] == q->breakpoints[p[at.i] - p[j_last]];
}

static square square_at(const attention_sequence *q, int i, int j) {
  return (square){i, j, (int)adl_min(q->n - i, ADL_VECTOR), (int)adl_min(q->n - j, ADL_VECTOR)};
}

/*
 * Loads by_key for pairs that start at row t, one vector per key, and transposes to one per query.
 */
ADL_INLINE void load_by_key(const attention_sequence *q, square at, int t, const float *by_key,
                            vec *transposed) {
#pragma GCC unroll 16
  for (int c = 0; c < ADL_VECTOR; c++) {
    /* Padding keys repeat the last key; nothing reads them. */
    const int j = c < at.cols ? c : at.cols - 1;
    transposed[c] = vec_load(by_key + (at.j + j) * q->band + t - j);
  }
  vec_transpose(transposed);
}

static void add_square(const attention_sequence *q, square at, int first, float *scores,
                       const float *by_query, const float *by_key) {
  const int last = q->width - 1;
  int t;
  if (has_unit_slope(q, at, &t)) {
    vec transposed[ADL_VECTOR] = {{0}};
    if (by_key) load_by_key(q, at, t, by_key, transposed);
#pragma GCC unroll 16
    for (int r = 0; r < ADL_VECTOR; r++) {
      if (r >= at.rows) break;
      float *row = scores + (at.i - first + r) * (int64_t)q->padded + at.j;
      vec sum = vec_load(row) + transposed[r];
      if (by_query) sum += vec_load(by_query + (at.i - first + r) * q->band + last - t - r);
      vec_store(row, sum);
    }
    return;
  }
  const int32_t *p = q->positions;
  for (int i = at.i; i < at.i + at.rows; i++) {
    for (int j = at.j; j < at.j + at.cols; j++) {
      const int row = q->table[p[i] - p[j]] - q->low;
      float sum = by_query ? by_query[(i - first) * q->band + last - row] : 0.0f;
      if (by_key) sum += by_key[j * q->band + row];
      scores[(i - first) * (int64_t)q->padded + j] += sum;
    }
  }
}

void attention_add_relative(const attention_sequence *q, int first, int rows, float *scores,
                            const float *by_query, const float *by_key) {
  for (int i = first; i < first + rows; i += ADL_VECTOR) {
    for (int j = 0; j < q->n; j += ADL_VECTOR)
      add_square(q, square_at(q, i, j), first, scores, by_query, by_key);
  }
}

static void scatter_square(const attention_sequence *q, square at, int first, const float *dscores,
                           float *by_query, float *by_key) {
  const int last = q->width - 1;
  int t;
  if (has_unit_slope(q, at, &t)) {
    vec pairs[ADL_VECTOR];
    for (int r = 0; r < ADL_VECTOR; r++) {
      pairs[r] = (vec){0};
      if (r >= at.rows) continue;
      pairs[r] = vec_load(dscores + (at.i - first + r) * (int64_t)q->padded + at.j);
      if (!by_query) continue;
      float *sum = by_query + (at.i - first + r) * q->band + last - t - r;
      vec_store(sum, vec_load(sum) + pairs[r]);
    }
    if (!by_key) return;
    vec_transpose(pairs);
    for (int c = 0; c < at.cols; c++) {
      float *sum = by_key + (at.j + c) * q->band + t - c;
      vec_store(sum, vec_load(sum) + pairs[c]);
    }
    return;
  }
  const int32_t *p = q->positions;
  for (int i = at.i; i < at.i + at.rows; i++) {
    for (int j = at.j; j < at.j + at.cols; j++) {
      const int row = q->table[p[i] - p[j]] - q->low;
      const float ds = dscores[(i - first) * (int64_t)q->padded + j];
      if (by_query) by_query[(i - first) * q->band + last - row] += ds;
      if (by_key) by_key[j * q->band + row] += ds;
    }
  }
}

void attention_scatter_relative(const attention_sequence *q, int first, int rows,
                                const float *dscores, float *by_query, float *by_key) {
  for (int i = first; i < first + rows; i += ADL_VECTOR) {
    for (int j = 0; j < q->n; j += ADL_VECTOR)
      scatter_square(q, square_at(q, i, j), first, dscores, by_query, by_key);
  }
}

int attention_block_rows(int n) {
  const int blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
  return blocks == 0 ? ADL_VECTOR : (int)adl_round_up((n + blocks - 1) / blocks, ADL_VECTOR);
}
