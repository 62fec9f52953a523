#include "multi-head.h"
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
  right *k, *k_transposed, *v_transposed; /* the held keys */
  float *dk, *dv;
  right *q, *dout; /* a block of queries */
  left *q_left, *dout_left, *panel;
  float *dq, *probs, *dscores, *factors;
} workspace;

static workspace workspace_at(const multi_head_shape *s, float *scratch) {
  float *memory = scratch + omp_get_thread_num() * multi_head_thread_floats(s);
  const int64_t dim = padded_depth(s->head_dim),
                keys = adl_round_up(multi_head_held(s, s->longest_keys), OPERAND_ROWS);
  workspace w = {
      .k = attention_alloc_right(&memory, keys, dim),
      .k_transposed = attention_alloc_right(&memory, dim, keys),
      .v_transposed = attention_alloc_right(&memory, dim, keys),
      .dk = attention_alloc(&memory, keys * dim),
      .dv = attention_alloc(&memory, keys * dim),
      .q = attention_alloc_right(&memory, BLOCK_ROWS, dim),
      .dout = attention_alloc_right(&memory, BLOCK_ROWS, dim),
      .panel = attention_alloc_panel(&memory, adl_max(keys, BLOCK_ROWS)),
      .dq = attention_alloc(&memory, BLOCK_ROWS * dim),
      .probs = attention_alloc(&memory, BLOCK_ROWS * keys),
      .dscores = attention_alloc(&memory, BLOCK_ROWS * keys),
      .factors = attention_alloc(&memory, BLOCK_ROWS * (keys + 4) + ADL_FACTORS_SLACK),
  };
  w.q_left = attention_alloc_both(&memory, w.q, BLOCK_ROWS, dim);
  w.dout_left = attention_alloc_both(&memory, w.dout, BLOCK_ROWS, dim);
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

/* Sets probs and dscores of a block of queries over `keys`. */
static void score_block(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                        const query_tensors *t, int first, int rows, key_range keys) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int count = keys.to - keys.from, groups = (count + 3) / 4;
  const int64_t padded_dim = padded_depth(dim), stride = multi_head_stride(s, pair);
  const int padded = (int)adl_round_up(count, ADL_VECTOR);
  multiply(rows, count, dim, w->q_left, padded_dim, w->k_transposed, stride, w->probs, stride, 0);
  multiply(rows, count, dim, w->dout_left, padded_dim, w->v_transposed, stride, w->dscores, stride,
           0);
  if (s->dropout)
    adl_dropout_block(s->dropout, t->dropout_row + (uint32_t)first, rows, keys.from / 4, groups,
                      w->factors);
  for (int r = 0; r < rows; r++) {
    const int64_t at = (int64_t)(first + r) * width;
    const key_range visible = multi_head_visible(s, pair, first + r);
    softmax_backward(w->probs + r * stride, w->dscores + r * stride,
                     s->dropout ? w->factors + 4 * groups * (int64_t)r : NULL,
                     t->log_sum_exp[first + r], dot(t->dout + at, t->out + at, dim),
                     visible.from - keys.from, visible.to - keys.from, padded, 1.0f / s->scale);
  }
}

/* A block of one head's queries: sets dq, and adds to the workspace's dk and dv. */
static void attend_block(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                         const query_tensors *t, int first, int rows, key_range keys) {
  const int dim = s->head_dim, width = s->heads * dim, count = keys.to - keys.from;
  const int64_t padded_dim = padded_depth(dim), stride = multi_head_stride(s, pair);
  const int64_t at = first * s->query_stride;
  copy_both(w->q_left, w->q, t->q + at, s->query_stride, rows, dim);
  copy_both(w->dout_left, w->dout, t->dout + (int64_t)first * width, width, rows, dim);
  if (count > 0) score_block(s, pair, w, t, first, rows, keys);
  multiply_floats(count, dim, rows, w->probs, 1, stride, w->dout, padded_dim, w->dv, padded_dim, 1,
                  w->panel);
  multiply_floats(count, dim, rows, w->dscores, 1, stride, w->q, padded_dim, w->dk, padded_dim, 1,
                  w->panel);
  multiply_floats(rows, dim, count, w->dscores, stride, 1, w->k, padded_dim, w->dq, padded_dim, 0,
                  w->panel);
  copy_out(t->dq + at, s->query_stride, w->dq, padded_dim, rows, dim);
}

/* Copies keys and their values to operands, whose first row is that of key `keys.from`. */
static void load_keys(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                      const key_tensors *t, key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t stride = multi_head_stride(s, pair), at = keys.from * s->key_stride;
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

/* One sequence and key head. Sums over blocks of queries and, within each, over the query heads
 * that read the key head, in order. */
static void attend_backward(const multi_head_args *args, const multi_head_pair *pair,
                            int key_head) {
  const multi_head_shape *s = &args->shape;
  const workspace w = workspace_at(s, args->scratch);
  const int group = s->heads / s->key_heads, step = attention_block_rows(pair->n);
  const int64_t key_at = pair->key_start * s->key_stride + key_head * s->head_dim;
  const key_tensors t = {args->k + key_at, args->v + key_at, args->dk + key_at, args->dv + key_at};
  key_range held = {0, 0};
  if (s->window < 0) load_keys(s, pair, &w, &t, (key_range){0, pair->m});
  begin_products();
  for (int first = 0; first < pair->n; first += step) {
    const int rows = (int)adl_min(pair->n - first, step);
    const key_range keys = multi_head_block_keys(s, pair, first, rows);
    if (s->window >= 0) load_keys(s, pair, &w, &t, keys);
    advance(s, &w, &t, held, keys);
    held = keys;
    for (int i = 0; i < group; i++) {
      const query_tensors queries = query_tensors_at(args, pair, key_head * group + i);
      attend_block(s, pair, &w, &queries, first, rows, keys);
    }
  }
  end_products();
  store_gradients(s, &w, &t, held.from, held.to - held.from);
  for (int64_t j = held.to; j < pair->m; j++) { /* no query: zero has the same bits in each type */
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
    const multi_head_pair pair = multi_head_pair_at(s, item / s->key_heads);
    attend_backward(args, &pair, item % s->key_heads);
  }
  return ADL_OK;
}
