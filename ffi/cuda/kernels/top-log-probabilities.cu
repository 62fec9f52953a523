/* The most probable classes of each row, candidates of a decode step: one block a row. */
#include "device.h"

/* A class and its score; id is -1 for none. */
struct Candidate {
  f32 score;
  i32 id;
};

/* Whether `a` comes before `b`: the higher score first, of equal ones the lower class. */
DEVICE bool beats(Candidate a, Candidate b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/* The best of a block's candidates, for every thread. */
DEVICE Candidate best_of(Candidate own) {
  __shared__ Candidate partials[WARP];
  for (i32 distance = WARP / 2; distance > 0; distance /= 2) {
    const Candidate other = {__shfl_xor_sync(ALL_LANES, own.score, distance),
                             __shfl_xor_sync(ALL_LANES, own.id, distance)};
    if (beats(other, own)) own = other;
  }
  __syncthreads(); /* the previous partials have been read */
  if (lane() == 0) partials[warp()] = own;
  __syncthreads();
  Candidate best = partials[0];
  for (i32 w = 1; w < warps(); w++)
    if (beats(partials[w], best)) best = partials[w];
  return best;
}

/* log of the sum of exp(row): -Infinity if all are, NaN if one is NaN or Infinity. */
DEVICE double log_sum_exp(const f32 *row, i32 classes) {
  f32 top = -infinity(), sum = 0.0f;
  for (i32 c = threadIdx.x; c < classes; c += blockDim.x) top = fmaxf(top, row[c]);
  top = block_max(top);
  if (top == -infinity()) top = 0.0f;
  for (i32 c = threadIdx.x; c < classes; c += blockDim.x) sum += expf(row[c] - top);
  return (double)top + log((double)block_sum(sum));
}

/* Pairs of (row, class). */
struct Pairs {
  const i32 *pairs;
  i32 count;
};

/* Calls set(class) for each pair of the row, on one thread each. */
template <class Set> DEVICE void each_of_row(Pairs pairs, i32 row, Set set) {
  for (i32 i = threadIdx.x; i < pairs.count; i += blockDim.x)
    if (pairs.pairs[2 * i] == row) set(pairs.pairs[2 * i + 1]);
}

/* Sets the `count` best scores and ids of a row, whose scores are shifted by `shift`. Overwrites
 * the row. A NaN for `shift` makes all scores NaN. */
DEVICE void select_best(f32 *row, i32 classes, double shift, i32 count, f32 *scores, i32 *ids) {
  for (i32 i = 0; i < count; i++) {
    Candidate own = {-infinity(), classes};
    for (i32 c = threadIdx.x; c < classes; c += blockDim.x) {
      const Candidate next = {row[c], c};
      if (beats(next, own)) own = next;
    }
    const Candidate best = best_of(own);
    const bool none = best.score == -infinity() || shift != shift;
    /* The thread that reads this element next is the one that it belongs to. */
    if (!none && best.id % (i32)blockDim.x == (i32)threadIdx.x) row[best.id] = -infinity();
    if (threadIdx.x != 0) continue;
    ids[i] = none ? -1 : best.id;
    scores[i] = none && shift == shift ? -infinity() : (f32)(best.score - shift);
  }
}

/*
 * Sets scores and ids [rows, count] to the classes with the highest log softmax(logits + bias) of
 * each row, best first. `banned` classes are never chosen; the score s of a `repeated` class
 * becomes s * penalty if negative, else s / penalty. Softmax normalises after penalties and bans if
 * `after`, else before. Overwrites logits [rows, classes].
 */
KERNEL void top_log_probabilities(f32 *logits, const f32 *bias, f32 *scores, i32 *ids, i32 classes,
                                  i32 count, const i32 *banned, i32 bans, const i32 *repeated,
                                  i32 repeats, f32 penalty, i32 after) {
  const i32 r = (i32)blockIdx.x;
  f32 *row = logits + (i64)r * classes;
  for (i32 c = threadIdx.x; c < classes; c += blockDim.x) row[c] += bias[c];
  double shift = after ? 0.0 : log_sum_exp(row, classes);
  __syncthreads(); /* every thread has added its part of the bias, and read it */
  each_of_row({repeated, repeats}, r, [&](i32 id) {
    const double score = row[id] - shift;
    row[id] = (f32)((score < 0.0 ? score * penalty : score / penalty) + shift);
  });
  __syncthreads(); /* a class may be both repeated and banned */
  each_of_row({banned, bans}, r, [&](i32 id) { row[id] = -infinity(); });
  __syncthreads();
  if (after) shift = log_sum_exp(row, classes);
  select_best(row, classes, shift, count, scores + (i64)r * count, ids + (i64)r * count);
}
