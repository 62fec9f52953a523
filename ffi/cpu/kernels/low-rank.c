/* The low-rank increment of a linear layer, scale * h diag(e) factor, and its gradient. Both skip
 * pruned triplets (e = 0) without reading them. */
#include "activation.h"
#include "arguments.h"
#include "operands.h"
#include "small-gemm.h"

/* Rows of y updated together: one tile's, so that each is read sequentially. */
enum { LOW_RANK_ROWS = 6 };

#ifndef ADL_BF16
/* Floats of scratch for add_low_rank: the indices of unpruned triplets, the scaled factor, and a
 * block of h per part. */
ADL_API int64_t adl_low_rank_scratch(int64_t rows, int64_t cols, int64_t rank) {
  const int64_t ranks = adl_round_up(rank, ADL_LINE);
  return ranks + ranks * cols + adl_parts(rows * cols) * LOW_RANK_ROWS * ranks;
}
#endif

/* Collects the indices of unpruned triplets (all of them if e is NULL); returns the count. */
static int collect_kept(const float *e, int64_t rank, int32_t *kept) {
  int count = 0;
  for (int64_t k = 0; k < rank; k++) {
    if (!e || e[k] != 0.0f) kept[count++] = (int32_t)k;
  }
  return count;
}

/* Sets `columns` of y[count, cols] to the factor's unpruned rows times e and scale. */
static void set_kept_rows(const low_rank_args *f, const int32_t *kept, int count, adl_range columns,
                          float *y) {
  for (int i = 0; i < count; i++) {
    const int64_t k = kept[i];
    const float multiplier = f->e ? f->e[k] * f->scale : f->scale;
    float *to = y + i * f->cols;
    if (f->transposed) {
      for (int64_t c = columns.from; c < columns.to; c++)
        to[c] = multiplier * f->factor[c * f->rank + k];
    } else {
      const float *row = f->factor + k * f->cols;
#pragma omp simd
      for (int64_t c = columns.from; c < columns.to; c++) to[c] = multiplier * row[c];
    }
  }
}

/*
 * Sets each row of y[rows, stride] to the `count` unpruned columns of h[rows, rank], zero-padded.
 */
static void set_kept_columns(const float *h, int64_t rank, const int32_t *kept, int count,
                             int64_t rows, float *y, int64_t stride) {
  for (int64_t r = 0; r < rows; r++, h += rank, y += stride) {
    for (int k = 0; k < count; k++) y[k] = h[kept[k]];
    for (int64_t k = count; k < stride; k++) y[k] = 0.0f;
  }
}

/* Adds: y[rows, cols] += h[rows, rank] . factor[rank, cols] (+ bias[cols]). */
ADL_INLINE void add_product(act *y, int64_t stride, const float *h, const float *factor,
                            const float *bias, int rows, int64_t cols, int rank) {
  const int64_t whole = cols / ADL_VECTOR * ADL_VECTOR;
  ADL_ACT(small_gemm)(rows, (int)whole, rank, h, rank, 1, factor, cols, y, stride, 1, bias);
  for (int r = 0; r < rows; r++) {
    for (int64_t c = whole; c < cols; c++) {
      float sum = bias ? bias[c] : 0.0f;
      for (int k = 0; k < rank; k++) sum += h[r * rank + k] * factor[k * cols + c];
      act_store(y + r * stride + c, act_load(y + r * stride + c) + sum);
    }
  }
}

/*
 * Adds: y[rows, cols] += scale * h[rows, rank] . diag(e) . factor (+ bias[cols] unless NULL), in
 * one pass over y. factor is [rank, cols], or [cols, rank] if `transposed`; e may be NULL. Skips
 * pruned triplets (e = 0) without reading them. Unless `activated` is NULL, sets it to f(y) while
 * rows are in cache; it may be y.
 */
ADL_API int ADL_ACT(add_low_rank)(const low_rank_args *args) {
  const float *bias = args->bias;
  const int64_t rows = args->rows, cols = args->cols, rank = args->rank,
                ranks = adl_round_up(rank, ADL_LINE);
  if (args->activated && (args->kind < 0 || args->kind >= ACTIVATIONS)) return ADL_BAD_INDEX;
  int32_t *kept = (int32_t *)args->scratch;
  float *kept_rows = args->scratch + ranks, *spaces = kept_rows + ranks * cols;
  const int count = collect_kept(args->e, rank, kept);
  if (count == 0 && !bias && !args->activated) return ADL_OK;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    set_kept_rows(args, kept, count, adl_part(cols, ADL_LINE, part, parts), kept_rows);
  }
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, LOW_RANK_ROWS, part, parts);
    float *space = spaces + part * LOW_RANK_ROWS * ranks;
    for (int64_t r = range.from; r < range.to; r += LOW_RANK_ROWS) {
      const int block = (int)adl_min(range.to - r, LOW_RANK_ROWS);
      const float *h = args->h + r * rank;
      if (count < rank) {
        set_kept_columns(h, rank, kept, count, block, space, count);
        h = space;
      }
      act *y = args->y + r * args->stride;
      add_product(y, args->stride, h, kept_rows, bias, block, cols, count);
      if (args->activated)
        ADL_ACT(activate_run)(args->kind, y, args->activated + r * cols, block * cols);
    }
  }
  return ADL_OK;
}

enum {
  /* Tile of x per thread, sized to stay in L1 while it is multiplied by every column of h. */
  GRADIENT_ROWS = 64,
  GRADIENT_COLUMNS = 128,
};

/*
 * Workspace of a part: a tile of x as a right operand, the sums, and rounded h as a left operand.
 */
typedef struct {
  right *x;
  float *sums;
  left *panel;
} gradient_space;

static int64_t gradient_space_floats(int64_t ranks) {
  return right_floats(GRADIENT_ROWS, GRADIENT_COLUMNS) + ranks * GRADIENT_COLUMNS +
         adl_round_up(panel_floats(GRADIENT_ROWS), ADL_LINE);
}

static gradient_space gradient_space_at(float *scratch, int64_t ranks) {
  float *sums = scratch + right_floats(GRADIENT_ROWS, GRADIENT_COLUMNS);
  return (gradient_space){(right *)scratch, sums, (left *)(sums + ranks * GRADIENT_COLUMNS)};
}

#ifndef ADL_BF16
/* Floats of scratch for add_factor_gradient: the indices of unpruned triplets, their columns of h,
 * and a workspace per part, which is larger in float than in bf16. */
ADL_API int64_t adl_factor_gradient_scratch(int64_t rows, int64_t cols, int64_t rank) {
  const int64_t ranks = adl_round_up(rank, ADL_LINE);
  return ranks + rows * ranks + adl_parts(rows * cols) * gradient_space_floats(ranks);
}
#endif

/* Sets space.sums[count, GRADIENT_COLUMNS] = h[rows, ranks]^T x[rows, cols]. */
static void set_sums(const float *h, int64_t ranks, int count, const act *x, int64_t ldx,
                     int64_t rows, int cols, gradient_space space) {
  const int whole = (int)adl_round_up(cols, ADL_VECTOR);
  for (int64_t r = 0; r < rows; r += GRADIENT_ROWS) {
    const int block = (int)adl_min(rows - r, GRADIENT_ROWS);
    /* The hardware prefetcher does not detect rows that are far apart as a stream. */
    for (int64_t i = r + block; i < adl_min(r + block + GRADIENT_ROWS, rows); i++) {
      for (int c = 0; c < cols; c += 64 / (int)sizeof(act)) __builtin_prefetch(x + i * ldx + c);
    }
    const right *operand = space.x;
    int64_t stride = padded_depth(cols);
    if (RIGHT_ROWS == 1 && whole == cols) { /* a float matrix is an operand in place */
      operand = (const right *)(x + r * ldx);
      stride = ldx;
    } else
      copy_right(space.x, x + r * ldx, ldx, block, cols);
    multiply_floats(count, whole, block, h + r * ranks, 1, ranks, operand, stride, space.sums,
                    GRADIENT_COLUMNS, r > 0, space.panel);
  }
}

/*
 * Adds to grad, the factor's gradient for the increment's gradient x[rows, cols] with row stride
 * ldx: scale * diag(e) . h^T . x, [rank, cols], or [cols, rank] if `transposed`. In bf16 h is
 * rounded. Each part owns columns, so that results do not depend on the thread count.
 */
ADL_API int ADL_ACT(add_factor_gradient)(const act *x, int64_t ldx, const float *h, const float *e,
                                         float scale, float *grad, int64_t rows, int64_t cols,
                                         int64_t rank, int transposed, float *scratch) {
  const int64_t ranks = adl_round_up(rank, ADL_LINE);
  int32_t *kept = (int32_t *)scratch;
  float *padded = scratch + ranks, *spaces = padded + rows * ranks;
  const int count = collect_kept(e, rank, kept);
  const int parts = adl_parts(rows * cols);
  if (count == 0 || rows == 0) return ADL_OK;
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(rows, 1, part, parts);
    set_kept_columns(h + range.from * rank, rank, kept, count, range.to - range.from,
                     padded + range.from * ranks, ranks);
  }
  ADL_FOR_PARTS(part, parts) {
    const adl_range range = adl_part(cols, OPERAND_DEPTH, part, parts);
    const gradient_space space =
        gradient_space_at(spaces + part * gradient_space_floats(ranks), ranks);
    begin_products();
    for (int64_t c = range.from; c < range.to; c += GRADIENT_COLUMNS) {
      const int block = (int)adl_min(range.to - c, GRADIENT_COLUMNS);
      set_sums(padded, ranks, count, x + c, ldx, rows, block, space);
      for (int i = 0; i < count; i++) {
        const int64_t k = kept[i];
        const float *sums = space.sums + i * GRADIENT_COLUMNS,
                    multiplier = scale * (e ? e[k] : 1.0f);
        float *to = transposed ? grad + c * rank + k : grad + k * cols + c;
        const int64_t step = transposed ? rank : 1;
        for (int j = 0; j < block; j++) to[j * step] += multiplier * sums[j];
      }
    }
    end_products();
  }
  return ADL_OK;
}
