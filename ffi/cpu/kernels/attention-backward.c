#include "attention.h"

typedef struct {
  const act *dout, *q, *k, *v, *pos_key, *pos_query, *probs; /* of all heads, or offset to one */
  act *dq, *dk, *dv;
} tensors;

/* A thread's workspace. pos_key (reversed) and pos_query are the head's slices; dpos_* are their
 * gradients, summed over a group. */
typedef struct {
  right *dout, *q, *k, *v_transposed, *pos_key, *pos_query;
  left *dout_left, *panel;
  float *dk, *dv, *dpos_key, *dpos_query;
  float *dq, *dropped, *dscores, *factors, *by_query, *by_key;
  column_range *strips;
} workspace;

/* Rows that share a column range when the slice's gradient is summed over them. */
enum { STRIP = 4 };
_Static_assert(SLICE_ROWS % STRIP == 0, "clear_pairs relies on strips that lie in one slice");

static workspace workspace_at(const attention_plan *plan, int thread) {
  float *memory = plan->threads + thread * plan->thread_floats;
  const int64_t rows = plan->padded_rows, band = plan->padded_band, dim = plan->padded_dim;
  workspace w = {
      .dout = attention_alloc_right(&memory, rows, dim),
      .q = attention_alloc_right(&memory, rows, dim),
      .k = attention_alloc_right(&memory, rows, dim),
      .v_transposed = attention_alloc_right(&memory, dim, rows),
      .panel = attention_alloc_panel(&memory, adl_max(rows, band)),
      .dk = attention_alloc(&memory, rows * dim),
      .dv = attention_alloc(&memory, rows * dim),
      .pos_key = attention_alloc_right(&memory, band, dim),
      .pos_query = attention_alloc_right(&memory, band, dim),
      .dq = attention_alloc(&memory, BLOCK_ROWS * dim),
      .dropped = attention_alloc(&memory, BLOCK_ROWS * rows),
      .dscores = attention_alloc(&memory, BLOCK_ROWS * rows),
      .factors = attention_alloc(&memory, BLOCK_ROWS * (rows + 4) + ADL_FACTORS_SLACK),
      .by_query = attention_alloc(&memory, BLOCK_ROWS * band),
      .by_key = attention_alloc(&memory, rows * band),
      .strips = (column_range *)attention_alloc(&memory, rows / STRIP * 2),
  };
  w.dout_left = attention_alloc_both(&memory, w.dout, rows, dim);
  return w;
}

/*
 * One row: from dP = dout V^T (in dscores), P and the dropout factors (NULL for none), sets dropped
 * = P * factors and dscores = P * (dP * factors - sum over j of dP * factors * P) / scale. Sets
 * padding to 0.
 */
ADL_NOINLINE void softmax_backward(const act *probs, const float *factors, float *dropped,
                                   float *dscores, int n, int padded, float inverse_scale) {
  float inner = 0.0f;
#pragma omp simd reduction(+ : inner)
  for (int j = 0; j < n; j++) {
    const float p = act_load(probs + j), factor = factors ? factors[j] : 1.0f;
    dscores[j] *= factor;
    dropped[j] = p * factor;
    inner += dscores[j] * p;
  }
#pragma omp simd
  for (int j = 0; j < n; j++)
    dscores[j] = act_load(probs + j) * (dscores[j] - inner) * inverse_scale;
  for (int j = n; j < padded; j++) dscores[j] = dropped[j] = 0.0f;
}

/* Sets dropped and dscores of a block of queries. */
static void score_block(const attention_shape *s, const attention_plan *plan,
                        const attention_sequence *q, const workspace *w, int first, int rows,
                        uint32_t dropout_row, const act *probs) {
  const int groups = (q->n + 3) / 4;
  multiply(rows, q->padded, s->head_dim, w->dout_left + first * plan->padded_dim, plan->padded_dim,
           w->v_transposed, q->padded, w->dscores, q->padded, 0);
  if (s->dropout) adl_dropout_rows(s->dropout, dropout_row, rows, groups, w->factors);
  for (int r = 0; r < rows; r++) {
    const int64_t at = r * (int64_t)q->padded;
    softmax_backward(probs + (first + r) * (int64_t)q->n,
                     s->dropout ? w->factors + 4 * groups * (int64_t)r : NULL, w->dropped + at,
                     w->dscores + at, q->n, q->padded, 1.0f / s->scale);
  }
}

/*
 * Adds: sums[c] += sum over rows r of pairs[r, c] * of_row[r], for `columns` columns of pairs
 * [rows, band]. Elements outside a strip's column range are 0; only rows whose range overlaps are
 * read.
 */
static void add_slice_gradient(const attention_plan *plan, int head_dim, const float *pairs,
                               int64_t band, const column_range *strips, int rows, int columns,
                               const right *of_row, float *sums, left *panel) {
  const int64_t dim = plan->padded_dim;
  for (int c = 0; c < columns; c += SLICE_ROWS) {
    const int cols = (int)adl_min(columns - c, SLICE_ROWS);
    int from = rows, to = 0;
    for (int strip = 0; strip * STRIP < rows; strip++) {
      if (strips[strip].from >= c + cols || strips[strip].to <= c) continue;
      from = (int)adl_min(from, strip * STRIP);
      to = (int)adl_min(rows, (strip + 1) * STRIP);
    }
    if (from >= to) continue;
    multiply_floats(cols, head_dim, to - from, pairs + from * band + c, 1, band,
                    right_at(of_row, dim, from), dim, sums + c * dim, dim, 1, panel);
  }
}

/* Sets to 0 the columns of pairs [rows, band] that products read: the column range of each slice of
 * rows (columns_of), and SLICE_ROWS more on either side, as columns are read in slices too. */
static void clear_pairs(const attention_sequence *q,
                        column_range (*columns_of)(const attention_sequence *, int, int), int first,
                        int rows, float *pairs) {
  for (int slice = 0; slice < rows; slice += SLICE_ROWS) {
    const int here = (int)adl_min(rows - slice, SLICE_ROWS);
    const column_range range = columns_of(q, first + slice, here);
    const int64_t from = adl_max(range.from - SLICE_ROWS, 0),
                  to = adl_min(range.to + SLICE_ROWS, q->band);
    for (int r = slice; r < slice + here; r++)
      memset(pairs + r * q->band + from, 0, sizeof(float) * (size_t)(to - from));
  }
}

/* Extends a range to whole groups of interleaved rows of a right operand. */
static column_range align_range(column_range range) {
  return (column_range){range.from / RIGHT_ROWS * RIGHT_ROWS, range.to};
}

/* Adds a block of queries' position terms to dq and dposKey. */
static void backward_queries(const attention_shape *s, const attention_plan *plan,
                             const attention_sequence *q, const workspace *w, int block,
                             int block_rows) {
  const int64_t dim = plan->padded_dim, shift = plan->high - (q->low + q->width);
  for (int first = 0; first < block_rows; first += SLICE_ROWS) {
    const int rows = (int)adl_min(block_rows - first, SLICE_ROWS);
    const column_range range = align_range(attention_query_columns(q, block + first, rows));
    multiply_floats(rows, s->head_dim, range.to - range.from,
                    w->by_query + first * q->band + range.from, q->band, 1,
                    right_at(w->pos_key, dim, shift + range.from), dim, w->dq + first * dim, dim, 1,
                    w->panel);
  }
  for (int r = 0; r < block_rows; r += STRIP) {
    w->strips[r / STRIP] =
        attention_query_columns(q, block + r, (int)adl_min(block_rows - r, STRIP));
  }
  add_slice_gradient(plan, s->head_dim, w->by_query, q->band, w->strips, block_rows, q->width,
                     right_at(w->q, dim, block), w->dpos_key + shift * dim, w->panel);
}

/* Adds all keys' position terms to dk and dposQuery. */
static void backward_keys(const attention_shape *s, const attention_plan *plan,
                          const attention_sequence *q, const workspace *w) {
  const int64_t dim = plan->padded_dim, shift = q->low - plan->low;
  for (int first = 0; first < q->n; first += SLICE_ROWS) {
    const int rows = (int)adl_min(q->n - first, SLICE_ROWS);
    const column_range range = align_range(attention_key_columns(q, first, rows));
    multiply_floats(rows, s->head_dim, range.to - range.from,
                    w->by_key + first * q->band + range.from, q->band, 1,
                    right_at(w->pos_query, dim, shift + range.from), dim, w->dk + first * dim, dim,
                    1, w->panel);
  }
  for (int r = 0; r < q->n; r += STRIP) {
    w->strips[r / STRIP] = attention_key_columns(q, r, (int)adl_min(q->n - r, STRIP));
  }
  add_slice_gradient(plan, s->head_dim, w->by_key, q->band, w->strips, q->n, q->width, w->k,
                     w->dpos_query + shift * dim, w->panel);
}

/* Content products of a block: sets dq; sets dk and dv at the first block, then adds to them. */
static void backward_content(const attention_shape *s, const attention_plan *plan,
                             const attention_sequence *q, const workspace *w, int first, int rows) {
  const int dim = s->head_dim;
  const int64_t padded_dim = plan->padded_dim;
  multiply_floats(q->n, dim, rows, w->dropped, 1, q->padded, right_at(w->dout, padded_dim, first),
                  padded_dim, w->dv, padded_dim, first > 0, w->panel);
  multiply_floats(q->n, dim, rows, w->dscores, 1, q->padded, right_at(w->q, padded_dim, first),
                  padded_dim, w->dk, padded_dim, first > 0, w->panel);
  multiply_floats(rows, dim, q->n, w->dscores, q->padded, 1, w->k, padded_dim, w->dq, padded_dim, 0,
                  w->panel);
}

/* One sequence and head; `t` points to the head's columns, probs to the pair's block. */
static void attend_backward(const attention_shape *s, const attention_plan *plan,
                            const workspace *w, tensors t, int index, int head) {
  const attention_sequence q = attention_sequence_at(s, plan, index);
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t at = (int64_t)q.start * width, padded_dim = plan->padded_dim;
  copy_both(w->dout_left, w->dout, t.dout + at, width, q.n, dim);
  copy_right(w->q, t.q + at, width, q.n, dim);
  copy_right(w->k, t.k + at, width, q.n, dim);
  copy_right_transposed(w->v_transposed, q.padded, t.v + at, width, q.n, dim);
  if (t.pos_query) clear_pairs(&q, attention_key_columns, 0, q.n, w->by_key);
  const int step = attention_block_rows(q.n);
  for (int first = 0; first < q.n; first += step) {
    const int rows = (int)adl_min(q.n - first, step);
    score_block(s, plan, &q, w, first, rows, attention_dropout_row(s, &q, head) + (uint32_t)first,
                t.probs);
    backward_content(s, plan, &q, w, first, rows);
    if (t.pos_key) clear_pairs(&q, attention_query_columns, first, rows, w->by_query);
    if (t.pos_key || t.pos_query) {
      attention_scatter_relative(&q, first, rows, w->dscores, t.pos_key ? w->by_query : NULL,
                                 t.pos_query ? w->by_key : NULL);
    }
    if (t.pos_key) backward_queries(s, plan, &q, w, first, rows);
    copy_out(t.dq + at + (int64_t)first * width, width, w->dq, padded_dim, rows, dim);
  }
  if (t.pos_query) backward_keys(s, plan, &q, w);
  copy_out(t.dk + at, width, w->dk, padded_dim, q.n, dim);
  copy_out(t.dv + at, width, w->dv, padded_dim, q.n, dim);
}

/* Sums of dposKey (which = 0) or dposQuery (1) of a head over one group: [slice, padded_dim]. */
static float *slice_sums(const attention_shape *s, const attention_plan *plan, int which, int head,
                         int group) {
  const int64_t size = plan->padded_band * plan->padded_dim;
  return plan->sums + ((which * plan->groups + group) * (int64_t)s->heads + head) * size;
}

/* The sequences of one group in order, for one head. */
static void backward_group(const attention_shape *s, const attention_plan *plan, const tensors *all,
                           int head, int group) {
  workspace w = workspace_at(plan, omp_get_thread_num());
  const int dim = s->head_dim, column = head * dim, width = s->heads * dim,
            slice = plan->high - plan->low;
  const size_t sums_bytes = sizeof(float) * (size_t)(plan->padded_band * plan->padded_dim);
  tensors t = {
      all->dout + column, all->q + column,  all->k + column, all->v + column, NULL, NULL, NULL,
      all->dq + column,   all->dk + column, all->dv + column};
  if (all->pos_key) {
    t.pos_key = all->pos_key + column;
    copy_right(w.pos_key, t.pos_key + (int64_t)(plan->high - 1) * width, -width, slice, dim);
    w.dpos_key = slice_sums(s, plan, 0, head, group);
    memset(w.dpos_key, 0, sums_bytes);
  }
  if (all->pos_query) {
    t.pos_query = all->pos_query + column;
    copy_right(w.pos_query, t.pos_query + (int64_t)plan->low * width, width, slice, dim);
    w.dpos_query = slice_sums(s, plan, 1, head, group);
    memset(w.dpos_query, 0, sums_bytes);
  }
  const int from = attention_group_start(s, plan, group),
            to = attention_group_start(s, plan, group + 1);
  int64_t pairs = 0;
  begin_products();
  for (int b = 0; b < to; b++) {
    const int64_t n = s->offsets[b + 1] - s->offsets[b];
    t.probs = all->probs + pairs * s->heads + n * n * head;
    if (b >= from) attend_backward(s, plan, &w, t, b, head);
    pairs += n * n;
  }
  end_products();
}

/* Sets row t of dposKey (which = 0) or dposQuery (1) to the sum over groups, in order; 0 if no pair
 * uses the row. */
static void set_slice_gradient(const attention_shape *s, const attention_plan *plan, int which,
                               act *gradient, int t) {
  const int dim = s->head_dim;
  const int64_t row = (which == 0 ? plan->high - 1 - t : t - plan->low) * plan->padded_dim;
  for (int head = 0; head < s->heads; head++) {
    act *to = gradient + ((int64_t)t * s->heads + head) * dim;
    if (t < plan->low || t >= plan->high) {
      memset(to, 0, sizeof(act) * (size_t)dim);
      continue;
    }
    float *sum = slice_sums(s, plan, which, head, 0) + row;
    for (int group = 1; group < plan->groups; group++) {
      const float *addend = slice_sums(s, plan, which, head, group) + row;
      for (int d = 0; d < plan->padded_dim; d += ADL_VECTOR)
        vec_store(sum + d, vec_load(sum + d) + vec_load(addend + d));
    }
    copy_out(to, 0, sum, 0, 1, dim);
  }
}

/*
 * Sets dq, dk, dv, and all rows of dposKey and dposQuery if posKey and posQuery are given. The
 * latter are summed over sequences in order within each group, then over groups; the number of
 * groups depends on the heads and the thread count.
 */
ADL_API int ADL_ACT(disentangled_attention_bwd)(const attention_args *args) {
  const attention_shape *s = &args->shape;
  const tensors all = {args->dout,      args->q,     args->k,  args->v,  args->pos_key,
                       args->pos_query, args->probs, args->dq, args->dk, args->dv};
  const attention_plan plan = attention_prepare(s, args->scratch);
#pragma omp parallel
  {
#pragma omp for schedule(dynamic, 1)
    for (int item = 0; item < s->heads * plan.groups; item++)
      backward_group(s, &plan, &all, item % s->heads, item / s->heads);
#pragma omp for schedule(static)
    for (int t = 0; t < s->relative_rows; t++) {
      if (all.pos_key) set_slice_gradient(s, &plan, 0, args->dpos_key, t);
      if (all.pos_query) set_slice_gradient(s, &plan, 1, args->dpos_query, t);
    }
  }
  return ADL_OK;
}
