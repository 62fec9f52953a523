/* Gradient norm, clipping, and AdamW, which updates importance averages in the same pass. */
#include "arguments.h"

/* Elements summed in float before the sum continues in double: relative rounding error stays below
 * 1e-6. */
enum { BLOCK = 4096 };

/* Sets sum[0] to the sum of squares of x; partial sums are added in order. */
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

/* Sets norm[0] = sqrt(sum_of_squares[0]). If max_norm > 0: grad *= min(1, max_norm / (norm +
 * 1e-6)), NaN if the norm is NaN (torch.nn.utils.clip_grad_norm_). */
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

/* Updates m and v; returns the updated parameter. */
ADL_INLINE float adamw_update(const adl_adamw_step *s, float param, float g, float *m, float *v) {
  const float first = s->beta1 * *m + s->one_minus_beta1 * g;
  const float second = s->beta2 * *v + s->one_minus_beta2 * (g * g);
  *m = first;
  *v = second;
  const float direction = first / (s->root_factor * sqrtf(second) + s->eps);
  return s->after * (s->before * param - s->step_size * direction);
}

ADL_NOINLINE void update(float *restrict param, const float *restrict grad, float *restrict m,
                         float *restrict v, adl_range range, const adl_adamw_step *step) {
  const adl_adamw_step s = *step;
#pragma omp simd
  for (int64_t i = range.from; i < range.to; i++)
    param[i] = adamw_update(&s, param[i], grad[i], m + i, v + i);
}

ADL_NOINLINE void update_with_importance(float *restrict param, const float *restrict grad,
                                         float *restrict m, float *restrict v,
                                         float *restrict sensitivity, float *restrict uncertainty,
                                         adl_range range, const adl_adamw_step *step,
                                         const adl_smoothing *smoothing) {
  const adl_adamw_step s = *step;
  const adl_smoothing betas = *smoothing;
#pragma omp simd
  for (int64_t i = range.from; i < range.to; i++) {
    const float next = adamw_update(&s, param[i], grad[i], m + i, v + i);
    const float importance = fabsf(next * grad[i]);
    const float smoothed = betas.beta1 * sensitivity[i] + betas.one_minus_beta1 * importance;
    param[i] = next;
    sensitivity[i] = smoothed;
    uncertainty[i] =
        betas.beta2 * uncertainty[i] + betas.one_minus_beta2 * fabsf(importance - smoothed);
  }
}

/*
 * One AdamW update (Loshchilov and Hutter, 2019) of param, m and v from grad, n elements each:
 *   m = beta1 m + (1 - beta1) grad;  v = beta2 v + (1 - beta2) grad^2
 *   param = before * param - step_size * m / (root_factor * sqrt(v) + eps);  then param *= after
 * Unless sensitivity is NULL, with the new param and the betas of smoothing (Zhang et al., 2023,
 * eq. 9 and 10):
 *   I = |param * grad|;  sensitivity = beta1 * sensitivity + (1 - beta1) * I
 *   uncertainty = beta2 * uncertainty + (1 - beta2) * |I - sensitivity|, the new sensitivity
 */
ADL_API int adl_adamw_f32(float *param, const float *grad, float *m, float *v, int64_t n,
                          const adl_adamw_step *step, float *sensitivity, float *uncertainty,
                          const adl_smoothing *smoothing) {
  const int parts = adl_parts(n);
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(n, ADL_LINE, part, parts);
    if (sensitivity)
      update_with_importance(param, grad, m, v, sensitivity, uncertainty, range, step, smoothing);
    else
      update(param, grad, m, v, range, step);
  }
  return ADL_OK;
}
