/* The sums that AdaLoRA's rank allocator (Zhang et al., 2023) needs. */
#include "adl.h"

/*
 * I = |param * grad|; sensitivity = beta1 * sensitivity + (1 - beta1) * I (eq. 9);
 * uncertainty = beta2 * uncertainty + (1 - beta2) * |I - sensitivity| with the new sensitivity (eq.
 * 10).
 */
ADL_API int adl_update_importance_f32(const float *param, const float *grad, float *sensitivity,
                                      float *uncertainty, int64_t n, float beta1,
                                      float one_minus_beta1, float beta2, float one_minus_beta2) {
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, ADL_LINE, part, parts);
#pragma omp simd
    for (int64_t i = range.from; i < range.to; i++) {
      float now = fabsf(param[i] * grad[i]);
      float smooth = beta1 * sensitivity[i] + one_minus_beta1 * now;
      sensitivity[i] = smooth;
      uncertainty[i] = beta2 * uncertainty[i] + one_minus_beta2 * fabsf(now - smooth);
    }
  }
  return ADL_OK;
}

/* Score of one number: sensitivity times uncertainty (eq. 11), or sensitivity alone without it. */
ADL_INLINE double score(const float *sensitivity, const float *uncertainty, int64_t i) {
  return uncertainty ? (double)sensitivity[i] * uncertainty[i] : sensitivity[i];
}

/*
 * Sets scores[i] = s(E_i) + mean over columns of s(A_i) + mean over rows of s(B_i); A [rank, in], E
 * [rank], B [out, rank]. s is sensitivity * uncertainty, or sensitivity where the uncertainties are
 * NULL. Without E its term is left out. scratch: rank doubles.
 */
ADL_API int adl_triplet_scores_f32(const float *a_sensitivity, const float *a_uncertainty,
                                   const float *e_sensitivity, const float *e_uncertainty,
                                   const float *b_sensitivity, const float *b_uncertainty,
                                   float *scores, int64_t rank, int64_t in_features,
                                   int64_t out_features, double *scratch) {
  memset(scratch, 0, sizeof(double) * (size_t)rank);
  for (int64_t o = 0; o < out_features; o++) {
#pragma omp simd
    for (int64_t r = 0; r < rank; r++)
      scratch[r] += score(b_sensitivity, b_uncertainty, o * rank + r);
  }
  for (int64_t r = 0; r < rank; r++) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < in_features; c++)
      sum += score(a_sensitivity, a_uncertainty, r * in_features + c);
    double of_e = e_sensitivity ? score(e_sensitivity, e_uncertainty, r) : 0.0;
    scores[r] = (float)(of_e + (sum / (double)in_features + scratch[r] / (double)out_features));
  }
  return ADL_OK;
}

/* Unsigned numbers in the order of the floats; NaN comes last. */
ADL_INLINE uint32_t order_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return x == x ? key : 0xffffffffu;
}

static float float_at(uint32_t key) {
  uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/*
 * Sets threshold[0] to the (n - budget)-th smallest score and kept[i] = score > threshold ? 1 : 0;
 * with budget >= n all are kept and the threshold is NaN. The threshold is found bit by bit:
 * scratch-free, and the same for every order.
 */
ADL_API int adl_keep_top_f32(const float *scores, int64_t n, int64_t budget, float *kept,
                             float *threshold) {
  const int64_t pruned = n - budget;
  float limit = NAN;
  if (pruned > 0) {
    uint32_t key = 0; /* the largest key that fewer than `pruned` scores lie below */
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
      const uint32_t candidate = key | bit;
      int64_t below = 0;
#pragma omp simd reduction(+ : below)
      for (int64_t i = 0; i < n; i++) below += order_of(scores[i]) < candidate;
      if (below < pruned) key = candidate;
    }
    limit = float_at(key);
  }
  *threshold = limit;
  for (int64_t i = 0; i < n; i++) kept[i] = pruned <= 0 || scores[i] > limit ? 1.0f : 0.0f;
  return ADL_OK;
}

/* param[r, c] *= kept[r], or *= kept[c] when `columns`. */
ADL_API int adl_apply_mask_f32(float *param, const float *kept, int64_t rows, int64_t cols,
                               int columns) {
  for (int64_t r = 0; r < rows; r++) {
    const float factor = columns ? 0.0f : kept[r];
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) param[r * cols + c] *= columns ? kept[c] : factor;
  }
  return ADL_OK;
}

/* Floats of scratch that the kernel below needs. */
ADL_API int64_t adl_orthogonality_scratch(int64_t rank, int64_t width) {
  return rank * rank + 2 * rank * width;
}

/* Sets residual = P P^T - I, P [rank, width]. In double: near orthogonality its entries are small
 * differences. */
static double set_residual(const float *p, float *residual, int64_t rank, int64_t width) {
  double squares = 0.0;
  for (int64_t i = 0; i < rank; i++) {
    for (int64_t j = 0; j <= i; j++) {
      double dot = 0.0;
#pragma omp simd reduction(+ : dot)
      for (int64_t c = 0; c < width; c++) dot += (double)p[i * width + c] * p[j * width + c];
      if (i == j) dot -= 1.0;
      residual[i * rank + j] = residual[j * rank + i] = (float)dot;
      squares += i == j ? dot * dot : 2.0 * dot * dot;
    }
  }
  return sqrt(squares);
}

static void transpose(const float *from, float *to, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c];
  }
}

/*
 * M = P P^T - I with P = factor [rank, width], or the transpose of factor [width, rank] when
 * `columns`. Adds: norm[0] += weight * |M|; grad += grad_weight * weight * 2 M P / |M| where grad
 * is given (0 where |M| is, as torch).
 */
ADL_API int adl_orthogonality_f32(const float *factor, float *grad, float *norm, int64_t rank,
                                  int64_t width, int columns, float weight, float grad_weight,
                                  float *scratch) {
  float *residual = scratch, *turned = residual + rank * rank, *dp = turned + rank * width;
  if (columns) transpose(factor, turned, width, rank);
  const float *p = columns ? turned : factor;
  const double size = set_residual(p, residual, rank, width);
  *norm += (float)(weight * size);
  if (!grad || size == 0.0) return ADL_OK;
  const float coefficient = (float)(2.0 * grad_weight * weight / size);
  for (int64_t i = 0; i < rank; i++) {
    float *row = columns ? dp + i * width : grad + i * width;
    if (columns) memset(row, 0, sizeof(float) * (size_t)width);
    for (int64_t j = 0; j < rank; j++) {
      const float m = coefficient * residual[i * rank + j];
#pragma omp simd
      for (int64_t c = 0; c < width; c++) row[c] += m * p[j * width + c];
    }
  }
  for (int64_t r = 0; columns && r < width; r++) {
    for (int64_t i = 0; i < rank; i++) grad[r * rank + i] += dp[i * width + r];
  }
  return ADL_OK;
}
