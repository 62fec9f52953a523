#include "dot-tile.h"
#include "multi-head-split.h"
#include "value-sums.h"
#include "vector-math.h"

typedef struct {
  const act *q, *k, *v; /* offset to one head and sequence */
  act *out;
  float *log_sum_exp; /* may be NULL */
} tensors;

/* The softmax of a query over the keys so far. */
typedef struct {
  float top, sum; /* largest score; sum of exp((score - top) / scale) */
} running_softmax;

/* A thread's workspace. */
typedef struct {
  int64_t stride;          /* of k_transposed and scores */
  right *k_transposed, *v; /* the held keys */
  left *q, *panel;
  float *scores, *factors;
  float *out;               /* LONG_QUERIES rows */
  running_softmax *running; /* [LONG_QUERIES] */
  /* Operands of long sequences; NULL where they are not split. */
  uint16_t *k_split, *v_split, *q_split, *panel_split;
} workspace;

static workspace workspace_at(const multi_head_shape *s, const multi_head_pair *pair,
                              float *scratch) {
  float *memory = scratch + omp_get_thread_num() * multi_head_thread_floats(s);
  const int64_t dim = padded_depth(s->head_dim),
                held = multi_head_held(s, s->longest_keys, FORWARD_KEYS),
                keys = adl_round_up(held, OPERAND_ROWS);
  workspace w = {
      .stride = multi_head_stride(multi_head_held(s, pair->m, FORWARD_KEYS)),
      .k_transposed = attention_alloc_right(&memory, dim, keys),
      .v = attention_alloc_right(&memory, keys, dim),
      .q = attention_alloc_left(&memory, BLOCK_ROWS, dim),
      .panel = attention_alloc_panel(&memory, keys),
      .scores = attention_alloc(&memory, multi_head_scores(s)),
      .factors =
          attention_alloc(&memory, multi_head_scores(s) + 4 * BLOCK_ROWS + ADL_FACTORS_SLACK),
      .out = attention_alloc(&memory, LONG_QUERIES * dim),
      .running = (running_softmax *)attention_alloc(&memory, 2 * LONG_QUERIES),
  };
  if (multi_head_splits(s, pair->m)) {
    w.k_split = attention_alloc_split(&memory, keys, dim);
    w.v_split = attention_alloc_split(&memory, dim, keys);
    w.q_split = attention_alloc_split(&memory, BLOCK_ROWS, dim);
    w.panel_split = attention_alloc_split(&memory, BLOCK_ROWS, SPLIT_KEYS);
  }
  return w;
}

/* Sets the elements of a row outside [from, to), up to `padded`, to -infinity. Returns the largest
 * of the others. */
ADL_NOINLINE float largest(float *row, int from, int to, int padded) {
  for (int j = 0; j < from; j++) row[j] = -INFINITY;
  for (int j = to; j < padded; j++) row[j] = -INFINITY;
  vec tops[4]; /* a single one would wait for each comparison */
  for (int i = 0; i < 4; i++) tops[i] = (vec){0} - INFINITY;
  int j = 0;
  for (; j + 4 * ADL_VECTOR <= padded; j += 4 * ADL_VECTOR) {
    for (int i = 0; i < 4; i++) tops[i] = vec_max(vec_load(row + j + i * ADL_VECTOR), tops[i]);
  }
  for (; j < padded; j += ADL_VECTOR) tops[0] = vec_max(vec_load(row + j), tops[0]);
  const vec all = vec_max(vec_max(tops[0], tops[1]), vec_max(tops[2], tops[3]));
  float top = all[0];
  for (int i = 1; i < ADL_VECTOR; i++) top = all[i] > top ? all[i] : top;
  return top;
}

/* Sets row = exp((row - top) * factor). Returns the sum. */
ADL_NOINLINE float exponentials(float *row, int padded, float top, float factor) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int j = 0; j < padded; j++) {
    float e = exp_negative((row[j] - top) * factor);
    row[j] = e;
    sum += e;
  }
  return sum;
}

ADL_NOINLINE void multiply_row(float *row, int count, float factor) {
#pragma omp simd
  for (int j = 0; j < count; j++) row[j] *= factor;
}

/* Sets row = softmax(row * factor) over its elements [from, to), and the others up to `padded` to
 * 0. Returns the log of the sum. */
static float softmax(float *row, int from, int to, int padded, float factor) {
  if (from >= to) {
    memset(row, 0, sizeof(float) * (size_t)padded);
    return -INFINITY;
  }
  const float top = largest(row, from, to, padded), sum = exponentials(row, padded, top, factor);
  multiply_row(row, padded, 1.0f / sum);
  return top * factor + logf(sum);
}

ADL_NOINLINE void drop(float *row, const float *factors, int from, int to) {
#pragma omp simd
  for (int j = from; j < to; j++) row[j] *= factors[j];
}

/* Draws the dropout factors of a block of queries and `keys`; row r's begin at the r-th multiple of
 * the number returned. */
static int64_t draw_factors(const multi_head_shape *s, const workspace *w, uint32_t row, int rows,
                            key_range keys) {
  const int groups = (keys.to - keys.from + 3) / 4;
  if (s->dropout && groups > 0)
    adl_dropout_block(s->dropout, row, rows, keys.from / 4, groups, w->factors);
  return 4 * groups;
}

/* Converts a block's scores of `keys`, all that are visible, into probabilities with dropout; sets
 * log_sum_exp. */
static void normalise(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                      int64_t stride, int first, int rows, key_range keys, uint32_t dropout_row,
                      float *log_sum_exp) {
  const int padded = (int)adl_round_up(keys.to - keys.from, ADL_VECTOR);
  const int64_t drawn = draw_factors(s, w, dropout_row, rows, keys);
  for (int r = 0; r < rows; r++) {
    float *row = w->scores + r * stride;
    const key_range visible = multi_head_visible(s, pair, first + r);
    const int from = visible.from - keys.from, to = visible.to - keys.from;
    const float log_sum = softmax(row, from, to, padded, 1.0f / s->scale);
    if (log_sum_exp) log_sum_exp[first + r] = log_sum;
    if (s->dropout) drop(row, w->factors + drawn * r, from, to);
  }
}

/* Scores and sums from the tensors in place. Scores of invisible keys are computed but not used. */
static void attend_few(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                       tensors t, uint32_t dropout_row) {
  const int dim = s->head_dim, n = pair->n;
  const int64_t stride = multi_head_stride(pair->m), padded_dim = padded_depth(dim);
  dot_products(n, 0, pair->m, dim, t.q, s->query_stride, t.k, s->key_stride, w->scores, stride, 1);
  /* Invisible keys have probability 0, up to those visible to the last query. */
  const key_range keys = multi_head_block_keys(s, pair, 0, n);
  normalise(s, pair, w, stride, 0, n, keys, dropout_row, t.log_sum_exp);
  sum_values(n, w->scores, stride, t.v, keys.to, s->key_stride, dim, w->out, padded_dim);
  copy_out(t.out, s->heads * dim, w->out, padded_dim, n, dim);
}

/* Copies keys and their values to operands, whose first row is that of key `keys.from`. */
static void load_keys(const multi_head_shape *s, const workspace *w, const tensors *t,
                      key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t at = keys.from * s->key_stride;
  copy_right_transposed(w->k_transposed, w->stride, t->k + at, s->key_stride, count, dim);
  copy_right(w->v, t->v + at, s->key_stride, count, dim);
}

/* Sets the scores of a block of queries and the first `count` held keys. */
static void score(const multi_head_shape *s, const workspace *w, const tensors *t, int first,
                  int rows, int count) {
  const int dim = s->head_dim;
  copy_left(w->q, t->q + first * s->query_stride, s->query_stride, rows, dim);
  multiply(rows, count, dim, w->q, padded_depth(dim), w->k_transposed, w->stride, w->scores,
           w->stride, 0);
}

/* All visible keys of a block of queries at once. */
static void attend_blocks(const multi_head_shape *s, const multi_head_pair *pair,
                          const workspace *w, const tensors *t, uint32_t dropout_row) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t padded_dim = padded_depth(dim);
  if (s->window < 0) load_keys(s, w, t, (key_range){0, pair->m});
  const int step = attention_block_rows(pair->n);
  for (int first = 0; first < pair->n; first += step) {
    const int rows = (int)adl_min(pair->n - first, step);
    const key_range keys = multi_head_block_keys(s, pair, first, rows);
    const int count = keys.to - keys.from;
    if (s->window >= 0) load_keys(s, w, t, keys);
    score(s, w, t, first, rows, count);
    normalise(s, pair, w, w->stride, first, rows, keys, dropout_row + (uint32_t)first,
              t->log_sum_exp);
    multiply_floats(rows, dim, count, w->scores, w->stride, 1, w->v, padded_dim, w->out, padded_dim,
                    0, w->panel);
    copy_out(t->out + (int64_t)first * width, width, w->out, padded_dim, rows, dim);
  }
}

/*
 * Adds a block of keys to the softmax of a query (Milakov & Gimelshein 2018): sets row =
 * exp(row * factor - top) over its elements [from, to), and the others up to `padded` to 0.
 * Rescales the sums of `out` where the largest score changes.
 */
static void extend_softmax(running_softmax *running, float *row, int from, int to, int padded,
                           float factor, float *out, int dim) {
  if (from >= to) {
    memset(row, 0, sizeof(float) * (size_t)padded);
    return;
  }
  const float before = running->top, top = fmaxf(before, largest(row, from, to, padded));
  const float sum = exponentials(row, padded, top, factor);
  const float correction = exp_negative((before - top) * factor); /* 0 for the first block */
  *running = (running_softmax){top, running->sum * correction + sum};
  if (before < top) multiply_row(out, dim, correction);
}

static void load_plain_keys(const multi_head_shape *s, const workspace *w, const tensors *t,
                            held_keys *held) {
  if (!held->plain) load_keys(s, w, t, held->keys);
  held->plain = 1;
}

static held_keys hold_keys(const multi_head_shape *s, const workspace *w, const tensors *t,
                           key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t at = keys.from * s->key_stride;
  held_keys held = {.keys = keys};
  if (!w->k_split) {
    load_plain_keys(s, w, t, &held);
    return held;
  }
  held.k = split_rows(w->k_split, t->k + at, s->key_stride, count, dim);
  split_transpose(w->k_split, w->k_split, count, dim);
  held.v = split_depth(w->v_split, t->v + at, s->key_stride, count, dim);
  return held;
}

/* Sets the scores of a block of queries and the first `count` held keys. */
static void score_held(const multi_head_shape *s, const workspace *w, const tensors *t,
                       held_keys *held, int first, int rows, int count) {
  const int dim = s->head_dim;
  if (w->k_split) {
    const act *q = t->q + first * s->query_stride;
    if (split_pair_fits(split_rows(w->q_split, q, s->query_stride, rows, dim), held->k)) {
      split_multiply(rows, count, dim, w->q_split, dim, w->k_split, dim, w->scores, w->stride,
                     SPLIT_ROWS, 0);
      return;
    }
  }
  load_plain_keys(s, w, t, held);
  score(s, w, t, first, rows, count);
}

/* Adds the values of the first `count` held keys, weighted by the scores, to rows of `out`. */
static void add_values(const multi_head_shape *s, const workspace *w, const tensors *t,
                       held_keys *held, int rows, int count, float *out) {
  const int dim = s->head_dim, depth = held->keys.to - held->keys.from;
  const int64_t padded_dim = padded_depth(dim);
  if (!w->k_split || !split_fits(held->v)) {
    load_plain_keys(s, w, t, held);
    multiply_floats(rows, dim, count, w->scores, w->stride, 1, w->v, padded_dim, out, padded_dim, 1,
                    w->panel);
    return;
  }
  for (int j = 0; j < count; j += SPLIT_KEYS) {
    const int keys = (int)adl_min(count - j, SPLIT_KEYS);
    split_left(w->panel_split, w->scores + j, w->stride, rows, keys, NULL);
    split_multiply(rows, dim, keys, w->panel_split, keys, split_at(w->v_split, j), depth, out,
                   padded_dim, SPLIT_ROWS, 1);
  }
}

/* Adds the held `keys` to the sums of the queries [first, first + rows) of a group. */
static void add_keys(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                     const tensors *t, held_keys *held, int group_start, int first, int rows,
                     key_range keys, uint32_t dropout_row) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int padded = (int)adl_round_up(count, ADL_VECTOR);
  const int64_t padded_dim = padded_depth(dim), at = first - group_start;
  score_held(s, w, t, held, first, rows, count);
  const int64_t drawn = draw_factors(s, w, dropout_row + (uint32_t)first, rows, keys);
  for (int r = 0; r < rows; r++) {
    float *row = w->scores + r * w->stride;
    const int to = (int)adl_min(multi_head_visible(s, pair, first + r).to - keys.from, count);
    extend_softmax(w->running + at + r, row, 0, to, padded, 1.0f / s->scale,
                   w->out + (at + r) * padded_dim, dim);
    if (s->dropout) drop(row, w->factors + drawn * r, 0, to);
  }
  add_values(s, w, t, held, rows, count, w->out + at * padded_dim);
}

/* Sets out and log_sum_exp of a group of queries from its sums over all keys. */
static void store_group(const multi_head_shape *s, const workspace *w, const tensors *t, int first,
                        int rows) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t padded_dim = padded_depth(dim);
  for (int r = 0; r < rows; r++) {
    const running_softmax *running = w->running + r;
    if (running->sum > 0.0f) multiply_row(w->out + r * padded_dim, dim, 1.0f / running->sum);
    if (t->log_sum_exp) t->log_sum_exp[first + r] = running->top / s->scale + logf(running->sum);
  }
  copy_out(t->out + (int64_t)first * width, width, w->out, padded_dim, rows, dim);
}

/* Sequences with more keys than a thread holds: groups of queries pass over one block of keys after
 * the other. */
static void attend_long(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                        const tensors *t, uint32_t dropout_row) {
  const int step = attention_block_rows(pair->n), group = LONG_QUERIES / step * step;
  const int64_t padded_dim = padded_depth(s->head_dim);
  for (int start = 0; start < pair->n; start += group) {
    const int end = (int)adl_min(pair->n, start + group);
    const int seen = multi_head_visible(s, pair, end - 1).to;
    memset(w->out, 0, sizeof(float) * (size_t)(LONG_QUERIES * padded_dim));
    for (int r = 0; r < end - start; r++) w->running[r] = (running_softmax){-INFINITY, 0.0f};
    for (int from = 0; from < seen; from += FORWARD_KEYS) {
      held_keys held =
          hold_keys(s, w, t, (key_range){from, (int)adl_min(seen, from + FORWARD_KEYS)});
      for (int first = start; first < end; first += step) {
        const int rows = (int)adl_min(end - first, step);
        const int to = multi_head_visible(s, pair, first + rows - 1).to;
        const key_range keys = {from, (int)adl_min(to, held.keys.to)};
        if (to > from) add_keys(s, pair, w, t, &held, start, first, rows, keys, dropout_row);
      }
    }
    store_group(s, w, t, start, end - start);
  }
}

/* One sequence and head. */
static void attend(const multi_head_args *args, const multi_head_pair *pair, int head) {
  const multi_head_shape *s = &args->shape;
  const int64_t width = s->heads * s->head_dim;
  const int group = s->heads / s->key_heads;
  const int64_t q_at = pair->start * s->query_stride + head * s->head_dim,
                key_at = pair->key_start * s->key_stride + head / group * s->head_dim,
                out_at = pair->start * width + head * s->head_dim,
                row = (int64_t)head * s->queries + pair->start;
  const workspace w = workspace_at(s, pair, args->scratch);
  const tensors t = {args->q + q_at, args->k + key_at, args->v + key_at, args->out + out_at,
                     args->log_sum_exp ? args->log_sum_exp + row : NULL};
  if (pair->n <= FEW_QUERIES) {
    attend_few(s, pair, &w, t, (uint32_t)row);
    return;
  }
  multi_head_begin(s, pair->m);
  if (s->window < 0 && pair->m > FORWARD_KEYS)
    attend_long(s, pair, &w, &t, (uint32_t)row);
  else
    attend_blocks(s, pair, &w, &t, (uint32_t)row);
  multi_head_end(s, pair->m);
}

/* Sets out [queries, heads * head_dim], and log_sum_exp [heads, queries] unless NULL. One thread
 * computes a sequence and head, so that results do not depend on the thread count. */
ADL_API int ADL_ACT(attention)(const multi_head_args *args) {
  const multi_head_shape *s = &args->shape;
#pragma omp parallel for schedule(dynamic, 1) if (multi_head_is_large(s))
  for (int item = 0; item < s->heads * s->sequences; item++) {
    const multi_head_pair pair = multi_head_pair_at(s, item / s->heads);
    if (pair.n > 0) attend(args, &pair, item % s->heads);
  }
  return ADL_OK;
}
