/* Cross entropy with label smoothing over rows of many classes, and its gradient: one block a row.
 */
#include "device.h"

/* The label of an excluded row. */
#define IGNORED_LABEL -100

/* The lowest finite float: the top of no classes, and of classes of -Infinity alone. */
#define LOWEST -3.402823466e38f

/* Sums over a row of logits + bias. */
struct RowSums {
  f32 top;          /* the largest */
  f32 exponentials; /* sum of exp(x - top) */
  f32 differences;  /* sum of x - top */
};

/* The same of a thread's classes so far, and their number. */
struct ThreadSums {
  f32 top, exponentials, differences, count;
};

/* Makes the sums relative to a larger top. */
DEVICE void raise_top(ThreadSums &sums, f32 top) {
  sums.exponentials *= expf(sums.top - top);
  sums.differences += sums.count * (sums.top - top);
  sums.top = top;
}

/* Reads the row once: a thread's sums are relative to its largest class so far, in the end to the
 * row's. */
DEVICE RowSums sum_row(const f32 *logits, const f32 *bias, i32 classes) {
  ThreadSums own = {LOWEST, 0.0f, 0.0f, 0.0f};
  for (i32 c = threadIdx.x; c < classes; c += blockDim.x) {
    const f32 x = logits[c] + bias[c];
    if (x > own.top) raise_top(own, x);
    own.exponentials += expf(x - own.top);
    own.differences += x - own.top;
    own.count += 1.0f;
  }
  const f32 top = block_max(own.top);
  raise_top(own, top);
  const f32 exponentials = block_sum(own.exponentials);
  return {top, exponentials, block_sum(own.differences)};
}

/* Sets dlogits = weight * (softmax - target), which may be logits; the target is smoothing /
 * classes everywhere, plus 1 - smoothing at the label. `labelled`: logit of the label. */
template <class T>
DEVICE void set_gradient(const f32 *logits, const f32 *bias, RowSums sums, i32 label, f32 labelled,
                         T *dlogits, i32 classes, f32 smoothing, f32 weight) {
  const f32 factor = weight / sums.exponentials, spread = weight * smoothing / (f32)classes;
  f32 others = 0.0f;
  for (i32 c = threadIdx.x; c < classes; c += blockDim.x) {
    if (c == label) continue;
    const f32 p = expf(logits[c] + bias[c] - sums.top) * factor;
    store(dlogits + c, p - spread);
    others += p;
  }
  /* Sums softmax - 1 from the other classes, so that a confident correct row keeps its small
   * gradient. */
  others = block_sum(others);
  const f32 missing = labelled == sums.top ? others : weight - expf(labelled - sums.top) * factor;
  if (threadIdx.x == 0) store(dlogits + label, weight * smoothing - spread - missing);
}

/*
 * For each row, with p = softmax(logits + bias), sets losses[row] to weight * ((1 - smoothing) *
 * -log p[label] + smoothing * mean of -log p), 0 where the label is ignored. Unless dlogits is
 * NULL, sets it to the gradient; it may be logits.
 */
template <class T>
DEVICE void vocabulary_loss(const f32 *logits, const f32 *bias, const i32 *labels, f32 *losses,
                            T *dlogits, i32 classes, f32 smoothing, f32 weight) {
  const i32 label = labels[blockIdx.x];
  const i64 first = (i64)blockIdx.x * classes;
  if (label == IGNORED_LABEL) {
    if (dlogits)
      for (i32 c = threadIdx.x; c < classes; c += blockDim.x) store(dlogits + first + c, 0.0f);
    if (threadIdx.x == 0) losses[blockIdx.x] = 0.0f;
    return;
  }
  const f32 *row = logits + first;
  const f32 labelled = row[label] + bias[label]; /* before the gradient can overwrite it */
  const RowSums sums = sum_row(row, bias, classes);
  if (threadIdx.x == 0) {
    const f32 below =
        (1.0f - smoothing) * (sums.top - labelled) - smoothing * (sums.differences / (f32)classes);
    losses[blockIdx.x] = weight * (logf(sums.exponentials) + below);
  }
  if (dlogits)
    set_gradient(row, bias, sums, label, labelled, dlogits + first, classes, smoothing, weight);
}

#define KERNELS(T)                                                                                 \
  KERNEL void vocabulary_loss_##T(const f32 *logits, const f32 *bias, const i32 *labels,           \
                                  f32 *losses, T *dlogits, i32 classes, f32 smoothing,             \
                                  f32 weight) {                                                    \
    vocabulary_loss(logits, bias, labels, losses, dlogits, classes, smoothing, weight);            \
  }

KERNELS(f32)
KERNELS(bf16)

/* Adds: loss[0] += sum of losses[rows]. One block. */
KERNEL void add_losses(const f32 *losses, f32 *loss, i32 rows) {
  double total = 0.0;
  for (i32 row = threadIdx.x; row < rows; row += blockDim.x) total += losses[row];
  total = block_sum(total);
  if (threadIdx.x == 0) *loss += (f32)total;
}
