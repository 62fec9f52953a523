/*
 * AdaLoRA's rank allocator (Zhang et al., 2023): scores, threshold and mask. Tables hold addresses
 * and sizes in 8 bytes each, as backend/allocator.ts packs them.
 */
#include "device.h"

/* One adapter. Uncertainties are NULL where they do not count, E's averages where there is no E. */
struct TripletTable {
  const f32 *a_sensitivity, *a_uncertainty, *e_sensitivity, *e_uncertainty, *b_sensitivity,
      *b_uncertainty;
  f32 *scores;
  i64 rank, in_features, out_features;
};

/* Score of one element: sensitivity times uncertainty (eq. 11), or sensitivity alone. */
DEVICE double score_of(const f32 *sensitivity, const f32 *uncertainty, i64 i) {
  return uncertainty ? (double)sensitivity[i] * uncertainty[i] : (double)sensitivity[i];
}

/* Sets scores[i] = s(E_i) + mean over columns of s(A_i) + mean over rows of s(B_i): a block an
 * adapter (x) and triplet (y). */
KERNEL void triplet_scores_f32(const TripletTable *adapters) {
  const TripletTable t = adapters[blockIdx.x];
  const i64 r = blockIdx.y;
  if (r >= t.rank) return;
  double a_sum = 0.0, b_sum = 0.0;
  for (i64 c = threadIdx.x; c < t.in_features; c += blockDim.x)
    a_sum += score_of(t.a_sensitivity, t.a_uncertainty, r * t.in_features + c);
  for (i64 o = threadIdx.x; o < t.out_features; o += blockDim.x)
    b_sum += score_of(t.b_sensitivity, t.b_uncertainty, o * t.rank + r);
  a_sum = block_sum(a_sum);
  b_sum = block_sum(b_sum);
  if (threadIdx.x != 0) return;
  const double e_score = t.e_sensitivity ? score_of(t.e_sensitivity, t.e_uncertainty, r) : 0.0;
  t.scores[r] = (f32)(e_score + (a_sum / (double)t.in_features + b_sum / (double)t.out_features));
}

/* Maps floats to unsigned integers in the same order, NaN last. */
DEVICE u32 order_of(f32 x) {
  const u32 bits = __float_as_uint(x);
  const u32 key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return x == x ? key : 0xffffffffu;
}

DEVICE f32 float_at(u32 key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/* Cost of one score: a whole number, or 1 without costs. */
DEVICE i64 cost_of(const f32 *costs, i32 i) { return costs ? (i64)costs[i] : 1; }

/*
 * Sets threshold[0] to the (n - budget)-th smallest score and kept[i] to 1 if score > threshold,
 * else 0, by one block. If budget >= n, keeps all and sets the threshold to NaN. With `costs`, else
 * NULL, score i counts costs[i] times, in n too. A binary search over the bits of the threshold
 * needs no scratch and does not depend on the order of the scores.
 */
KERNEL void keep_top_f32(const f32 *scores, const f32 *costs, i32 n, i64 budget, f32 *kept,
                         f32 *threshold) {
  const i32 first = (i32)threadIdx.x, step = (i32)blockDim.x;
  i64 cost = 0;
  for (i32 i = first; i < n; i += step) cost += cost_of(costs, i);
  const i64 pruned = block_sum(cost) - budget;
  f32 limit = not_a_number();
  if (pruned > 0) {
    u32 key = 0; /* the largest key with scores below it of a cost under `pruned` */
    for (u32 bit = 0x80000000u; bit != 0; bit >>= 1) {
      const u32 candidate = key | bit;
      i64 below = 0;
      for (i32 i = first; i < n; i += step)
        below += order_of(scores[i]) < candidate ? cost_of(costs, i) : 0;
      if (block_sum(below) < pruned) key = candidate;
    }
    limit = float_at(key);
  }
  if (first == 0) *threshold = limit;
  for (i32 i = first; i < n; i += step) kept[i] = pruned <= 0 || scores[i] > limit ? 1.0f : 0.0f;
}

/* A matrix whose rows, or columns, are kept (1) or zeroed (0). */
struct MaskTable {
  f32 *param;
  const f32 *kept;
  i64 rows, cols, columns;
};

/* param[r, c] *= kept[r], or *= kept[c] if `columns`: matrices in y. */
KERNEL void apply_mask_f32(const MaskTable *matrices) {
  const MaskTable m = matrices[blockIdx.y];
  for (i64 i = own_element(); i < m.rows * m.cols; i += (i64)gridDim.x * blockDim.x)
    m.param[i] *= m.kept[m.columns ? i % m.cols : i / m.cols];
}
