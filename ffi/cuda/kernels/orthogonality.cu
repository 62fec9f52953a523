/* The regulariser of AdaLoRA's factors: ||M||_F with M = P P^T - I, and its gradient. */
#include "device.h"

/* A factor, addresses and sizes in 8 bytes each, as backend/orthogonality.ts packs them. */
struct FactorTable {
  const f32 *factor;
  f32 *grad; /* NULL if the factor is not trained */
  i64 rank, width, columns;
  i64 residual; /* offset of its M in the residuals */
};

/* Offset of element c of vector i: a row of the factor, or a column if `columns`. */
DEVICE i64 element_at(const FactorTable &f, i64 i, i64 c) {
  return f.columns ? c * f.rank + i : i * f.width + c;
}

/* M of a factor in scratch: `count` norms come first. */
DEVICE f32 *residual_of(double *norms, i32 count, const FactorTable &f) {
  return reinterpret_cast<f32 *>(norms + count) + f.residual;
}

/* Sets norms to ||M||_F, and M behind them: a block a factor. In double: near orthogonality the
 * elements are small differences. */
KERNEL void orthogonality_residuals_f32(const FactorTable *factors, double *norms, i32 count) {
  const FactorTable f = factors[blockIdx.x];
  const i32 rank = (i32)f.rank;
  f32 *residual = residual_of(norms, count, f);
  double squares = 0.0;
  for (i32 pair = warp(); pair < rank * rank; pair += warps()) {
    const i32 i = pair / rank, j = pair % rank;
    if (j > i) continue;
    double dot = 0.0;
    for (i64 c = lane(); c < f.width; c += WARP)
      dot += (double)f.factor[element_at(f, i, c)] * f.factor[element_at(f, j, c)];
    dot = warp_sum(dot) - (i == j ? 1.0 : 0.0);
    squares += i == j ? dot * dot : 2.0 * dot * dot;
    if (lane() == 0) residual[i * rank + j] = residual[j * rank + i] = (f32)dot;
  }
  squares = block_sum(lane() == 0 ? squares : 0.0);
  if (threadIdx.x == 0) norms[blockIdx.x] = sqrt(squares);
}

/*
 * For each factor (y) with a gradient: grad += 2 grad_weight M P / ||M||, 0 where ||M|| is 0, as in
 * torch; a thread a column of P. The first thread adds weight * ||M|| of all factors, in order, to
 * norm[0].
 */
KERNEL void orthogonality_gradients_f32(const FactorTable *factors, double *norms, i32 count,
                                        f32 *norm, f32 weight, f32 grad_weight) {
  const FactorTable f = factors[blockIdx.y];
  const i64 c = own_element();
  if (c == 0 && blockIdx.y == 0) {
    double sum = 0.0;
    for (i32 i = 0; i < count; i++) sum += norms[i];
    *norm += (f32)(weight * sum);
  }
  if (!f.grad || c >= f.width || norms[blockIdx.y] == 0.0) return;
  const f32 *residual = residual_of(norms, count, f);
  const f32 factor = (f32)(2.0 * grad_weight / norms[blockIdx.y]);
  for (i64 i = 0; i < f.rank; i++) {
    f32 sum = 0.0f;
    for (i64 j = 0; j < f.rank; j++)
      sum += residual[i * f.rank + j] * f.factor[element_at(f, j, c)];
    f.grad[element_at(f, i, c)] += factor * sum;
  }
}
