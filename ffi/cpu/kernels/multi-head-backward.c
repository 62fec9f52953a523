#include "multi-head-split-backward.h"
#include "vector-math.h"

typedef struct {
  const act *q, *dout, *out; /* offset to one head and sequence */
  const float *log_sum_exp;
  act *dq;
  uint32_t dropout_row;
} query_tensors;

typedef struct {
  const act *k, *v; /* offset to one key head and sequence */
  act *dk, *dv;
} key_tensors;

/* A thread's workspace. */
typedef struct {
  int64_t stride;                         /* of matrices with a column per held key */
  right *k, *k_transposed, *v_transposed; /* the held keys */
  float *dk, *dv;
  right *q, *dout; /* a block of queries */
  left *q_left, *dout_left, *panel;
  float *probs, *dscores, *factors;
  float *dq; /* multi_head_sums(s) rows */
  split_workspace split;
} workspace;

static workspace workspace_at(const multi_head_shape *s, const multi_head_pair *pair,
                              float *scratch) {
  float *memory = scratch + omp_get_thread_num() * multi_head_thread_floats(s);
  const int64_t dim = padded_depth(s->head_dim),
                held = multi_head_held(s, s->longest_keys, BACKWARD_KEYS),
                keys = adl_round_up(held, OPERAND_ROWS);
  workspace w = {
      .stride = multi_head_stride(multi_head_held(s, pair->m, BACKWARD_KEYS)),
      .k = attention_alloc_right(&memory, keys, dim),
      .k_transposed = attention_alloc_right(&memory, dim, keys),
      .v_transposed = attention_alloc_right(&memory, dim, keys),
      .dk = attention_alloc(&memory, keys * dim),
      .dv = attention_alloc(&memory, keys * dim),
      .q = attention_alloc_right(&memory, BLOCK_ROWS, dim),
      .dout = attention_alloc_right(&memory, BLOCK_ROWS, dim),
      .panel = attention_alloc_panel(&memory, adl_max(keys, BLOCK_ROWS)),
      .probs = attention_alloc(&memory, BLOCK_ROWS * keys),
      .dscores = attention_alloc(&memory, BLOCK_ROWS * keys),
      .factors = attention_alloc(&memory, BLOCK_ROWS * (keys + 4) + ADL_FACTORS_SLACK),
      .dq = attention_alloc(&memory, multi_head_sums(s) * dim),
  };
  w.q_left = attention_alloc_both(&memory, w.q, BLOCK_ROWS, dim);
  w.dout_left = attention_alloc_both(&memory, w.dout, BLOCK_ROWS, dim);
  if (multi_head_splits(s, pair->m)) w.split = split_workspace_at(&memory, w.stride, dim);
  return w;
}

ADL_NOINLINE float dot(const act *x, const act *y, int n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int d = 0; d < n; d++) sum += act_load(x + d) * act_load(y + d);
  return sum;
}

/*
 * One row: from scores (in probs), dP = dout V^T (in dscores), the dropout factors (NULL for none)
 * and inner = dout . out, with P = exp(score / scale - log_sum), sets probs = P * factors and
 * dscores = P * (dP * factors - inner) / scale in [from, to), and both to 0 elsewhere up to
 * `padded`.
 */
ADL_NOINLINE void softmax_backward(float *probs, float *dscores, const float *factors,
                                   float log_sum, float inner, int from, int to, int padded,
                                   float inverse_scale) {
  for (int j = 0; j < from; j++) probs[j] = dscores[j] = 0.0f;
#pragma omp simd
  for (int j = from; j < to; j++) {
    const float exponent = probs[j] * inverse_scale - log_sum;
    const float p = exp_negative(exponent < 0.0f ? exponent : 0.0f);
    const float factor = factors ? factors[j] : 1.0f;
    probs[j] = p * factor;
    dscores[j] = p * (dscores[j] * factor - inner) * inverse_scale;
  }
  for (int j = to; j < padded; j++) probs[j] = dscores[j] = 0.0f;
}

/* Sets probs and dscores of a block of queries over `keys` from scores and dP. */
static void softmax_block(const multi_head_shape *s, const multi_head_pair *pair,
                          const workspace *w, const query_tensors *t, int first, int rows,
                          key_range keys) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int count = keys.to - keys.from, groups = (count + 3) / 4;
  const int64_t stride = w->stride;
  const int padded = (int)adl_round_up(count, ADL_VECTOR);
  if (s->dropout)
    adl_dropout_block(s->dropout, t->dropout_row + (uint32_t)first, rows, keys.from / 4, groups,
                      w->factors);
  for (int r = 0; r < rows; r++) {
    const int64_t at = (int64_t)(first + r) * width;
    const key_range visible = multi_head_visible(s, pair, first + r);
    const int from = (int)adl_max(visible.from - keys.from, 0),
              to = (int)adl_max(adl_min(visible.to - keys.from, count), from);
    softmax_backward(w->probs + r * stride, w->dscores + r * stride,
                     s->dropout ? w->factors + 4 * groups * (int64_t)r : NULL,
                     t->log_sum_exp[first + r], dot(t->dout + at, t->out + at, dim), from, to,
                     padded, 1.0f / s->scale);
  }
}

/* Copies a block of queries and their gradients to operands. */
static void load_queries(const multi_head_shape *s, const workspace *w, const query_tensors *t,
                         int first, int rows) {
  const int dim = s->head_dim, width = s->heads * dim;
  copy_both(w->q_left, w->q, t->q + first * s->query_stride, s->query_stride, rows, dim);
  copy_both(w->dout_left, w->dout, t->dout + (int64_t)first * width, width, rows, dim);
}

/* A block of one head's queries and the held keys `keys`, which begin the operands: sets dq
 * [rows, padded_depth(dim)] or, with `add`, adds to it; adds to the workspace's dk and dv. */
static void attend_block(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                         const query_tensors *t, int first, int rows, key_range keys, float *dq,
                         int add) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t padded_dim = padded_depth(dim), stride = w->stride;
  load_queries(s, w, t, first, rows);
  if (count > 0) {
    multiply(rows, count, dim, w->q_left, padded_dim, w->k_transposed, stride, w->probs, stride, 0);
    multiply(rows, count, dim, w->dout_left, padded_dim, w->v_transposed, stride, w->dscores,
             stride, 0);
    softmax_block(s, pair, w, t, first, rows, keys);
  }
  multiply_floats(count, dim, rows, w->probs, 1, stride, w->dout, padded_dim, w->dv, padded_dim, 1,
                  w->panel);
  multiply_floats(count, dim, rows, w->dscores, 1, stride, w->q, padded_dim, w->dk, padded_dim, 1,
                  w->panel);
  multiply_floats(rows, dim, count, w->dscores, stride, 1, w->k, padded_dim, dq, padded_dim, add,
                  w->panel);
}

/* Stores the gradients of a head's queries [first, first + rows). */
static void store_queries(const multi_head_shape *s, const query_tensors *t, int first, int rows,
                          const float *dq) {
  copy_out(t->dq + first * s->query_stride, s->query_stride, dq, padded_depth(s->head_dim), rows,
           s->head_dim);
}

/* Copies keys and their values to operands, whose first row is that of key `keys.from`. */
static void load_keys(const multi_head_shape *s, const workspace *w, const key_tensors *t,
                      key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t stride = w->stride, at = keys.from * s->key_stride;
  copy_right(w->k, t->k + at, s->key_stride, count, dim);
  copy_right_transposed(w->k_transposed, stride, t->k + at, s->key_stride, count, dim);
  copy_right_transposed(w->v_transposed, stride, t->v + at, s->key_stride, count, dim);
}

/* Copies the first `rows` rows of the workspace's dk and dv to those of keys from `key` on. */
static void store_gradients(const multi_head_shape *s, const workspace *w, const key_tensors *t,
                            int key, int rows) {
  const int64_t padded_dim = padded_depth(s->head_dim), at = key * s->key_stride;
  copy_out(t->dk + at, s->key_stride, w->dk, padded_dim, rows, s->head_dim);
  copy_out(t->dv + at, s->key_stride, w->dv, padded_dim, rows, s->head_dim);
}

/* Moves the rows of dk and dv from the keys `held` to `keys`, neither of which ends before: stores
 * those that no later block adds to, and zeroes new ones. */
static void advance(const multi_head_shape *s, const workspace *w, const key_tensors *t,
                    key_range held, key_range keys) {
  const int64_t padded_dim = padded_depth(s->head_dim);
  const int done = keys.from - held.from, kept = held.to - keys.from, fresh = keys.to - held.to;
  if (done > 0) store_gradients(s, w, t, held.from, done);
  float *const sums[] = {w->dk, w->dv};
  for (int i = 0; i < 2; i++) {
    if (done > 0)
      memmove(sums[i], sums[i] + done * padded_dim, sizeof(float) * (size_t)(kept * padded_dim));
    memset(sums[i] + kept * padded_dim, 0, sizeof(float) * (size_t)(fresh * padded_dim));
  }
}

/* The tensors of a query head and sequence. */
static query_tensors query_tensors_at(const multi_head_args *args, const multi_head_pair *pair,
                                      int head) {
  const multi_head_shape *s = &args->shape;
  const int dim = s->head_dim;
  const int64_t q_at = pair->start * s->query_stride + head * dim,
                out_at = (int64_t)pair->start * s->heads * dim + head * dim,
                row = (int64_t)head * s->queries + pair->start;
  return (query_tensors){args->q + q_at,           args->dout + out_at, args->out + out_at,
                         args->log_sum_exp + row, args->dq + q_at,     (uint32_t)row};
}

/* A key head of a sequence, and the query heads that read it. */
typedef struct {
  const multi_head_args *args;
  multi_head_pair pair;
  int key_head, group; /* query heads from key_head * group on */
} head_group;

static query_tensors group_queries(const head_group *g, int i) {
  return query_tensors_at(g->args, &g->pair, g->key_head * g->group + i);
}

/* Holds the keys that a block of queries sees: each block in turn is finished. Returns the number
 * of keys whose gradients are set, from the first on. */
static int attend_windows(const head_group *g, const workspace *w, const key_tensors *t) {
  const multi_head_shape *s = &g->args->shape;
  const int n = g->pair.n, step = attention_block_rows(n);
  key_range held = {0, 0};
  for (int first = 0; first < n; first += step) {
    const int rows = (int)adl_min(n - first, step);
    const key_range keys = multi_head_block_keys(s, &g->pair, first, rows);
    load_keys(s, w, t, keys);
    advance(s, w, t, held, keys);
    held = keys;
    for (int i = 0; i < g->group; i++) {
      const query_tensors queries = group_queries(g, i);
      attend_block(s, &g->pair, w, &queries, first, rows, keys, w->dq, 0);
      store_queries(s, &queries, first, rows, w->dq);
    }
  }
  store_gradients(s, w, t, held.from, held.to - held.from);
  return held.to;
}

static void load_plain_keys(const multi_head_shape *s, const workspace *w, const key_tensors *t,
                            held_keys *held) {
  if (!held->plain) load_keys(s, w, t, held->keys);
  held->plain = 1;
}

static held_keys hold_keys(const multi_head_shape *s, const workspace *w, const key_tensors *t,
                           key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t at = keys.from * s->key_stride;
  const split_workspace *split = &w->split;
  held_keys held = {.keys = keys};
  if (!split->k) {
    load_plain_keys(s, w, t, &held);
    return held;
  }
  split_depth(split->k, t->k + at, s->key_stride, count, dim);
  held.k = split_rows_transposed(split->k_transposed, t->k + at, s->key_stride, count, dim);
  held.v = split_rows_transposed(split->v_transposed, t->v + at, s->key_stride, count, dim);
  const size_t bytes = sizeof(float) * (size_t)(padded_depth(dim) * w->stride);
  memset(split->dk, 0, bytes);
  memset(split->dv, 0, bytes);
  return held;
}

/* As attend_block, on split operands. Returns 0, having done nothing, if queries or keys have no
 * split. */
static int attend_split_block(const head_group *g, const workspace *w, const key_tensors *keys_of,
                              held_keys *held, const query_tensors *t, int first, int rows,
                              key_range keys, float *dq, int add) {
  const multi_head_shape *s = &g->args->shape;
  const split_workspace *split = &w->split;
  const int dim = s->head_dim, width = s->heads * dim, count = keys.to - keys.from;
  const int depth = held->keys.to - held->keys.from;
  const int64_t padded_dim = padded_depth(dim), stride = w->stride;
  if (!split->k || count == 0) return 0;
  const split_range q = split_both(split->q, split->q_transposed, t->q + first * s->query_stride,
                                   s->query_stride, rows, dim),
                    dout = split_both(split->dout, split->dout_transposed,
                                      t->dout + (int64_t)first * width, width, rows, dim);
  if (!split_pair_fits(q, held->k) || !split_pair_fits(dout, held->v)) return 0;
  split_multiply(rows, count, dim, split->q, dim, split->k_transposed, dim, w->probs, stride,
                 SPLIT_ROWS, 0);
  split_multiply(rows, count, dim, split->dout, dim, split->v_transposed, dim, w->dscores, stride,
                 SPLIT_ROWS, 0);
  softmax_block(s, &g->pair, w, t, first, rows, keys);
  const uint32_t factor = (uint32_t)adl_min(q.largest, held->k.largest);
  for (int j = 0; j < count; j += SPLIT_KEYS) {
    const int some = (int)adl_min(count - j, SPLIT_KEYS);
    split_value_gradients(split, w->probs, stride, rows, dim, j, some);
    if (split_score_gradients(split, w->dscores, stride, rows, dim, j, some, depth, factor, dq,
                              add || j > 0))
      continue;
    load_plain_keys(s, w, keys_of, held);
    load_queries(s, w, t, first, rows);
    multiply_floats(some, dim, rows, w->dscores + j, 1, stride, w->q, padded_dim,
                    w->dk + j * padded_dim, padded_dim, 1, w->panel);
    multiply_floats(rows, dim, some, w->dscores + j, stride, 1, right_at(w->k, padded_dim, j),
                    padded_dim, dq, padded_dim, add || j > 0, w->panel);
  }
  return 1;
}

/* All queries over the keys `range`, whose dk and dv it sets; sums dq over all blocks of keys. */
static void attend_held(const head_group *g, const workspace *w, const key_tensors *t,
                        key_range range) {
  const multi_head_shape *s = &g->args->shape;
  const int n = g->pair.n, step = attention_block_rows(n), count = range.to - range.from;
  const int64_t padded_dim = padded_depth(s->head_dim), sums = adl_round_up(n, OPERAND_ROWS);
  held_keys held = hold_keys(s, w, t, range);
  memset(w->dk, 0, sizeof(float) * (size_t)(count * padded_dim));
  memset(w->dv, 0, sizeof(float) * (size_t)(count * padded_dim));
  for (int first = 0; first < n; first += step) {
    const int rows = (int)adl_min(n - first, step);
    const int to = (int)adl_min(multi_head_block_keys(s, &g->pair, first, rows).to, range.to);
    const key_range keys = {range.from, (int)adl_max(to, range.from)};
    if (range.from > 0 && to <= range.from) continue;
    for (int i = 0; i < g->group; i++) {
      const query_tensors queries = group_queries(g, i);
      float *dq = w->dq + (i * sums + first) * padded_dim;
      const int add = range.from > 0;
      if (attend_split_block(g, w, t, &held, &queries, first, rows, keys, dq, add)) continue;
      load_plain_keys(s, w, t, &held);
      attend_block(s, &g->pair, w, &queries, first, rows, keys, dq, add);
    }
  }
  if (w->split.k) {
    add_transposed(w->dk, w->split.dk, count, s->head_dim);
    add_transposed(w->dv, w->split.dv, count, s->head_dim);
  }
  store_gradients(s, w, t, range.from, count);
}

/* Holds one block of keys after the other. Returns the number of keys, of all whose gradients are
 * set. */
static int attend_key_blocks(const head_group *g, const workspace *w, const key_tensors *t) {
  const multi_head_shape *s = &g->args->shape;
  const int n = g->pair.n, m = g->pair.m;
  const int64_t padded_dim = padded_depth(s->head_dim), sums = adl_round_up(n, OPERAND_ROWS);
  if (n == 0) return 0;
  int from = 0;
  do {
    const int to = (int)adl_min(m, from + BACKWARD_KEYS);
    attend_held(g, w, t, (key_range){from, to});
    from = to;
  } while (from < m);
  for (int i = 0; i < g->group; i++) {
    const query_tensors queries = group_queries(g, i);
    store_queries(s, &queries, 0, n, w->dq + i * sums * padded_dim);
  }
  return m;
}

/* One sequence and key head. Each key's gradients are sums over blocks of queries and, within each,
 * over the query heads that read the key head, in order. */
static void attend_backward(const head_group *g) {
  const multi_head_args *args = g->args;
  const multi_head_shape *s = &args->shape;
  const multi_head_pair *pair = &g->pair;
  const workspace w = workspace_at(s, pair, args->scratch);
  const int64_t key_at = pair->key_start * s->key_stride + g->key_head * s->head_dim;
  const key_tensors t = {args->k + key_at, args->v + key_at, args->dk + key_at, args->dv + key_at};
  multi_head_begin(s, pair->m);
  const int set = s->window < 0 ? attend_key_blocks(g, &w, &t) : attend_windows(g, &w, &t);
  multi_head_end(s, pair->m);
  for (int64_t j = set; j < pair->m; j++) { /* no query: zero has the same bits in each type */
    memset(t.dk + j * s->key_stride, 0, sizeof(act) * (size_t)s->head_dim);
    memset(t.dv + j * s->key_stride, 0, sizeof(act) * (size_t)s->head_dim);
  }
}

/* Sets dq, dk and dv; out and log_sum_exp are the forward kernel's. One thread computes a sequence
 * and key head, so that results do not depend on the thread count. */
ADL_API int ADL_ACT(attention_bwd)(const multi_head_args *args) {
  const multi_head_shape *s = &args->shape;
#pragma omp parallel for schedule(dynamic, 1) if (multi_head_is_large(s))
  for (int item = 0; item < s->key_heads * s->sequences; item++) {
    const head_group g = {args, multi_head_pair_at(s, item / s->key_heads), item % s->key_heads,
                          s->heads / s->key_heads};
    attend_backward(&g);
  }
  return ADL_OK;
}
