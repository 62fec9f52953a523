/* Losses and their gradients. */
#include "activation-type.h"
#include "vector-math.h"

/* One row: returns -log softmax(logits)[label] and sets dlogits = (softmax - onehot) / rows. */
ADL_NOINLINE float cross_entropy_row(const act *logits, int32_t label, act *dlogits, int64_t rows,
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
  ACT_SET(dlogits, c, 0, classes, exp_negative(act_load(logits + c) - top) * factor)
  /* Sums softmax - 1 from the other classes, so that a confident correct row keeps its small
   * gradient. */
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

/* Sets loss[0] to the mean of -log softmax(logits)[label] over rows, and dlogits to its gradient.
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

/* The rows of a sequence: its own, and one that stands for all of its padding. */
typedef struct {
  int64_t from, to, pad; /* pad: -1 for none; weight: padded positions */
  float weight;
} span_rows;

/* One column of one sequence: returns logsumexp - logits[target], and sets dlogits = (softmax -
 * onehot) * factor. */
static float span_column(const act *logits, act *dlogits, span_rows rows, int64_t target,
                         float factor) {
  float top = rows.pad >= 0 ? act_load(logits + 2 * rows.pad) : act_load(logits + 2 * rows.from);
  for (int64_t r = rows.from; r < rows.to; r++) {
    const float logit = act_load(logits + 2 * r);
    top = logit > top ? logit : top;
  }
  double sum =
      rows.pad >= 0 ? (double)rows.weight * expf(act_load(logits + 2 * rows.pad) - top) : 0.0;
  for (int64_t r = rows.from; r < rows.to; r++) sum += expf(act_load(logits + 2 * r) - top);
  const float scale = factor / (float)sum;
  for (int64_t r = rows.from; r < rows.to; r++) {
    const float own = r == target ? factor : 0.0f;
    act_store(dlogits + 2 * r, expf(act_load(logits + 2 * r) - top) * scale - own);
  }
  if (rows.pad >= 0) {
    const float own = rows.pad == target ? factor : 0.0f;
    act_store(dlogits + 2 * rows.pad,
              rows.weight * expf(act_load(logits + 2 * rows.pad) - top) * scale - own);
  }
  return logf((float)sum) + top - act_load(logits + 2 * target);
}

/*
 * Sets loss[0] to the mean over both columns of the mean over counted sequences of -log
 * softmax(logits of the sequence)[target], and dlogits [rows, 2] to its gradient. targets [2,
 * sequences] are rows; -1 excludes a sequence. The loss is NaN if all are excluded. padding [2,
 * sequences]: the padding row of each sequence (-1 for none), then the number of padded positions
 * it stands for.
 */
ADL_API int ADL_ACT(span_loss)(const act *logits, const int32_t *targets, float *loss, act *dlogits,
                               int64_t sequences, int64_t rows, const int32_t *offsets,
                               const int32_t *padding) {
  for (int64_t i = 0; i < 2 * sequences; i++) {
    if (targets[i] >= rows || (i < sequences && padding[i] >= rows)) return ADL_BAD_INDEX;
  }
  for (int64_t i = 0; i < 2 * rows; i++) act_store(dlogits + i, 0.0f);
  double total = 0.0;
  for (int column = 0; column < 2; column++) {
    const int32_t *target = targets + column * sequences;
    int64_t counted = 0;
    for (int64_t b = 0; b < sequences; b++) counted += target[b] >= 0;
    if (counted == 0) total = NAN;
    for (int64_t b = 0; b < sequences; b++) {
      if (target[b] < 0) continue;
      const span_rows part = {offsets[b], offsets[b + 1], padding[b],
                              (float)padding[sequences + b]};
      const float share = 0.5f / (float)counted;
      total += share * span_column(logits + column, dlogits + column, part, target[b], share);
    }
  }
  *loss = (float)total;
  return ADL_OK;
}
