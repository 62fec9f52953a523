/* Gradient norm, clipping and AdamW. */
#include "adl.h"

/* Numbers summed in float before the sum goes on in double: rounding stays below 1e-6 relative. */
enum { BLOCK = 4096 };

/* Sets sum[0] = sum of squares of x: partial sums added in order. */
ADL_API int adl_sum_of_squares_f32(const float *x, float *sum, int64_t n) {
  double sums[ADL_MAX_PARTS];
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, BLOCK, part, parts);
    double partial = 0.0;
    for (int64_t first = range.from; first < range.to; first += BLOCK) {
      int64_t end = adl_min(first + BLOCK, range.to);
      float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
      for (int64_t i = first; i < end; i++) squares += x[i] * x[i];
      partial += squares;
    }
    sums[part] = partial;
  }
  double total = 0.0;
  for (int part = 0; part < parts; part++) total += sums[part];
  *sum = (float)total;
  return ADL_OK;
}

/*
 * Sets norm[0] = sqrt(sum_of_squares[0]). With max_norm > 0: grad *= min(1, max_norm / (norm +
 * 1e-6)), NaN where the norm is NaN (torch.nn.utils.clip_grad_norm_).
 */
ADL_API int adl_clip_by_norm_f32(float *grad, const float *sum_of_squares, float max_norm,
                                 float *norm, int64_t n) {
  *norm = sqrtf(*sum_of_squares);
  const float factor = max_norm / (*norm + 1e-6f);
  if (max_norm <= 0.0f || factor >= 1.0f) return ADL_OK;
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, ADL_LINE, part, parts);
#pragma omp simd
    for (int64_t i = range.from; i < range.to; i++) grad[i] *= factor;
  }
  return ADL_OK;
}

/*
 * One AdamW update (Loshchilov and Hutter, 2019) of param, m and v from grad, n numbers each:
 *   m = beta1 m + (1 - beta1) grad;  v = beta2 v + (1 - beta2) grad^2
 *   param = before * param - step_size * m / (root_factor * sqrt(v) + eps);  then param *= after
 * torch's order: before = 1 - lr wd, step_size = lr / c1, root_factor = 1 / sqrt(c2), after = 1,
 * with c = 1 - beta^t; the older transformers': before = 1, step_size = lr sqrt(c2) / c1,
 * root_factor = 1, after = 1 - lr wd.
 */
ADL_API int adl_adamw_f32(float *param, const float *grad, float *m, float *v, int64_t n,
                          float beta1, float one_minus_beta1, float beta2, float one_minus_beta2,
                          float eps, float step_size, float root_factor, float before,
                          float after) {
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(n, ADL_LINE, part, parts);
#pragma omp simd
    for (int64_t i = range.from; i < range.to; i++) {
      float g = grad[i];
      float first = beta1 * m[i] + one_minus_beta1 * g;
      float second = beta2 * v[i] + one_minus_beta2 * (g * g);
      m[i] = first;
      v[i] = second;
      float moved = before * param[i] - step_size * (first / (root_factor * sqrtf(second) + eps));
      param[i] = after * moved;
    }
  }
  return ADL_OK;
}
