/* Losses over few rows, and their gradients: one block, one warp a row. Sums over rows are f64. */
#include "device.h"

/*
 * Returns -log softmax(logits)[label] of a row and sets dlogits, which may be logits, to (softmax -
 * onehot) / rows. Every lane gets the loss.
 */
template <class T>
DEVICE f32 cross_entropy_row(const T *logits, i32 label, T *dlogits, i32 rows, i32 classes) {
  const f32 labelled = load(logits + label);
  f32 top = labelled, sum = 0.0f, others = 0.0f;
  for (i32 c = lane(); c < classes; c += WARP) top = fmaxf(top, load(logits + c));
  top = warp_max(top);
  for (i32 c = lane(); c < classes; c += WARP) sum += expf(load(logits + c) - top);
  sum = warp_sum(sum);
  const f32 factor = 1.0f / (sum * (f32)rows);
  for (i32 c = lane(); c < classes; c += WARP) {
    if (c == label) continue;
    const f32 share = expf(load(logits + c) - top) * factor;
    store(dlogits + c, share);
    others += share;
  }
  /* Sums softmax - 1 from the other classes, so that a confident correct row keeps its small
   * gradient. */
  others = warp_sum(others);
  const f32 missing = labelled == top ? others : 1.0f / (f32)rows - expf(labelled - top) * factor;
  if (lane() == 0) store(dlogits + label, -missing);
  return logf(sum) + (top - labelled);
}

/* Sets loss[0] to the mean of -log softmax(logits)[label] over rows, and dlogits, which may be
 * logits, to its gradient. */
template <class T>
DEVICE void cross_entropy(const T *logits, const i32 *labels, f32 *loss, T *dlogits, i32 rows,
                          i32 classes) {
  double total = 0.0;
  for (i32 row = warp(); row < rows; row += warps()) {
    const i64 first = (i64)row * classes;
    total += cross_entropy_row(logits + first, labels[row], dlogits + first, rows, classes);
  }
  total = block_sum(lane() == 0 ? total : 0.0);
  if (threadIdx.x == 0) *loss = (f32)(total / rows);
}

/* Sets loss[0] to the mean of (prediction - target)^2 over rows, and dprediction to its gradient.
 */
template <class T>
DEVICE void mean_squared_error(const T *prediction, const f32 *target, f32 *loss, T *dprediction,
                               i32 rows) {
  double total = 0.0;
  for (i32 row = threadIdx.x; row < rows; row += blockDim.x) {
    const f32 difference = load(prediction + row) - target[row];
    total += (double)difference * difference;
    store(dprediction + row, 2.0f * difference / (f32)rows);
  }
  total = block_sum(total);
  if (threadIdx.x == 0) *loss = (f32)(total / rows);
}

/* One column of a sequence's rows, and its padding row, which counts `weight` times. */
struct SpanRows {
  i32 from, to, pad; /* pad: -1 for none */
  f32 weight;
};

/* Returns logsumexp - logits[target] of one column of a sequence to every lane, and sets dlogits =
 * (softmax - onehot) * factor. Elements of a column are two apart. */
template <class T>
DEVICE f32 span_column(const T *logits, T *dlogits, SpanRows rows, i32 target, f32 factor) {
  const f32 pad = rows.pad >= 0 ? load(logits + 2 * rows.pad) : load(logits + 2 * rows.from);
  f32 top = pad, sum = 0.0f;
  for (i32 r = rows.from + lane(); r < rows.to; r += WARP) top = fmaxf(top, load(logits + 2 * r));
  top = warp_max(top);
  for (i32 r = rows.from + lane(); r < rows.to; r += WARP) sum += expf(load(logits + 2 * r) - top);
  sum = warp_sum(sum);
  const f32 padding = rows.pad >= 0 ? rows.weight * expf(pad - top) : 0.0f;
  const f32 scale = factor / (sum + padding);
  for (i32 r = rows.from + lane(); r < rows.to; r += WARP) {
    const f32 own = r == target ? factor : 0.0f;
    store(dlogits + 2 * r, expf(load(logits + 2 * r) - top) * scale - own);
  }
  if (rows.pad >= 0 && lane() == 0) {
    const f32 own = rows.pad == target ? factor : 0.0f;
    store(dlogits + 2 * rows.pad, padding * scale - own);
  }
  return logf(sum + padding) + (top - load(logits + 2 * target));
}

/*
 * Sets loss[0] to the mean over both columns of the mean over counted sequences of -log
 * softmax(logits of the sequence)[target], and dlogits [rows, 2] to its gradient. targets [2,
 * sequences] are rows; -1 excludes a sequence. The loss is NaN if all are excluded. padding [2,
 * sequences]: the padding row of each sequence (-1 for none), then the number of padded positions
 * it stands for.
 */
template <class T>
DEVICE void span_loss(const T *logits, const i32 *targets, f32 *loss, T *dlogits, i32 sequences,
                      i32 rows, const i32 *offsets, const i32 *padding) {
  for (i32 i = threadIdx.x; i < 2 * rows; i += blockDim.x) store(dlogits + i, 0.0f);
  __syncthreads(); /* below, other threads set the gradients of counted sequences */
  double total = 0.0;
  for (i32 column = 0; column < 2; column++) {
    const i32 *target = targets + column * sequences;
    i32 counted = 0;
    for (i32 b = lane(); b < sequences; b += WARP) counted += target[b] >= 0;
    counted = warp_sum(counted);
    if (counted == 0) total = not_a_number();
    for (i32 b = warp(); b < sequences; b += warps()) {
      if (target[b] < 0) continue;
      const SpanRows own = {offsets[b], offsets[b + 1], padding[b], (f32)padding[sequences + b]};
      const f32 share = 0.5f / (f32)counted;
      total += share * span_column(logits + column, dlogits + column, own, target[b], share);
    }
  }
  total = block_sum(lane() == 0 ? total : 0.0);
  if (threadIdx.x == 0) *loss = (f32)total;
}

#define KERNELS(T)                                                                                 \
  KERNEL void cross_entropy_##T(const T *logits, const i32 *labels, f32 *loss, T *dlogits,         \
                                i32 rows, i32 classes) {                                           \
    cross_entropy(logits, labels, loss, dlogits, rows, classes);                                   \
  }                                                                                                \
  KERNEL void mean_squared_error_##T(const T *prediction, const f32 *target, f32 *loss,            \
                                     T *dprediction, i32 rows) {                                   \
    mean_squared_error(prediction, target, loss, dprediction, rows);                               \
  }                                                                                                \
  KERNEL void span_loss_##T(const T *logits, const i32 *targets, f32 *loss, T *dlogits,            \
                            i32 sequences, i32 rows, const i32 *offsets, const i32 *padding) {     \
    span_loss(logits, targets, loss, dlogits, sequences, rows, offsets, padding);                  \
  }

KERNELS(f32)
KERNELS(bf16)
