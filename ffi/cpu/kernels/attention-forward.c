#include "attention.h"
#include "vector-math.h"

typedef struct {
  const act *q, *k, *v, *pos_key, *pos_query; /* of all heads, or offset to one */
  act *out, *probs;                           /* probs may be NULL */
} tensors;

/* A thread's workspace; pos_key and pos_query are the head's slices, transposed. */
typedef struct {
  right *k_transposed, *v, *pos_key, *pos_query;
  left *k, *q, *panel;
  float *out, *scores, *factors, *by_query, *by_key;
} workspace;

static workspace workspace_at(const attention_plan *plan, int thread) {
  float *memory = plan->threads + thread * plan->thread_floats;
  const int64_t rows = plan->padded_rows, band = plan->padded_band, dim = plan->padded_dim;
  return (workspace){
      .k_transposed = attention_alloc_right(&memory, dim, rows),
      .v = attention_alloc_right(&memory, rows, dim),
      .pos_key = attention_alloc_right(&memory, dim, band),
      .pos_query = attention_alloc_right(&memory, dim, band),
      .k = attention_alloc_left(&memory, rows, dim),
      .q = attention_alloc_left(&memory, BLOCK_ROWS, dim),
      .panel = attention_alloc_panel(&memory, rows),
      .out = attention_alloc(&memory, BLOCK_ROWS * dim),
      .scores = attention_alloc(&memory, BLOCK_ROWS * rows),
      .factors = attention_alloc(&memory, BLOCK_ROWS * (rows + 4) + ADL_FACTORS_SLACK),
      .by_query = attention_alloc(&memory, BLOCK_ROWS * band),
      .by_key = attention_alloc(&memory, rows * band),
  };
}

/* Sets row = softmax(row * factor) over its first n elements, and the rest up to `padded` to 0. */
ADL_NOINLINE void softmax(float *row, int n, int padded, float factor) {
  float *tail = row + padded - ADL_VECTOR;
#pragma omp simd
  for (int j = 0; j < ADL_VECTOR; j++) tail[j] = padded - ADL_VECTOR + j < n ? tail[j] : -INFINITY;
  float top = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : top)
  for (int j = 0; j < padded; j++) top = row[j] > top ? row[j] : top;
#pragma omp simd reduction(+ : sum)
  for (int j = 0; j < padded; j++) {
    float e = exp_negative((row[j] - top) * factor);
    row[j] = e;
    sum += e;
  }
  const float inverse = 1.0f / sum;
#pragma omp simd
  for (int j = 0; j < padded; j++) row[j] *= inverse;
}

/* Sets by_key[j, t] = k_j . posQuery[t] for the rows t that key j's pairs use. */
static void multiply_keys(const attention_shape *s, const attention_plan *plan,
                          const attention_sequence *q, const workspace *w) {
  const int64_t shift = q->low - plan->low;
  for (int first = 0; first < q->n; first += SLICE_ROWS) {
    const int rows = (int)adl_min(q->n - first, SLICE_ROWS);
    const column_range range = attention_key_columns(q, first, rows);
    multiply(rows, range.to - range.from, s->head_dim, w->k + first * plan->padded_dim,
             plan->padded_dim, w->pos_query + shift + range.from, plan->padded_band,
             w->by_key + first * q->band + range.from, q->band, 0);
  }
}

/* The same for a block of queries and posKey, whose columns are reversed. */
static void multiply_queries(const attention_shape *s, const attention_plan *plan,
                             const attention_sequence *q, const workspace *w, int block,
                             int block_rows) {
  const int64_t shift = plan->high - (q->low + q->width);
  for (int first = 0; first < block_rows; first += SLICE_ROWS) {
    const int rows = (int)adl_min(block_rows - first, SLICE_ROWS);
    const column_range range = attention_query_columns(q, block + first, rows);
    multiply(rows, range.to - range.from, s->head_dim, w->q + first * plan->padded_dim,
             plan->padded_dim, w->pos_key + shift + range.from, plan->padded_band,
             w->by_query + first * q->band + range.from, q->band, 0);
  }
}

/* Applies softmax to a block's scores, stores them in probs unless NULL, then applies dropout. */
static void normalise(const attention_shape *s, const attention_sequence *q, const workspace *w,
                      int first, int rows, uint32_t dropout_row, act *probs) {
  const int groups = (q->n + 3) / 4;
  if (s->dropout) adl_dropout_rows(s->dropout, dropout_row, rows, groups, w->factors);
  for (int r = 0; r < rows; r++) {
    float *row = w->scores + r * (int64_t)q->padded;
    softmax(row, q->n, q->padded, 1.0f / s->scale);
    if (probs) copy_out(probs + (first + r) * (int64_t)q->n, 0, row, 0, 1, q->n);
    if (s->dropout) {
      const float *factors = w->factors + 4 * groups * (int64_t)r;
#pragma omp simd
      for (int j = 0; j < q->n; j++) row[j] *= factors[j];
    }
  }
}

/* One sequence and head; `t` points to the head's columns, `probs` to the pair's block. */
static void attend(const attention_shape *s, const attention_plan *plan, const workspace *w,
                   tensors t, int index, int head) {
  const attention_sequence q = attention_sequence_at(s, plan, index);
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t padded_dim = plan->padded_dim, at = (int64_t)q.start * width;
  copy_right_transposed(w->k_transposed, q.padded, t.k + at, width, q.n, dim);
  copy_right(w->v, t.v + at, width, q.n, dim);
  if (t.pos_query) {
    copy_left(w->k, t.k + at, width, q.n, dim);
    multiply_keys(s, plan, &q, w);
  }
  const int step = attention_block_rows(q.n);
  for (int first = 0; first < q.n; first += step) {
    const int rows = (int)adl_min(q.n - first, step);
    const int64_t row_at = at + (int64_t)first * width;
    copy_left(w->q, t.q + row_at, width, rows, dim);
    multiply(rows, q.padded, dim, w->q, padded_dim, w->k_transposed, q.padded, w->scores, q.padded,
             0);
    if (t.pos_key) multiply_queries(s, plan, &q, w, first, rows);
    if (t.pos_key || t.pos_query) {
      attention_add_relative(&q, first, rows, w->scores, t.pos_key ? w->by_query : NULL,
                             t.pos_query ? w->by_key : NULL);
    }
    normalise(s, &q, w, first, rows, attention_dropout_row(s, &q, head) + (uint32_t)first, t.probs);
    multiply_floats(rows, dim, q.n, w->scores, q.padded, 1, w->v, padded_dim, w->out, padded_dim, 0,
                    w->panel);
    copy_out(t.out + row_at, width, w->out, padded_dim, rows, dim);
  }
}

/* The sequences of one group, for one head. */
static void attend_group(const attention_shape *s, const attention_plan *plan, const tensors *all,
                         int head, int group) {
  const workspace w = workspace_at(plan, omp_get_thread_num());
  const int dim = s->head_dim, column = head * dim, width = s->heads * dim,
            slice = plan->high - plan->low;
  tensors t = {
      all->q + column, all->k + column, all->v + column, NULL, NULL, all->out + column, NULL};
  if (all->pos_key) {
    t.pos_key = all->pos_key + column;
    copy_right_transposed(w.pos_key, plan->padded_band,
                          t.pos_key + (int64_t)(plan->high - 1) * width, -width, slice, dim);
  }
  if (all->pos_query) {
    t.pos_query = all->pos_query + column;
    copy_right_transposed(w.pos_query, plan->padded_band, t.pos_query + (int64_t)plan->low * width,
                          width, slice, dim);
  }
  const int from = attention_group_start(s, plan, group),
            to = attention_group_start(s, plan, group + 1);
  int64_t pairs = 0;
  begin_products();
  for (int b = 0; b < to; b++) {
    const int64_t n = s->offsets[b + 1] - s->offsets[b];
    if (all->probs) t.probs = all->probs + pairs * s->heads + n * n * head;
    if (b >= from) attend(s, plan, &w, t, b, head);
    pairs += n * n;
  }
  end_products();
}

/*
 * Sets out [tokens, heads * head_dim], and probs unless NULL: softmax before dropout, n^2 elements
 * per sequence and head. One thread computes a sequence and head, so that results do not depend on
 * the thread count. The dropout mask's row is head * tokens + the query's row, its column the key's
 * index in the sequence.
 */
ADL_API int ADL_ACT(disentangled_attention)(const attention_args *args) {
  const attention_shape *s = &args->shape;
  const tensors all = {args->q,         args->k,   args->v,    args->pos_key,
                       args->pos_query, args->out, args->probs};
  const attention_plan plan = attention_prepare(s, args->scratch);
#pragma omp parallel for schedule(dynamic, 1)
  for (int item = 0; item < s->heads * plan.groups; item++)
    attend_group(s, &plan, &all, item % s->heads, item / s->heads);
  return ADL_OK;
}
