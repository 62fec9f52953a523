/*
 * The low-rank increment of a linear layer, scale * h diag(e) factor, and its gradient. A pruned
 * triplet (e = 0) is not read, so that NaN does not spread from it.
 */
#include "device.h"

/* A factor e * scale by triplet; e may be NULL. */
struct Triplets {
  const f32 *e;
  f32 scale;
};

DEVICE bool is_pruned(const Triplets &t, i32 k) { return t.e && t.e[k] == 0.0f; }
DEVICE f32 multiplier(const Triplets &t, i32 k) { return t.e ? t.e[k] * t.scale : t.scale; }

enum {
  /* Rows and columns of y that a block of INCREMENT_WARPS warps updates; a lane has a column. */
  INCREMENT_ROWS = 32,
  INCREMENT_COLUMNS = WARP,
  INCREMENT_WARPS = 8,
  ROWS_PER_WARP = INCREMENT_ROWS / INCREMENT_WARPS,
  /* Triplets held in shared memory at once. */
  INCREMENT_RANKS = WARP,
  INCREMENT_PITCH = WARP + 1, /* no bank conflicts by column */
};

/* Sets tile[r, k] to h times e and scale, 0 for pruned triplets and past the ends. */
DEVICE void load_scaled_h(f32 (*tile)[INCREMENT_PITCH], const f32 *h, const Triplets &triplets,
                          i32 row, i32 rows, i32 k, i32 rank) {
  const i32 column = k + lane();
  const bool read = column < rank && !is_pruned(triplets, column);
  const f32 factor = read ? multiplier(triplets, column) : 0.0f;
  for (i32 r = warp(); r < INCREMENT_ROWS; r += warps())
    tile[r][lane()] = read && row + r < rows ? factor * h[(i64)(row + r) * rank + column] : 0.0f;
}

/* Sets tile[k, c] to the factor's elements, 0 for pruned triplets and past the ends. Neighbouring
 * lanes read neighbouring elements of the factor as it is stored. */
DEVICE void load_factor(f32 (*tile)[INCREMENT_PITCH], const f32 *factor, const Triplets &triplets,
                        i32 column, i32 cols, i32 k, i32 rank, i32 transposed) {
  for (i32 r = warp(); r < WARP; r += warps()) {
    const i32 of_rank = transposed ? lane() : r, of_column = transposed ? r : lane();
    const i32 i = k + of_rank, c = column + of_column;
    const bool read = i < rank && c < cols && !is_pruned(triplets, i);
    const i64 at = transposed ? (i64)c * rank + i : (i64)i * cols + c;
    tile[of_rank][of_column] = read ? factor[at] : 0.0f;
  }
}

/* Adds the increment, and bias unless NULL, to a tile of y; unless `activated` is NULL, sets it,
 * which may be y, to f(y). factor is [rank, cols], or [cols, rank] if transposed. */
template <class T>
DEVICE void add_low_rank(T *y, const f32 *h, const Triplets &triplets, const f32 *factor,
                         const f32 *bias, T *activated, i32 rows, i32 cols, i32 stride, i32 rank,
                         i32 transposed, i32 kind) {
  __shared__ f32 left[INCREMENT_ROWS][INCREMENT_PITCH], right[INCREMENT_RANKS][INCREMENT_PITCH];
  const i32 first_row = (i32)blockIdx.y * INCREMENT_ROWS,
            first_column = (i32)blockIdx.x * INCREMENT_COLUMNS, c = first_column + lane();
  const f32 start = bias && c < cols ? bias[c] : 0.0f;
  f32 sums[ROWS_PER_WARP];
#pragma unroll
  for (i32 i = 0; i < ROWS_PER_WARP; i++) sums[i] = start;
  for (i32 k = 0; k < rank; k += INCREMENT_RANKS) {
    __syncthreads(); /* the tiles before have been read */
    load_scaled_h(left, h, triplets, first_row, rows, k, rank);
    load_factor(right, factor, triplets, first_column, cols, k, rank, transposed);
    __syncthreads();
    for (i32 r = 0; r < INCREMENT_RANKS && k + r < rank; r++) {
#pragma unroll
      for (i32 i = 0; i < ROWS_PER_WARP; i++)
        sums[i] += left[warp() + i * INCREMENT_WARPS][r] * right[r][lane()];
    }
  }
#pragma unroll
  for (i32 i = 0; i < ROWS_PER_WARP; i++) {
    const i32 r = first_row + warp() + i * INCREMENT_WARPS;
    if (r >= rows || c >= cols) continue;
    T *at = y + (i64)r * stride + c;
    store(at, load(at) + sums[i]);
    if (activated) store(activated + (i64)r * cols + c, activation(kind, load(at)));
  }
}

enum {
  /* Columns of dy that a block sums, one a lane, for as many triplets at once. */
  GRADIENT_COLUMNS = WARP,
  GRADIENT_RANKS = 16,
  GRADIENT_WARPS = 8,
  /* Rows of h held in shared memory at once. */
  GRADIENT_ROWS = 64,
  ROWS_OF_WARP = GRADIENT_ROWS / GRADIENT_WARPS,
};

/* Adds a triplet's sum for one column to the gradient. */
DEVICE void add_gradient(f32 *gradient, const Triplets &triplets, i32 k, i32 c, i32 rank, i32 cols,
                         i32 transposed, f32 sum) {
  if (is_pruned(triplets, k)) return;
  gradient[transposed ? (i64)c * rank + k : (i64)k * cols + c] += multiplier(triplets, k) * sum;
}

/*
 * Sums h^T dy over the block's part of the rows, `part_rows` of them: each warp takes every eighth
 * row, and the warps' sums are added in order. With one part, adds to the gradient; otherwise sets
 * parts [parts, rank, cols].
 */
template <class T>
DEVICE void add_factor_gradient(f32 *gradient, f32 *parts, const T *dy, const f32 *h,
                                const Triplets &triplets, i32 rows, i32 cols, i32 stride, i32 rank,
                                i32 transposed, i32 part_rows) {
  __shared__ f32 left[GRADIENT_ROWS][GRADIENT_RANKS];
  __shared__ f32 partials[GRADIENT_WARPS][GRADIENT_RANKS][GRADIENT_COLUMNS];
  const i32 c = (i32)blockIdx.x * GRADIENT_COLUMNS + lane(),
            first_rank = (i32)blockIdx.y * GRADIENT_RANKS, from = (i32)blockIdx.z * part_rows,
            to = from + part_rows < rows ? from + part_rows : rows;
  f32 sums[GRADIENT_RANKS] = {};
  for (i32 row = from; row < to; row += GRADIENT_ROWS) {
    __syncthreads(); /* the rows before have been read */
    for (i32 i = threadIdx.x; i < GRADIENT_ROWS * GRADIENT_RANKS; i += blockDim.x) {
      const i32 r = row + i / GRADIENT_RANKS, k = first_rank + i % GRADIENT_RANKS;
      const bool read = r < to && k < rank && !is_pruned(triplets, k);
      left[i / GRADIENT_RANKS][i % GRADIENT_RANKS] = read ? h[(i64)r * rank + k] : 0.0f;
    }
    __syncthreads();
    f32 x[ROWS_OF_WARP]; /* read together, so that their latencies overlap */
#pragma unroll
    for (i32 i = 0; i < ROWS_OF_WARP; i++) {
      const i32 r = row + warp() + i * GRADIENT_WARPS;
      x[i] = r < to && c < cols ? load(dy + (i64)r * stride + c) : 0.0f;
    }
#pragma unroll
    for (i32 i = 0; i < ROWS_OF_WARP; i++) {
#pragma unroll
      for (i32 k = 0; k < GRADIENT_RANKS; k++)
        sums[k] += left[warp() + i * GRADIENT_WARPS][k] * x[i];
    }
  }
#pragma unroll
  for (i32 k = 0; k < GRADIENT_RANKS; k++) partials[warp()][k][lane()] = sums[k];
  __syncthreads();
  for (i32 k = warp(); k < GRADIENT_RANKS; k += GRADIENT_WARPS) {
    if (first_rank + k >= rank || c >= cols) continue;
    f32 sum = 0.0f;
    for (i32 w = 0; w < GRADIENT_WARPS; w++) sum += partials[w][k][lane()];
    if (gridDim.z > 1)
      parts[((i64)blockIdx.z * rank + first_rank + k) * cols + c] = sum;
    else
      add_gradient(gradient, triplets, first_rank + k, c, rank, cols, transposed, sum);
  }
}

/* Adds the parts' sums, in order, to the gradient: a thread a triplet and column. */
KERNEL void add_gradient_parts(f32 *gradient, const f32 *parts, const f32 *e, f32 scale, i32 count,
                               i32 rank, i32 cols, i32 transposed) {
  const i64 i = own_element();
  if (i >= (i64)rank * cols) return;
  f32 sum = 0.0f;
  for (i32 part = 0; part < count; part++) sum += parts[(i64)part * rank * cols + i];
  add_gradient(gradient, Triplets{e, scale}, (i32)(i / cols), (i32)(i % cols), rank, cols,
               transposed, sum);
}

#define LOW_RANK(T)                                                                              \
  KERNEL void add_low_rank_##T(T *y, const f32 *h, const f32 *e, f32 scale, const f32 *factor,   \
                               const f32 *bias, T *activated, i32 rows, i32 cols, i32 stride,    \
                               i32 rank, i32 transposed, i32 kind) {                             \
    add_low_rank(y, h, Triplets{e, scale}, factor, bias, activated, rows, cols, stride, rank,    \
                 transposed, kind);                                                              \
  }                                                                                              \
  KERNEL void add_factor_gradient_##T(f32 *gradient, f32 *parts, const T *dy, const f32 *h,      \
                                      const f32 *e, f32 scale, i32 rows, i32 stride,             \
                                      i32 part_rows, i32 rank, i32 cols, i32 transposed) {       \
    add_factor_gradient(gradient, parts, dy, h, Triplets{e, scale}, rows, cols, stride, rank,    \
                        transposed, part_rows);                                                  \
  }

LOW_RANK(f32)
LOW_RANK(bf16)
