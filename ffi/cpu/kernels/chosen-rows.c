/*
 * Attention of each query to a list of key rows: in beam search, the cached rows of its hypothesis.
 */
#include "activation-type.h"
#include "vector-math.h"

#ifndef ADL_BF16
/* Floats of scratch for attend_chosen_rows. */
ADL_API int64_t adl_chosen_rows_scratch(int count) {
  return omp_get_max_threads() * adl_round_up(count, ADL_LINE);
}
#endif

ADL_NOINLINE void score(const act *q, const act *k, const int32_t *index, int count, int64_t width,
                        int dim, float factor, float *scores) {
  for (int j = 0; j < count; j++) {
    const act *key = k + index[j] * width;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int d = 0; d < dim; d++) sum += act_load(q + d) * act_load(key + d);
    scores[j] = sum * factor;
  }
}

ADL_NOINLINE void softmax(float *row, int n) {
  float top = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : top)
  for (int j = 0; j < n; j++) top = row[j] > top ? row[j] : top;
#pragma omp simd reduction(+ : sum)
  for (int j = 0; j < n; j++) {
    const float e = exp_negative(row[j] - top);
    row[j] = e;
    sum += e;
  }
  const float inverse = 1.0f / sum;
#pragma omp simd
  for (int j = 0; j < n; j++) row[j] *= inverse;
}

/* Columns of a head summed at a time, in registers. */
enum { STRIP = 64 };

ADL_NOINLINE void sum_values(const float *probs, const act *v, const int32_t *index, int count,
                             int64_t width, int dim, act *out) {
  for (int first = 0; first < dim; first += STRIP) {
    const int columns = (int)adl_min(dim - first, STRIP);
    float sum[STRIP] = {0};
    for (int j = 0; j < count; j++) {
      const act *value = v + index[j] * width + first;
      const float p = probs[j];
#pragma omp simd
      for (int d = 0; d < columns; d++) sum[d] += p * act_load(value + d);
    }
    ACT_SET(out + first, d, 0, columns, sum[d])
  }
}

/*
 * Sets out [rows, heads * head_dim]: query r attends to the rows index[r * count ..] of k and v,
 * which have `key_rows` rows. One thread computes a query and head, so that results do not depend
 * on the thread count.
 */
ADL_API int ADL_ACT(attend_chosen_rows)(const act *q, const act *k, const act *v, int64_t key_rows,
                                        const int32_t *index, act *out, int rows, int count,
                                        int heads, int head_dim, float scale, float *scratch) {
  for (int64_t i = 0; i < (int64_t)rows * count; i++) {
    if (index[i] < 0 || index[i] >= key_rows) return ADL_BAD_INDEX;
  }
  const int64_t width = (int64_t)heads * head_dim;
  const int parts = adl_parts(rows * count * width);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part((int64_t)rows * heads, 1, part, parts);
    float *scores = scratch + omp_get_thread_num() * adl_round_up(count, ADL_LINE);
    for (int64_t item = range.from; item < range.to; item++) {
      const int64_t r = item / heads, column = item % heads * head_dim, at = r * width + column;
      const int32_t *chosen = index + r * count;
      score(q + at, k + column, chosen, count, width, head_dim, 1.0f / scale, scores);
      softmax(scores, count);
      sum_values(scores, v + column, chosen, count, width, head_dim, out + at);
    }
  }
  return ADL_OK;
}
