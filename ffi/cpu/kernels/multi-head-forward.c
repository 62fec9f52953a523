#include "dot-tile.h"
#include "multi-head.h"
#include "vector-math.h"

/* Up to this many queries per sequence, as in decoding, transposing the keys would cost more than
 * the products. */
enum { FEW_QUERIES = 16 };

typedef struct {
  const act *q, *k, *v; /* offset to one head and sequence */
  act *out;
  float *log_sum_exp; /* may be NULL */
} tensors;

/* A thread's workspace. */
typedef struct {
  right *k_transposed, *v;
  left *q, *panel;
  float *out, *scores, *factors;
} workspace;

static workspace workspace_at(const multi_head_shape *s, float *scratch) {
  float *memory = scratch + omp_get_thread_num() * multi_head_thread_floats(s);
  const int64_t dim = padded_depth(s->head_dim),
                keys = adl_round_up(multi_head_held(s, s->longest_keys), OPERAND_ROWS);
  return (workspace){
      .k_transposed = attention_alloc_right(&memory, dim, keys),
      .v = attention_alloc_right(&memory, keys, dim),
      .q = attention_alloc_left(&memory, BLOCK_ROWS, dim),
      .panel = attention_alloc_panel(&memory, keys),
      .out = attention_alloc(&memory, BLOCK_ROWS * dim),
      .scores = attention_alloc(&memory, BLOCK_ROWS * keys),
      .factors = attention_alloc(&memory, BLOCK_ROWS * (keys + 4) + ADL_FACTORS_SLACK),
  };
}

/* Sets row = softmax(row * factor) over its elements [from, to), and the others up to `padded` to
 * 0. Returns the log of the sum. */
ADL_NOINLINE float softmax(float *row, int from, int to, int padded, float factor) {
  for (int j = 0; j < from; j++) row[j] = -INFINITY;
  for (int j = to; j < padded; j++) row[j] = -INFINITY;
  if (from >= to) {
    for (int j = 0; j < padded; j++) row[j] = 0.0f;
    return -INFINITY;
  }
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
  return top * factor + logf(sum);
}

/* Converts a block's scores of `keys` into probabilities with dropout; sets log_sum_exp. */
static void normalise(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                      int first, int rows, key_range keys, uint32_t dropout_row,
                      float *log_sum_exp) {
  const int count = keys.to - keys.from, groups = (count + 3) / 4;
  const int padded = (int)adl_round_up(count, ADL_VECTOR);
  const int64_t stride = multi_head_stride(s, pair);
  if (s->dropout && groups > 0)
    adl_dropout_block(s->dropout, dropout_row, rows, keys.from / 4, groups, w->factors);
  for (int r = 0; r < rows; r++) {
    float *row = w->scores + r * stride;
    const key_range visible = multi_head_visible(s, pair, first + r);
    const int from = visible.from - keys.from, to = visible.to - keys.from;
    const float log_sum = softmax(row, from, to, padded, 1.0f / s->scale);
    if (log_sum_exp) log_sum_exp[first + r] = log_sum;
    if (s->dropout) {
      const float *factors = w->factors + 4 * groups * (int64_t)r;
#pragma omp simd
      for (int j = from; j < to; j++) row[j] *= factors[j];
    }
  }
}

/*
 * Rows and vectors of a tile of sums, and the prefetch distance in keys, whose rows are far apart.
 */
enum { SUM_ROWS = 4, AHEAD = 12, SUM_VECTORS = ADL_VECTOR == 16 ? 4 : 2 };

/* Sets `vectors` vectors of `rows` rows of out to the sum over j of probs[r, j] v_j, read from the
 * tensor in place. `rows` and `vectors` are constants at every call. */
ADL_INLINE void sum_tile(const int rows, const int vectors, const float *probs, int64_t stride,
                         const act *v, int keys, ptrdiff_t width, float *out, int64_t padded_dim) {
  vec sum[SUM_ROWS][SUM_VECTORS] = {{{0}}};
  for (int j = 0; j < keys; j++, v += width) {
    vec value[SUM_VECTORS];
#pragma GCC unroll 4
    for (int d = 0; d < vectors; d++) {
      value[d] = vec_load_act(v + d * ADL_VECTOR);
      __builtin_prefetch(v + AHEAD * width + d * ADL_VECTOR);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int d = 0; d < vectors; d++) sum[r][d] += probs[r * stride + j] * value[d];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int d = 0; d < vectors; d++) vec_store(out + r * padded_dim + d * ADL_VECTOR, sum[r][d]);
  }
}

/* Sums the columns after the last whole vector. */
ADL_NOINLINE void sum_columns(const float *probs, const act *v, int keys, ptrdiff_t width,
                              int columns, float *sum) {
  for (int d = 0; d < columns; d++) sum[d] = 0.0f;
  for (int j = 0; j < keys; j++, v += width) {
    for (int d = 0; d < columns; d++) sum[d] += probs[j] * act_load(v + d);
  }
}

/* Sets out[r] to the sum over j of probs[r, j] v_j, for rows with equally many visible keys. */
static void sum_values(int rows, const float *probs, int64_t stride, const act *v, int keys,
                       ptrdiff_t width, int dim, float *out, int64_t padded_dim) {
  const int vectors = dim / ADL_VECTOR;
  for (int r = 0; r < rows;) {
    const int block = rows - r >= SUM_ROWS ? SUM_ROWS : 1;
    const float *p = probs + r * stride;
    float *to = out + r * padded_dim;
    for (int d = 0; d < vectors;) {
      const int wide = vectors - d >= SUM_VECTORS, at = d * ADL_VECTOR;
      if (wide && block == SUM_ROWS)
        sum_tile(SUM_ROWS, SUM_VECTORS, p, stride, v + at, keys, width, to + at, padded_dim);
      else if (wide)
        sum_tile(1, SUM_VECTORS, p, stride, v + at, keys, width, to + at, padded_dim);
      else if (block == SUM_ROWS)
        sum_tile(SUM_ROWS, 1, p, stride, v + at, keys, width, to + at, padded_dim);
      else
        sum_tile(1, 1, p, stride, v + at, keys, width, to + at, padded_dim);
      d += wide ? SUM_VECTORS : 1;
    }
    for (int i = 0; i < block && vectors * ADL_VECTOR < dim; i++) {
      const int at = vectors * ADL_VECTOR;
      sum_columns(p + i * stride, v + at, keys, width, dim - at, to + i * padded_dim + at);
    }
    r += block;
  }
}

/* Scores and sums from the tensors in place. Scores of invisible keys are computed but not used. */
static void attend_few(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                       tensors t, uint32_t dropout_row) {
  const int dim = s->head_dim, n = pair->n;
  const int64_t stride = multi_head_stride(s, pair), padded_dim = padded_depth(dim);
  dot_products(n, 0, pair->m, dim, t.q, s->query_stride, t.k, s->key_stride, w->scores, stride, 1);
  /* Invisible keys have probability 0, up to those visible to the last query. */
  const key_range keys = multi_head_block_keys(s, pair, 0, n);
  normalise(s, pair, w, 0, n, keys, dropout_row, t.log_sum_exp);
  sum_values(n, w->scores, stride, t.v, keys.to, s->key_stride, dim, w->out, padded_dim);
  copy_out(t.out, s->heads * dim, w->out, padded_dim, n, dim);
}

/* Copies keys and their values to operands, whose first row is that of key `keys.from`. */
static void load_keys(const multi_head_shape *s, const multi_head_pair *pair, const workspace *w,
                      const tensors *t, key_range keys) {
  const int dim = s->head_dim, count = keys.to - keys.from;
  const int64_t at = keys.from * s->key_stride;
  copy_right_transposed(w->k_transposed, multi_head_stride(s, pair), t->k + at, s->key_stride,
                        count, dim);
  copy_right(w->v, t->v + at, s->key_stride, count, dim);
}

static void attend_blocks(const multi_head_shape *s, const multi_head_pair *pair,
                          const workspace *w, tensors t, uint32_t dropout_row) {
  const int dim = s->head_dim, width = s->heads * dim;
  const int64_t padded_dim = padded_depth(dim), stride = multi_head_stride(s, pair);
  if (s->window < 0) load_keys(s, pair, w, &t, (key_range){0, pair->m});
  const int step = attention_block_rows(pair->n);
  begin_products();
  for (int first = 0; first < pair->n; first += step) {
    const int rows = (int)adl_min(pair->n - first, step);
    const key_range keys = multi_head_block_keys(s, pair, first, rows);
    const int count = keys.to - keys.from;
    if (s->window >= 0) load_keys(s, pair, w, &t, keys);
    copy_left(w->q, t.q + first * s->query_stride, s->query_stride, rows, dim);
    multiply(rows, count, dim, w->q, padded_dim, w->k_transposed, stride, w->scores, stride, 0);
    normalise(s, pair, w, first, rows, keys, dropout_row + (uint32_t)first, t.log_sum_exp);
    multiply_floats(rows, dim, count, w->scores, stride, 1, w->v, padded_dim, w->out, padded_dim, 0,
                    w->panel);
    copy_out(t.out + (int64_t)first * width, width, w->out, padded_dim, rows, dim);
  }
  end_products();
}

/* Sets out [queries, heads * head_dim], and log_sum_exp [heads, queries] unless NULL. One thread
 * computes a sequence and head, so that results do not depend on the thread count. */
ADL_API int ADL_ACT(attention)(const multi_head_args *args) {
  const multi_head_shape *s = &args->shape;
  const int64_t width = s->heads * s->head_dim;
  const int group = s->heads / s->key_heads;
#pragma omp parallel for schedule(dynamic, 1) if (multi_head_is_large(s))
  for (int item = 0; item < s->heads * s->sequences; item++) {
    const int head = item % s->heads;
    const multi_head_pair pair = multi_head_pair_at(s, item / s->heads);
    const int64_t q_at = pair.start * s->query_stride + head * s->head_dim,
                  key_at = pair.key_start * s->key_stride + head / group * s->head_dim,
                  out_at = pair.start * width + head * s->head_dim,
                  row = (int64_t)head * s->queries + pair.start;
    const workspace w = workspace_at(s, args->scratch);
    const tensors t = {args->q + q_at, args->k + key_at, args->v + key_at, args->out + out_at,
                       args->log_sum_exp ? args->log_sum_exp + row : NULL};
    if (pair.n == 0) continue;
    if (pair.n <= FEW_QUERIES)
      attend_few(s, &pair, &w, t, (uint32_t)row);
    else
      attend_blocks(s, &pair, &w, t, (uint32_t)row);
  }
  return ADL_OK;
}
