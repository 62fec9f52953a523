/* The most probable classes of each row: candidates of a decode step. */
#include "arguments.h"
#include "vector-math.h"

/* BLOCK: columns summed in float; blocks are added in double. STRIP: columns skipped at once if
 * their maximum is not among the best. */
enum { BLOCK = 1024, STRIP = 64 };

typedef struct {
  float *scores;
  int32_t *ids;
  int count;
} best_classes;

/* Sets row = logits + bias; returns its maximum. */
ADL_NOINLINE float add_bias(float *row, const float *bias, int64_t classes) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t c = 0; c < classes; c++) {
    const float x = row[c] + bias[c];
    row[c] = x;
    top = x > top ? x : top;
  }
  return top;
}

ADL_NOINLINE float top_of(const float *row, int64_t n) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t c = 0; c < n; c++) top = row[c] > top ? row[c] : top;
  return top;
}

/* Returns -INFINITY if all elements are -INFINITY, and NaN if one is NaN (exp_negative keeps it) or
 * INFINITY. */
ADL_NOINLINE double log_sum_exp(const float *row, int64_t classes, float largest) {
  const float top = largest == -INFINITY ? 0.0f : largest;
  double sum = 0.0;
  for (int64_t from = 0; from < classes; from += BLOCK) {
    const int64_t to = adl_min(from + BLOCK, classes);
    float block_sum = 0.0f;
#pragma omp simd reduction(+ : block_sum)
    for (int64_t c = from; c < to; c++) block_sum += exp_negative(row[c] - top);
    sum += block_sum;
  }
  return top + log(sum);
}

/* Inserts a class that beats the last one, after those with an equal score. */
static void insert(best_classes best, float score, int32_t id) {
  int at = best.count - 1;
  for (; at > 0 && score > best.scores[at - 1]; at--) {
    best.scores[at] = best.scores[at - 1];
    best.ids[at] = best.ids[at - 1];
  }
  best.scores[at] = score;
  best.ids[at] = id;
}

static void select_best(const float *row, int64_t classes, best_classes best) {
  for (int i = 0; i < best.count; i++) {
    best.scores[i] = -INFINITY;
    best.ids[i] = -1;
  }
  const float *last = best.scores + best.count - 1;
  for (int64_t from = 0; from < classes; from += STRIP) {
    const int64_t n = adl_min(classes - from, STRIP);
    if (!(top_of(row + from, n) > *last)) continue;
    for (int64_t c = from; c < from + n; c++) {
      if (row[c] > *last) insert(best, row[c], (int32_t)c);
    }
  }
}

static int pairs_fit(const int32_t *pairs, int64_t n, int64_t rows, int64_t classes) {
  for (int64_t i = 0; i < n; i++) {
    const int32_t row = pairs[2 * i], id = pairs[2 * i + 1];
    if (row < 0 || row >= rows || id < 0 || id >= classes) return 0;
  }
  return 1;
}

/* Computes one row of the kernel below. */
static void select_row(const top_log_probabilities_args *args, int64_t r) {
  const int64_t classes = args->classes, count = args->count;
  const int32_t *repeated = args->repeated, *banned = args->banned;
  float *row = args->logits + r * classes;
  const float top = add_bias(row, args->bias, classes);
  double shift = args->after ? 0.0 : log_sum_exp(row, classes, top);
  for (int64_t i = 0; i < args->repeats; i++) {
    if (repeated[2 * i] != r) continue;
    float *x = row + repeated[2 * i + 1];
    const double score = *x - shift;
    *x = (float)((score < 0.0 ? score * args->penalty : score / args->penalty) + shift);
  }
  for (int64_t i = 0; i < args->bans; i++) {
    if (banned[2 * i] == r) row[banned[2 * i + 1]] = -INFINITY;
  }
  if (args->after) shift = log_sum_exp(row, classes, top_of(row, classes));
  const best_classes best = {args->scores + r * count, args->ids + r * count, (int)count};
  select_best(row, classes, best);
  for (int i = 0; i < count; i++) {
    if (shift != shift) best.ids[i] = -1;
    if (best.ids[i] >= 0 || shift != shift) best.scores[i] = (float)(best.scores[i] - shift);
  }
}

/*
 * Sets scores and ids [rows, count] to the classes with the highest log softmax(logits + bias) of
 * each row, best first. Pairs are (row, class): `banned` classes are never chosen; the score s of a
 * `repeated` class becomes s * penalty if negative, else s / penalty. Softmax normalises after
 * penalties and bans if `after`, else before. Overwrites logits [rows, classes].
 */
ADL_API int adl_top_log_probabilities_f32(const top_log_probabilities_args *args) {
  const int64_t rows = args->rows, classes = args->classes;
  if (!pairs_fit(args->banned, args->bans, rows, classes) ||
      !pairs_fit(args->repeated, args->repeats, rows, classes))
    return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * classes);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) select_row(args, r);
  }
  return ADL_OK;
}
