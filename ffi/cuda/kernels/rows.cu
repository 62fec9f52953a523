/* Kernels that move rows. */
#include "device.h"

/* Sets y[r] = table[ids[r]], or adds it if `add`. */
template <class Table, class T>
DEVICE void gather_rows(const Table *table, const i32 *ids, T *y, i32 cols, i32 add) {
  const i32 col = own_column();
  if (col >= cols) return;
  T *to = y + (i64)own_row() * cols + col;
  store(to, load(table + (i64)ids[own_row()] * cols + col) + (add ? load(to) : 0.0f));
}

/* Calls visit(i) on every thread for each i in [from, count) with ids[i] == id, in order. The block
 * compares as many ids at a time as it has threads. */
template <class Visit>
DEVICE void each_match(const i32 *ids, i32 from, i32 count, i32 id, Visit visit) {
  __shared__ u32 matches[WARP];
  for (i32 first = from; first < count; first += blockDim.x) {
    const i32 own = first + (i32)threadIdx.x;
    const u32 found = __ballot_sync(ALL_LANES, own < count && ids[own] == id);
    if (lane() == 0) matches[warp()] = found;
    __syncthreads();
    for (i32 w = 0; w < warps(); w++) {
      i32 i = first + w * WARP;
      for (u32 bits = matches[w]; bits != 0; bits >>= 1, i++)
        if (bits & 1u) visit(i);
    }
    __syncthreads(); /* every thread has read the matches */
  }
}

/* Adds: table[ids[r]] += dy[r]. The block of an id's first row adds all rows with this id, in
 * order. */
template <class T, class Table>
DEVICE void scatter_add_rows(const T *dy, const i32 *ids, Table *table, i32 rows, i32 cols) {
  const i32 row = own_row(), id = ids[row], col = own_column();
  i32 earlier = 0;
  for (i32 i = threadIdx.x; i < row; i += blockDim.x) earlier |= ids[i] == id;
  if (block_max(earlier)) return;
  Table *to = table + (i64)id * cols + col;
  f32 sum = col < cols ? load(to) : 0.0f;
  each_match(ids, row, rows, id, [&](i32 r) {
    if (col < cols) sum += load(dy + (i64)r * cols + col);
  });
  if (col < cols) store(to, sum);
}

/* Sets y[r, c * width + t] = x[neighbours[r * width + t], c], 0 where the neighbour is -1. */
template <class T>
DEVICE void unfold(const T *x, const i32 *neighbours, T *y, i32 cols, i32 width) {
  const i32 at = own_column();
  if (at >= cols * width) return;
  const i64 row = own_row();
  const i32 col = at / width, from = neighbours[row * width + at % width];
  store(y + row * cols * width + at, from < 0 ? 0.0f : load(x + (i64)from * cols + col));
}

/* Adds: dx[neighbours[r * width + t], c] += dy[r, c * width + t]. Each block finds what its row of
 * dx gets, and adds it in order. */
template <class T>
DEVICE void fold_add(const T *dy, const i32 *neighbours, T *dx, i32 rows, i32 cols, i32 width) {
  const i32 row = own_row(), col = own_column();
  T *to = dx + (i64)row * cols + col;
  f32 sum = col < cols ? load(to) : 0.0f;
  each_match(neighbours, 0, rows * width, row, [&](i32 i) {
    const i64 from = (i64)(i / width) * cols * width + i % width;
    if (col < cols) sum += load(dy + from + (i64)col * width);
  });
  if (col < cols) store(to, sum);
}

/* With a table of the rows' type, or of another. */
#define TABLE_KERNELS(name, T, Table)                                                              \
  KERNEL void gather_##name(const Table *table, const i32 *ids, T *y, i32 cols, i32 add) {         \
    gather_rows(table, ids, y, cols, add);                                                         \
  }                                                                                                \
  KERNEL void scatter_add_##name(const T *dy, const i32 *ids, Table *table, i32 rows, i32 cols) {  \
    scatter_add_rows(dy, ids, table, rows, cols);                                                  \
  }

TABLE_KERNELS(f32_rows_f32, f32, f32)
TABLE_KERNELS(f32_rows_bf16, bf16, f32)
TABLE_KERNELS(bf16_rows_bf16, bf16, bf16)

#define KERNELS(T)                                                                                 \
  KERNEL void unfold_##T(const T *x, const i32 *neighbours, T *y, i32 cols, i32 width) {           \
    unfold(x, neighbours, y, cols, width);                                                         \
  }                                                                                                \
  KERNEL void fold_add_##T(const T *dy, const i32 *neighbours, T *dx, i32 rows, i32 cols,          \
                           i32 width) {                                                            \
    fold_add(dy, neighbours, dx, rows, cols, width);                                               \
  }

KERNELS(f32)
KERNELS(bf16)
