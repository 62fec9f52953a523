/*
 * Disentangled attention in which only the first token of each sequence is a query, as below a
 * classifier that reads only that token: one row of scores per sequence and head, so that plain
 * loops suffice. q, out and their gradients have one row per sequence, 0 for an empty one.
 */
#include "attention.h"

typedef struct {
  const act *q, *k, *v, *pos_key, *pos_query; /* of all heads, or offset to one */
  int width;                                  /* row stride */
} first_inputs;

/* Row of posKey and posQuery for key j. */
ADL_INLINE int64_t relative_row(const attention_sequence *q, int j) {
  return q->table[q->positions[0] - q->positions[j]];
}

ADL_INLINE float dot(const act *x, const act *y, int n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; i++) sum += act_load(x + i) * act_load(y + i);
  return sum;
}

/* Adds: sum += factor * x. */
ADL_INLINE void add_scaled(float *sum, float factor, const act *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) sum[i] += factor * act_load(x + i);
}

/* Sets y = sum. */
ADL_INLINE void store_row(act *y, const float *sum, int n) { ACT_SET(y, i, 0, n, sum[i]) }

/* Sets row = softmax(row * factor). */
static void softmax(float *row, int n, float factor) {
  float top = -INFINITY, sum = 0.0f;
  for (int j = 0; j < n; j++) top = row[j] > top ? row[j] : top;
  for (int j = 0; j < n; j++) sum += row[j] = expf((row[j] - top) * factor);
  for (int j = 0; j < n; j++) row[j] /= sum;
}

static void score_keys(const attention_shape *s, const attention_sequence *q, const first_inputs *t,
                       int index, float *scores) {
  const act *query = t->q + (int64_t)index * t->width;
  for (int j = 0; j < q->n; j++) {
    const act *key = t->k + (int64_t)(q->start + j) * t->width;
    scores[j] = dot(query, key, s->head_dim);
    if (!s->relative) continue;
    const int64_t row = relative_row(q, j) * t->width;
    if (t->pos_key) scores[j] += dot(query, t->pos_key + row, s->head_dim);
    if (t->pos_query) scores[j] += dot(key, t->pos_query + row, s->head_dim);
  }
}

static first_inputs inputs_of(const attention_args *args) {
  return (first_inputs){args->q,       args->k,         args->v,
                        args->pos_key, args->pos_query, args->shape.heads * args->shape.head_dim};
}

static first_inputs head_inputs(const first_inputs *all, int column) {
  return (first_inputs){all->q + column,
                        all->k + column,
                        all->v + column,
                        all->pos_key ? all->pos_key + column : NULL,
                        all->pos_query ? all->pos_query + column : NULL,
                        all->width};
}

/* Draws the dropout factors of a sequence's one row, for one head. */
static void draw_factors(const attention_shape *s, const attention_sequence *q, int head,
                         float *factors) {
  if (s->dropout)
    adl_dropout_rows(s->dropout, attention_dropout_row(s, q, head), 1, (q->n + 3) / 4,
                     factors);
}

static void attend_head(const attention_shape *s, const attention_plan *plan, first_inputs t,
                        int head, act *out, act *probs) {
  float *memory = plan->threads + omp_get_thread_num() * plan->thread_floats;
  float *scores = attention_alloc(&memory, plan->padded_rows);
  float *factors = attention_alloc(&memory, plan->padded_rows + 4 + ADL_FACTORS_SLACK);
  float *sum = attention_alloc(&memory, plan->padded_dim);
  int64_t at = 0;
  for (int b = 0; b < s->sequences; b++) {
    const attention_sequence q = attention_sequence_at(s, plan, b);
    score_keys(s, &q, &t, b, scores);
    softmax(scores, q.n, 1.0f / s->scale);
    if (probs) store_row(probs + at * s->heads + (int64_t)q.n * head, scores, q.n);
    draw_factors(s, &q, head, factors);
    memset(sum, 0, sizeof(float) * (size_t)s->head_dim);
    for (int j = 0; j < q.n; j++) {
      const float weight = s->dropout ? scores[j] * factors[j] : scores[j];
      add_scaled(sum, weight, t.v + (int64_t)(q.start + j) * t.width, s->head_dim);
    }
    store_row(out + (int64_t)b * t.width, sum, s->head_dim);
    at += q.n;
  }
}

/*
 * Sets out [sequences, heads * head_dim], and probs unless NULL: n elements per sequence and head.
 */
ADL_API int ADL_ACT(first_attention)(const attention_args *args) {
  const attention_shape *s = &args->shape;
  const attention_plan plan = attention_prepare(s, args->scratch);
  const first_inputs all = inputs_of(args);
#pragma omp parallel for schedule(static) if (adl_parts((int64_t)s->tokens * all.width) > 1)
  for (int head = 0; head < s->heads; head++) {
    const int column = head * s->head_dim;
    attend_head(s, &plan, head_inputs(&all, column), head, args->out + column, args->probs);
  }
  return ADL_OK;
}

/* Gradients of one head, from its first column. */
typedef struct {
  act *dq, *dk, *dv, *dpos_key, *dpos_query;
} first_gradients;

/* A thread's workspace. */
typedef struct {
  float *factors, *dscores, *dq, *dk, *dv;
  float *dpos_key, *dpos_query; /* [high - low, padded_dim] */
} first_workspace;

static first_workspace workspace_at(const attention_plan *plan) {
  float *memory = plan->threads + omp_get_thread_num() * plan->thread_floats;
  const int64_t dim = plan->padded_dim, slice = plan->padded_band * dim;
  return (first_workspace){
      .factors = attention_alloc(&memory, plan->padded_rows + 4 + ADL_FACTORS_SLACK),
      .dscores = attention_alloc(&memory, plan->padded_rows),
      .dq = attention_alloc(&memory, dim),
      .dk = attention_alloc(&memory, dim),
      .dv = attention_alloc(&memory, dim),
      .dpos_key = attention_alloc(&memory, slice),
      .dpos_query = attention_alloc(&memory, slice),
  };
}

/*
 * Sets dscores = P * (dP * factors - sum over j of dP * factors * P) / scale, with dP = dout V^T.
 */
static void score_gradients(const attention_shape *s, const attention_sequence *q,
                            const first_inputs *t, const act *dout, const act *probs,
                            const first_workspace *w) {
  float inner = 0.0f;
  for (int j = 0; j < q->n; j++) {
    const float dp = dot(dout, t->v + (int64_t)(q->start + j) * t->width, s->head_dim);
    w->dscores[j] = s->dropout ? dp * w->factors[j] : dp;
    inner += w->dscores[j] * act_load(probs + j);
  }
  for (int j = 0; j < q->n; j++)
    w->dscores[j] = act_load(probs + j) * (w->dscores[j] - inner) / s->scale;
}

/* Adds key j's contribution to each gradient; sets its rows of dk and dv. */
static void key_gradients(const attention_shape *s, const attention_plan *plan,
                          const attention_sequence *q, const first_inputs *t,
                          const first_gradients *g, const first_workspace *w, const act *query,
                          const act *dout, int j, float weight) {
  const int dim = s->head_dim;
  const int64_t at = (int64_t)(q->start + j) * t->width;
  const float ds = w->dscores[j];
  memset(w->dk, 0, sizeof(float) * (size_t)dim);
  memset(w->dv, 0, sizeof(float) * (size_t)dim);
  add_scaled(w->dv, weight, dout, dim);
  add_scaled(w->dk, ds, query, dim);
  add_scaled(w->dq, ds, t->k + at, dim);
  if (s->relative) {
    const int64_t row = relative_row(q, j), sum = (row - plan->low) * plan->padded_dim;
    if (t->pos_key) {
      add_scaled(w->dq, ds, t->pos_key + row * t->width, dim);
      add_scaled(w->dpos_key + sum, ds, query, dim);
    }
    if (t->pos_query) {
      add_scaled(w->dk, ds, t->pos_query + row * t->width, dim);
      add_scaled(w->dpos_query + sum, ds, t->k + at, dim);
    }
  }
  store_row(g->dk + at, w->dk, dim);
  store_row(g->dv + at, w->dv, dim);
}

/* Sets all rows of a position gradient: the sums, or 0 where no pair uses the row. */
static void store_positions(const attention_shape *s, const attention_plan *plan, act *gradient,
                            const float *sums, int width) {
  for (int row = 0; row < s->relative_rows; row++) {
    act *to = gradient + (int64_t)row * width;
    const int reached = row >= plan->low && row < plan->high;
    if (reached)
      store_row(to, sums + (row - plan->low) * plan->padded_dim, s->head_dim);
    else
      memset(to, 0, sizeof(act) * (size_t)s->head_dim);
  }
}

static void attend_head_backward(const attention_shape *s, const attention_plan *plan,
                                 first_inputs t, first_gradients g, int head, const act *dout,
                                 const act *probs) {
  const first_workspace w = workspace_at(plan);
  const size_t sums = sizeof(float) * (size_t)((plan->high - plan->low) * plan->padded_dim);
  memset(w.dpos_key, 0, sums);
  memset(w.dpos_query, 0, sums);
  int64_t at = 0;
  for (int b = 0; b < s->sequences; b++) {
    const attention_sequence q = attention_sequence_at(s, plan, b);
    const act *row = probs + at * s->heads + (int64_t)q.n * head;
    const act *query = t.q + (int64_t)b * t.width, *dout_row = dout + (int64_t)b * t.width;
    draw_factors(s, &q, head, w.factors);
    score_gradients(s, &q, &t, dout_row, row, &w);
    memset(w.dq, 0, sizeof(float) * (size_t)s->head_dim);
    for (int j = 0; j < q.n; j++) {
      const float weight = act_load(row + j) * (s->dropout ? w.factors[j] : 1.0f);
      key_gradients(s, plan, &q, &t, &g, &w, query, dout_row, j, weight);
    }
    store_row(g.dq + (int64_t)b * t.width, w.dq, s->head_dim);
    at += q.n;
  }
  if (t.pos_key) store_positions(s, plan, g.dpos_key, w.dpos_key, t.width);
  if (t.pos_query) store_positions(s, plan, g.dpos_query, w.dpos_query, t.width);
}

/*
 * Sets dq [sequences, heads * head_dim], dk, dv, and all rows of dposKey and dposQuery if posKey
 * and posQuery are given. One thread computes a head, so that results do not depend on the thread
 * count.
 */
ADL_API int ADL_ACT(first_attention_bwd)(const attention_args *args) {
  const attention_shape *s = &args->shape;
  const attention_plan plan = attention_prepare(s, args->scratch);
  const first_inputs all = inputs_of(args);
#pragma omp parallel for schedule(static) if (adl_parts((int64_t)s->tokens * all.width) > 1)
  for (int head = 0; head < s->heads; head++) {
    const int column = head * s->head_dim;
    const first_gradients g = {args->dq + column, args->dk + column, args->dv + column,
                               args->pos_key ? args->dpos_key + column : NULL,
                               args->pos_query ? args->dpos_query + column : NULL};
    attend_head_backward(s, &plan, head_inputs(&all, column), g, head, args->dout + column,
                         args->probs);
  }
  return ADL_OK;
}
