/* The low-rank increments of a group of linear layers: scale * h diag(e) factor. */
#include "triplets.h"

enum { ROWS_OF_WARP = 4, INCREMENT_ROWS = TILE_WARPS * ROWS_OF_WARP };

/* A tile of h, rows by triplets. */
struct HTile {
  f32 of[INCREMENT_ROWS][TILE_RANKS];
};

/* One increment. */
struct Increment {
  const f32 *h;      /* [rows, rank] */
  const f32 *factor; /* [rank, cols], or [cols, rank] if transposed */
  Triplets triplets;
  i32 rank, transposed;
  Dropout dropout; /* of the increment */
};

/* Sets the tile to h times e and scale, 0 for pruned triplets and past the ends. */
DEVICE void load_scaled_h(HTile &tile, const Increment &of, i32 first_row, i32 rows,
                          i32 first_rank) {
  for (i32 i = (i32)threadIdx.x; i < INCREMENT_ROWS * TILE_RANKS; i += (i32)blockDim.x) {
    const i32 r = first_row + i / TILE_RANKS, k = first_rank + i % TILE_RANKS;
    const bool read = r < rows && k < of.rank && !is_pruned(of.triplets, k);
    tile.of[i / TILE_RANKS][i % TILE_RANKS] =
        read ? multiplier(of.triplets, k) * of.h[(i64)r * of.rank + k] : 0.0f;
  }
}

/* The sums of a thread: its warp's rows, its lane's columns. */
struct Sums {
  Four row[ROWS_OF_WARP];
};

/* Adds an increment to the sums of the block's tile. Its factors are not rounded, as they are not
 * on the CPU. */
DEVICE void add_increment(Sums &sums, const Increment &of, i32 first_row, i32 rows,
                          i32 first_column, i32 cols) {
  __shared__ HTile left;
  __shared__ FactorTile right;
  Sums own = {};
  for (i32 first = 0; first < of.rank; first += TILE_RANKS) {
    __syncthreads(); /* the tiles before have been read */
    load_scaled_h(left, of, first_row, rows, first);
    load_factor<f32>(right, of.factor, first, of.rank, first_column, cols, of.transposed,
                   [&](i32 k) { return is_pruned(of.triplets, k); });
    __syncthreads();
#pragma unroll
    for (i32 k = 0; k < TILE_RANKS; k++) {
      const Four factor = columns_of(right, k);
#pragma unroll
      for (i32 r = 0; r < ROWS_OF_WARP; r++)
#pragma unroll
        for (i32 i = 0; i < 4; i++)
          own.row[r].of[i] += left.of[warp() * ROWS_OF_WARP + r][k] * factor.of[i];
    }
  }
#pragma unroll
  for (i32 r = 0; r < ROWS_OF_WARP; r++) {
    const i32 row = first_row + warp() * ROWS_OF_WARP + r;
    const Factors factors = dropout_factors(of.dropout, row, first_column / 4 + lane());
#pragma unroll
    for (i32 i = 0; i < 4; i++) sums.row[r].of[i] += factors.of[i] * own.row[r].of[i];
  }
}

/* Where sums are added: y [rows, cols], its rows `stride` elements apart. */
template <class T> struct Result {
  T *y;
  i32 rows, cols, stride;
  const f32 *bias; /* NULL: none */
  T *activated;    /* [rows, cols], set to f(y); NULL: not; may be y */
  i32 kind;
};

/* Adds the sums, and the bias, to the block's tile. */
template <class T>
DEVICE void add_sums(const Result<T> &to, const Sums &sums, i32 first_row, i32 first_column) {
  const i32 col = first_column + 4 * lane();
  const bool aligned = rows_are_aligned(to.y, to.stride),
             aligned_result = rows_are_aligned(to.activated, to.cols);
  Four bias = {};
  if (to.bias) bias = load_four(to.bias, col, to.cols, false);
#pragma unroll
  for (i32 r = 0; r < ROWS_OF_WARP; r++) {
    const i32 row = first_row + warp() * ROWS_OF_WARP + r;
    if (row >= to.rows) continue;
    T *y = to.y + (i64)row * to.stride;
    Four values = load_four(y, col, to.cols, aligned);
#pragma unroll
    for (i32 i = 0; i < 4; i++) values.of[i] += sums.row[r].of[i] + bias.of[i];
    store_four(y, col, to.cols, aligned, values);
    if (!to.activated) continue;
#pragma unroll
    for (i32 i = 0; i < 4; i++) values.of[i] = activation(to.kind, rounded<T>(values.of[i]));
    store_four(to.activated + (i64)row * to.cols, col, to.cols, aligned_result, values);
  }
}

#define INCREMENT(i)                                                                              \
  Increment {                                                                                     \
    h.of[i], factor.of[i], Triplets{e.of[i], e_scale.of[i]}, rank.of[i], transposed,              \
        Dropout {                                                                                 \
      threshold.of[i], scale.of[i], key0.of[i], key1.of[i], step.of[i], site.of[i]                \
    }                                                                                             \
  }

#define LOW_RANK(T)                                                                               \
  /* Adds to each matrix of a group, one per block z, its own increment, or to a single matrix    \
   * the first `count` increments, in order. Then adds its bias and activates it. */              \
  KERNEL void TILED add_low_rank_##T(                                                             \
      GROUPED(T *) y, GROUPED(i32) cols, GROUPED(i32) stride, GROUPED(const f32 *) bias,          \
      GROUPED(T *) activated, GROUPED(i32) kind, i32 rows, i32 count, GROUPED(const f32 *) h,     \
      GROUPED(const f32 *) factor, GROUPED(const f32 *) e, GROUPED(f32) e_scale,                  \
      GROUPED(i32) rank, i32 transposed, GROUPED(u32) threshold, GROUPED(f32) scale,              \
      GROUPED(u32) key0, GROUPED(u32) key1, GROUPED(u32) step, GROUPED(u32) site) {               \
    const i32 z = (i32)blockIdx.z, first_row = (i32)blockIdx.y * INCREMENT_ROWS,                  \
              first_column = (i32)blockIdx.x * TILE_COLUMNS;                                      \
    if (first_column >= cols.of[z]) return;                                                       \
    Sums sums = {};                                                                               \
    for (i32 i = z; i < z + count; i++)                                                           \
      add_increment(sums, INCREMENT(i), first_row, rows, first_column, cols.of[z]);               \
    add_sums(Result<T>{y.of[z], rows, cols.of[z], stride.of[z], bias.of[z], activated.of[z],      \
                       kind.of[z]},                                                               \
             sums, first_row, first_column);                                                      \
  }

LOW_RANK(f32)
LOW_RANK(bf16)
