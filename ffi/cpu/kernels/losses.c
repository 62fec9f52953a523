/* Losses with their gradients. */
#include "activation-type.h"
#include "vector-math.h"

/* One row: returns -log softmax(logits)[label] and sets dlogits = (softmax - onehot) / rows. */
ADL_APART float cross_entropy_row(const act *logits, int32_t label, act *dlogits, int64_t rows,
                                  int64_t classes) {
  const float labelled = act_load(logits + label);
  float top = act_load(logits), sum = 0.0f;
#pragma omp simd reduction(max : top)
  for (int64_t c = 0; c < classes; c++) {
    float logit = act_load(logits + c);
    top = logit > top ? logit : top;
  }
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < classes; c++) sum += exp_negative(act_load(logits + c) - top);
  const float factor = 1.0f / (sum * (float)rows);
#pragma omp simd
  for (int64_t c = 0; c < classes; c++)
    act_store(dlogits + c, exp_negative(act_load(logits + c) - top) * factor);
  /* softmax - 1 from the row's own numbers, so that a sure and right row keeps its small gradient.
   */
  float others = 0.0f;
  if (labelled == top) {
#pragma omp simd reduction(+ : others)
    for (int64_t c = 0; c < classes; c++) others += c == label ? 0.0f : act_load(dlogits + c);
    act_store(dlogits + label, -others);
  } else {
    act_store(dlogits + label, act_load(dlogits + label) - 1.0f / (float)rows);
  }
  return logf(sum) + (top - labelled);
}

/* Sets loss[0] to the mean of -log softmax(logits)[label] over rows, and dlogits to its gradient;
 * dlogits may be logits. */
ADL_API int ADL_ACT(cross_entropy)(const act *logits, const int32_t *labels, float *loss,
                                   act *dlogits, int64_t rows, int64_t classes) {
  for (int64_t r = 0; r < rows; r++) {
    if (labels[r] < 0 || labels[r] >= classes) return ADL_BAD_INDEX;
  }
  double sums[ADL_MAX_PARTS];
  const int parts = adl_parts(rows * classes);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    double sum = 0.0;
    for (int64_t r = range.from; r < range.to; r++) {
      sum +=
          cross_entropy_row(logits + r * classes, labels[r], dlogits + r * classes, rows, classes);
    }
    sums[part] = sum;
  }
  double total = 0.0;
  for (int part = 0; part < parts; part++) total += sums[part];
  *loss = (float)(total / (double)rows);
  return ADL_OK;
}

/* Sets loss[0] to the mean of (prediction - target)^2 over rows, and dprediction to its gradient.
 */
ADL_API int ADL_ACT(mean_squared_error)(const act *prediction, const float *target, float *loss,
                                        act *dprediction, int64_t rows) {
  double total = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    float difference = act_load(prediction + r) - target[r];
    total += (double)difference * difference;
    act_store(dprediction + r, 2.0f * difference / (float)rows);
  }
  *loss = (float)(total / (double)rows);
  return ADL_OK;
}
