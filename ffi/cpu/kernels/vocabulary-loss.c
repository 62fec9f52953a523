/* Cross entropy with label smoothing over rows of many classes, and its gradient. */
#include "activation-type.h"
#include "vector-math.h"

/* The label of an excluded row. */
#define IGNORED_LABEL -100

/* Columns summed in float; blocks are added in double. */
enum { BLOCK = 1024 };

typedef struct {
  double top, log_sum, mean; /* of logits + bias */
} row_sums;

ADL_NOINLINE row_sums sum_row(const float *logits, const float *bias, int64_t classes) {
  float top = logits[0] + bias[0];
#pragma omp simd reduction(max : top)
  for (int64_t c = 0; c < classes; c++) {
    const float logit = logits[c] + bias[c];
    top = logit > top ? logit : top;
  }
  double exponentials = 0.0, differences = 0.0;
  for (int64_t from = 0; from < classes; from += BLOCK) {
    const int64_t to = adl_min(from + BLOCK, classes);
    float block_exponentials = 0.0f, block_differences = 0.0f;
#pragma omp simd reduction(+ : block_exponentials, block_differences)
    for (int64_t c = from; c < to; c++) {
      const float difference = logits[c] + bias[c] - top;
      block_exponentials += exp_negative(difference);
      block_differences += difference;
    }
    exponentials += block_exponentials;
    differences += block_differences;
  }
  return (row_sums){top, log(exponentials), top + differences / (double)classes};
}

/* Sets dlogits = weight * (softmax - target); the target is smoothing / classes everywhere, plus 1
 * - smoothing at the label. */
ADL_NOINLINE void set_gradient(const float *logits, const float *bias, row_sums sums, int32_t label,
                               act *dlogits, int64_t classes, float smoothing, float weight) {
  const float top = (float)sums.top, factor = weight * (float)exp(-sums.log_sum),
              spread = weight * smoothing / (float)classes;
  const float labelled = logits[label] + bias[label];
  /* Sums softmax - 1 from the other classes, so that a confident correct row keeps its small
   * gradient. */
  double others = 0.0;
  for (int64_t from = 0; from < classes; from += BLOCK) {
    const int64_t to = adl_min(from + BLOCK, classes);
    float block_sum = 0.0f;
#pragma omp simd reduction(+ : block_sum)
    for (int64_t c = from; c < to; c++) {
      const float p = exp_negative(logits[c] + bias[c] - top) * factor;
      act_store(dlogits + c, p - spread);
      block_sum += c == label ? 0.0f : p;
    }
    others += block_sum;
  }
  const float missing = labelled == top ? (float)others : weight - expf(labelled - top) * factor;
  act_store(dlogits + label, weight * smoothing - spread - missing);
}

/*
 * For each row whose label is not ignored, with p = softmax(logits + bias), adds weight * ((1 -
 * smoothing) * -log p[label] + smoothing * mean of -log p) to loss[0]. Unless dlogits is NULL, sets
 * it to the gradient, 0 in excluded rows; it may be logits.
 */
ADL_API int ADL_ACT(add_vocabulary_loss)(const float *logits, const float *bias,
                                         const int32_t *labels, float *loss, act *dlogits,
                                         int64_t rows, int64_t classes, float smoothing,
                                         float weight) {
  for (int64_t r = 0; r < rows; r++) {
    if (labels[r] != IGNORED_LABEL && (labels[r] < 0 || labels[r] >= classes)) return ADL_BAD_INDEX;
  }
  double sums[ADL_MAX_PARTS];
  const int parts = adl_parts(rows * classes);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(rows, 1, part, parts);
    double sum = 0.0;
    for (int64_t r = range.from; r < range.to; r++) {
      const float *row = logits + r * classes;
      act *gradient = dlogits ? dlogits + r * classes : NULL;
      if (labels[r] == IGNORED_LABEL) {
        if (gradient) memset(gradient, 0, sizeof(act) * (size_t)classes);
        continue;
      }
      const row_sums s = sum_row(row, bias, classes);
      const double labelled = row[labels[r]] + bias[labels[r]];
      sum += s.top + s.log_sum - (1.0 - smoothing) * labelled - smoothing * s.mean;
      if (gradient) set_gradient(row, bias, s, labels[r], gradient, classes, smoothing, weight);
    }
    sums[part] = sum;
  }
  double total = 0.0;
  for (int part = 0; part < parts; part++) total += sums[part];
  *loss += (float)(total * weight);
  return ADL_OK;
}
