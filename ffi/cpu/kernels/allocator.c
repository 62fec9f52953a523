/* Reductions of AdaLoRA's rank allocator (Zhang et al., 2023). */
#include "arguments.h"

/* Score of one element: sensitivity times uncertainty (eq. 11), or sensitivity if uncertainty is
 * NULL. */
ADL_INLINE double score(const float *sensitivity, const float *uncertainty, int64_t i) {
  return uncertainty ? (double)sensitivity[i] * uncertainty[i] : sensitivity[i];
}

static int64_t largest_rank(const adl_triplets *adapters, int64_t count) {
  int64_t rank = 0;
  for (int64_t i = 0; i < count; i++) rank = adl_max(rank, adapters[i].rank);
  return adl_round_up(rank, ADL_LINE);
}

/* Floats of scratch for adl_triplet_scores: one array of doubles per thread. */
ADL_API int64_t adl_triplet_scores_scratch(const adl_triplets *adapters, int64_t count) {
  return 2 * largest_rank(adapters, count) * omp_get_max_threads();
}

static void score_triplets(const adl_triplets *t, double *b_sums) {
  memset(b_sums, 0, sizeof(double) * (size_t)t->rank);
  for (int64_t o = 0; o < t->out_features; o++) {
#pragma omp simd
    for (int64_t r = 0; r < t->rank; r++)
      b_sums[r] += score(t->b_sensitivity, t->b_uncertainty, o * t->rank + r);
  }
  for (int64_t r = 0; r < t->rank; r++) {
    double a_sum = 0.0;
#pragma omp simd reduction(+ : a_sum)
    for (int64_t c = 0; c < t->in_features; c++)
      a_sum += score(t->a_sensitivity, t->a_uncertainty, r * t->in_features + c);
    const double e_score = t->e_sensitivity ? score(t->e_sensitivity, t->e_uncertainty, r) : 0.0;
    t->scores[r] =
        (float)(e_score + (a_sum / (double)t->in_features + b_sums[r] / (double)t->out_features));
  }
}

/*
 * For each adapter, sets scores[i] = s(E_i) + mean over columns of s(A_i) + mean over rows of
 * s(B_i), where s is sensitivity * uncertainty, or sensitivity where the uncertainties are NULL.
 * The term of E is omitted where its averages are NULL.
 */
ADL_API int adl_triplet_scores_f32(const adl_triplets *adapters, int64_t count, double *scratch) {
  const int64_t rank = largest_rank(adapters, count);
  int64_t elements = 0;
  for (int64_t i = 0; i < count; i++)
    elements += adapters[i].rank * (adapters[i].in_features + adapters[i].out_features);
  ADL_FOR_EACH(i, count, elements) {
    score_triplets(&adapters[i], scratch + rank * omp_get_thread_num());
  }
  return ADL_OK;
}

/* Maps floats to unsigned integers in the same order, NaN last. */
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

/* Cost of one score: a whole number, or 1 without costs. */
ADL_INLINE int64_t cost(const float *costs, int64_t i) { return costs ? (int64_t)costs[i] : 1; }

/*
 * Sets threshold[0] to the (n - budget)-th smallest score and kept[i] to 1 if score > threshold,
 * else 0. If budget >= n, keeps all and sets the threshold to NaN. With `costs`, else NULL, score i
 * counts costs[i] times, in n too. A binary search over the bits of the threshold needs no scratch
 * and does not depend on the order of the scores.
 */
ADL_API int adl_keep_top_f32(const float *scores, const float *costs, int64_t n, int64_t budget,
                             float *kept, float *threshold) {
  int64_t pruned = -budget;
  for (int64_t i = 0; i < n; i++) pruned += cost(costs, i);
  float limit = NAN;
  if (pruned > 0) {
    uint32_t key = 0; /* the largest key with scores below it of a cost under `pruned` */
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
      const uint32_t candidate = key | bit;
      int64_t below = 0;
#pragma omp simd reduction(+ : below)
      for (int64_t i = 0; i < n; i++)
        below += order_of(scores[i]) < candidate ? cost(costs, i) : 0;
      if (below < pruned) key = candidate;
    }
    limit = float_at(key);
  }
  *threshold = limit;
  for (int64_t i = 0; i < n; i++) kept[i] = pruned <= 0 || scores[i] > limit ? 1.0f : 0.0f;
  return ADL_OK;
}

static void mask_matrix(const adl_masked *m) {
  for (int64_t r = 0; r < m->rows; r++) {
    float *row = m->param + r * m->cols;
    const float factor = m->columns ? 0.0f : m->kept[r];
#pragma omp simd
    for (int64_t c = 0; c < m->cols; c++) row[c] *= m->columns ? m->kept[c] : factor;
  }
}

/* For each matrix, param[r, c] *= kept[r], or *= kept[c] if `columns`. */
ADL_API int adl_apply_mask_f32(const adl_masked *matrices, int64_t count) {
  int64_t elements = 0;
  for (int64_t i = 0; i < count; i++) elements += matrices[i].rows * matrices[i].cols;
  ADL_FOR_EACH(i, count, elements) mask_matrix(&matrices[i]);
  return ADL_OK;
}

static int64_t largest_workspace(const adl_orthogonal *factors, int64_t count) {
  int64_t most = 0;
  for (int64_t i = 0; i < count; i++) {
    const int64_t rank = factors[i].rank;
    most = adl_max(most, rank * rank + 2 * rank * factors[i].width);
  }
  return adl_round_up(most, ADL_LINE);
}

/* Floats of scratch for adl_orthogonality: the norms as doubles, and one workspace per thread. */
ADL_API int64_t adl_orthogonality_scratch(const adl_orthogonal *factors, int64_t count) {
  return 2 * adl_round_up(count, ADL_LINE) +
         largest_workspace(factors, count) * omp_get_max_threads();
}

/* Sets residual = P P^T - I for P [rank, width]; returns its norm. In double: near orthogonality
 * the entries are small differences. */
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

/* Returns |M|, where M = P P^T - I and P's rows are the factor's vectors; grad += coefficient * M P
 * / |M| (0 if |M| is 0, as in torch). */
static double orthogonality_norm(const adl_orthogonal *o, double coefficient, float *workspace) {
  const int64_t rank = o->rank, width = o->width;
  float *residual = workspace, *transposed = residual + rank * rank,
        *dp = transposed + rank * width;
  if (o->columns) transpose(o->factor, transposed, width, rank);
  const float *p = o->columns ? transposed : o->factor;
  const double norm = set_residual(p, residual, rank, width);
  if (!o->grad || norm == 0.0) return norm;
  const float factor = (float)(coefficient / norm);
  for (int64_t i = 0; i < rank; i++) {
    float *row = o->columns ? dp + i * width : o->grad + i * width;
    if (o->columns) memset(row, 0, sizeof(float) * (size_t)width);
    for (int64_t j = 0; j < rank; j++) {
      const float m = factor * residual[i * rank + j];
#pragma omp simd
      for (int64_t c = 0; c < width; c++) row[c] += m * p[j * width + c];
    }
  }
  for (int64_t r = 0; o->columns && r < width; r++) {
    for (int64_t i = 0; i < rank; i++) o->grad[r * rank + i] += dp[i * width + r];
  }
  return norm;
}

/*
 * For each factor, adds: norm[0] += weight * |M|; grad += grad_weight * weight * 2 M P / |M|. One
 * thread computes a factor, and norms are added in order, so that results do not depend on the
 * thread count.
 */
ADL_API int adl_orthogonality_f32(const adl_orthogonal *factors, int64_t count, float *norm,
                                  float weight, float grad_weight, float *scratch) {
  double *norms = (double *)scratch, sum = 0.0;
  float *workspaces = scratch + 2 * adl_round_up(count, ADL_LINE);
  const int64_t each = largest_workspace(factors, count);
  int64_t products = 0;
  for (int64_t i = 0; i < count; i++)
    products += factors[i].rank * factors[i].rank * factors[i].width;
  ADL_FOR_EACH(i, count, products) {
    float *workspace = workspaces + each * omp_get_thread_num();
    norms[i] = orthogonality_norm(&factors[i], 2.0 * grad_weight * weight, workspace);
  }
  for (int64_t i = 0; i < count; i++) sum += norms[i];
  *norm += (float)(weight * sum);
  return ADL_OK;
}
