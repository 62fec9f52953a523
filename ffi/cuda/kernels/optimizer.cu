/* Gradient norm, clipping, and AdamW, which updates importance averages in the same pass. */
#include "device.h"

/* Sets this block's part of the sum of squares of x, or sum[0] if it is the only one. */
KERNEL void sum_of_squares_f32(const f32 *x, i64 n, double *parts, f32 *sum) {
  double squares = 0.0;
  for (i64 i = own_element(); i < n; i += (i64)gridDim.x * blockDim.x)
    squares += (double)x[i] * x[i];
  squares = block_sum(squares);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1)
    *sum = (f32)squares;
  else
    parts[blockIdx.x] = squares;
}

/* Sets sum[0] to the sum of the parts, by one block. */
KERNEL void sum_parts(const double *parts, i32 count, f32 *sum) {
  double part = 0.0;
  for (i32 i = (i32)threadIdx.x; i < count; i += (i32)blockDim.x) part += parts[i];
  part = block_sum(part);
  if (threadIdx.x == 0) *sum = (f32)part;
}

/* Sets norm[0] = sqrt(sum_of_squares[0]). If max_norm > 0: grad *= min(1, max_norm / (norm +
 * 1e-6)), NaN if the norm is NaN (torch.nn.utils.clip_grad_norm_). */
KERNEL void clip_by_norm_f32(f32 *grad, const f32 *sum_of_squares, f32 max_norm, f32 *norm,
                             i64 n) {
  const f32 root = sqrtf(*sum_of_squares), factor = max_norm / (root + 1e-6f);
  const i64 i = own_element();
  if (i == 0) *norm = root;
  if (max_norm <= 0.0f || factor >= 1.0f) return;
  if (i < n) grad[i] *= factor;
}

/*
 * One AdamW update (Loshchilov and Hutter, 2019) of param, m and v from grad:
 *   m = beta1 m + (1 - beta1) grad;  v = beta2 v + (1 - beta2) grad^2
 *   param = before * param - step_size * m / (root_factor * sqrt(v) + eps);  then param *= after
 * Unless sensitivity is NULL, with the new param (Zhang et al., 2023, eq. 9 and 10):
 *   I = |param * grad|
 *   sensitivity = sensitivity_beta * sensitivity + (1 - sensitivity_beta) * I
 *   uncertainty = uncertainty_beta * uncertainty + (1 - uncertainty_beta) * |I - sensitivity|
 * Differences from 1 are parameters of their own, made in double, so that they keep their digits.
 */
KERNEL void adamw_f32(f32 *param, const f32 *grad, f32 *m, f32 *v, i64 n, f32 beta1,
                      f32 one_minus_beta1, f32 beta2, f32 one_minus_beta2, f32 eps, f32 step_size,
                      f32 root_factor, f32 before, f32 after, f32 *sensitivity, f32 *uncertainty,
                      f32 sensitivity_beta, f32 one_minus_sensitivity_beta, f32 uncertainty_beta,
                      f32 one_minus_uncertainty_beta) {
  const i64 i = own_element();
  if (i >= n) return;
  const f32 g = grad[i];
  const f32 first = beta1 * m[i] + one_minus_beta1 * g,
            second = beta2 * v[i] + one_minus_beta2 * (g * g);
  const f32 next =
      after * (before * param[i] - step_size * (first / (root_factor * sqrtf(second) + eps)));
  m[i] = first;
  v[i] = second;
  param[i] = next;
  if (!sensitivity) return;
  const f32 importance = fabsf(next * g);
  const f32 smoothed = sensitivity_beta * sensitivity[i] + one_minus_sensitivity_beta * importance;
  sensitivity[i] = smoothed;
  uncertainty[i] = uncertainty_beta * uncertainty[i] +
                   one_minus_uncertainty_beta * fabsf(importance - smoothed);
}
