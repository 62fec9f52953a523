#include "multi-head.h"
#include "vector-math.h"

typedef struct {
  const act *dout, *q, *k, *v, *out; /* offset to one head and sequence */
  const float *log_sum_exp;
  act *dq, *dk, *dv;
} tensors;

/* A thread's workspace. */
typedef struct {
  right *k, *k_transposed, *v_transposed; /* all keys */
  float *dk, *dv;
  right *q, *dout; /* a block of queries */
  left *q_left, *dout_left, *panel;
  float *dq, *probs, *dscores, *factors;
} workspace;

static workspace workspace_at(const multi_head_shape *s, float *scratch) {
  float *memory = scratch + omp_get_thread_num() * multi_head_thread_floats(s);
  const int64_t dim = padded_depth(s->head_dim), keys = adl_round_up(s->longest_keys, OPERAND_ROWS);
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
 * dscores = P * (dP * factors - inner) / scale. Sets padding to 0.
 */
ADL_NOINLINE void softmax_backward(float *probs, float *dscores, const float *factors,
                                   float log_sum, float inner, int n, int padded,
                                   float inverse_scale) {
#pragma omp simd
  for (int j = 0; j < n; j++) {
    const float exponent = probs[j] * inverse_scale - log_sum;
    const float p = exp_negative(exponent < 0.0f ? exponent : 0.0f);
    const float factor = factors ? factors[j] : 1.0f;
    probs[j] = p * factor;
    dscores[j] = p * (dscores[j] * factor - inner) * inverse_scale;
  }
  for (int j = n; j < padded; j++) probs[j] = dscores[j] = 0.0f;
}

/* Sets probs and dscores of a block of queries over the keys visible to its last query. */
static void score_block(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                        const tensors *t, int first, int rows, int visible, uint32_t dropout_row) {
  const int dim = s->head_dim, width = s->heads * dim, groups = (visible + 3) / 4;
  const int64_t padded_dim = padded_depth(dim), stride = adl_round_up(pair->m, ADL_VECTOR);
  const int padded = (int)adl_round_up(visible, ADL_VECTOR);
  multiply(rows, visible, dim, w->q_left, padded_dim, w->k_transposed, stride, w->probs, stride, 0);
  multiply(rows, visible, dim, w->dout_left, padded_dim, w->v_transposed, stride, w->dscores,
           stride, 0);
  if (s->dropout) adl_dropout_rows(s->dropout, dropout_row, rows, groups, w->factors);
  for (int r = 0; r < rows; r++) {
    const int64_t at = (int64_t)(first + r) * width;
    softmax_backward(w->probs + r * stride, w->dscores + r * stride,
                     s->dropout ? w->factors + 4 * groups * (int64_t)r : NULL,
                     t->log_sum_exp[first + r], dot(t->dout + at, t->out + at, dim),
                     multi_head_visible(s, pair, first + r), padded, 1.0f / s->scale);
  }
}

/* One sequence and head. */
static void attend_backward(const multi_head_shape *s, const multi_head_pair *pair,
                            const workspace *w, const tensors *t, uint32_t dropout_row) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t padded_dim = padded_depth(dim), stride = adl_round_up(pair->m, ADL_VECTOR);
  copy_right(w->k, t->k, width, pair->m, dim);
  copy_right_transposed(w->k_transposed, stride, t->k, width, pair->m, dim);
  copy_right_transposed(w->v_transposed, stride, t->v, width, pair->m, dim);
  memset(w->dk, 0, sizeof(float) * (size_t)(pair->m * padded_dim));
  memset(w->dv, 0, sizeof(float) * (size_t)(pair->m * padded_dim));
  const int step = attention_block_rows(pair->n);
  begin_products();
  for (int first = 0; first < pair->n; first += step) {
    const int rows = (int)adl_min(pair->n - first, step);
    const int visible = multi_head_visible(s, pair, first + rows - 1);
    const int64_t at = (int64_t)first * width;
    copy_both(w->q_left, w->q, t->q + at, width, rows, dim);
    copy_both(w->dout_left, w->dout, t->dout + at, width, rows, dim);
    if (visible > 0)
      score_block(s, pair, w, t, first, rows, visible, dropout_row + (uint32_t)first);
    multiply_floats(visible, dim, rows, w->probs, 1, stride, w->dout, padded_dim, w->dv, padded_dim,
                    1, w->panel);
    multiply_floats(visible, dim, rows, w->dscores, 1, stride, w->q, padded_dim, w->dk, padded_dim,
                    1, w->panel);
    multiply_floats(rows, dim, visible, w->dscores, stride, 1, w->k, padded_dim, w->dq, padded_dim,
                    0, w->panel);
    copy_out(t->dq + at, width, w->dq, padded_dim, rows, dim);
  }
  end_products();
  copy_out(t->dk, width, w->dk, padded_dim, pair->m, dim);
  copy_out(t->dv, width, w->dv, padded_dim, pair->m, dim);
}

/* Sets dq, dk and dv; out and log_sum_exp are the forward kernel's. */
ADL_API int ADL_ACT(attention_bwd)(const multi_head_args *args) {
  const multi_head_shape *s = &args->shape;
  const int64_t width = s->heads * s->head_dim;
#pragma omp parallel for schedule(dynamic, 1) if (multi_head_is_large(s))
  for (int item = 0; item < s->heads * s->sequences; item++) {
    const int head = item % s->heads;
    const multi_head_pair pair = multi_head_pair_at(s, item / s->heads);
    const int64_t at = pair.start * width + head * s->head_dim,
                  key_at = pair.key_start * width + head * s->head_dim,
                  row = (int64_t)head * s->queries + pair.start;
    const workspace w = workspace_at(s, args->scratch);
    const tensors t = {args->dout + at,  args->q + at,      args->k + key_at,
                       args->v + key_at, args->out + at,    args->log_sum_exp + row,
                       args->dq + at,    args->dk + key_at, args->dv + key_at};
    attend_backward(s, &pair, &w, &t, (uint32_t)row);
  }
  return ADL_OK;
}
