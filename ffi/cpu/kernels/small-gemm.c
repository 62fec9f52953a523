#include "small-gemm.h"
#include "tiles.h"

typedef struct {
  int k;
  const float *a;
  ptrdiff_t a_row, a_col;
  const float *b;
  ptrdiff_t ldb;
  act *c;
  ptrdiff_t ldc;
  int add;
  const float *bias;
} operands;

ADL_INLINE void tile(const int rows, const int vectors, const operands *o) {
  vec sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) {
      sum[i][j] = o->add ? vec_load_act(o->c + i * o->ldc + j * ADL_VECTOR) : (vec){0};
      if (o->bias) sum[i][j] += vec_load(o->bias + j * ADL_VECTOR);
    }
  }
  const float *a = o->a, *b = o->b;
  const ptrdiff_t a_row = o->a_row, a_col = o->a_col, ldb = o->ldb;
  for (int p = 0; p < o->k; p++, a += a_col, b += ldb) {
    vec row[TILE_VECTORS];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) row[j] = vec_load(b + j * ADL_VECTOR);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
      for (int j = 0; j < vectors; j++) sum[i][j] += a[i * a_row] * row[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) vec_store_act(o->c + i * o->ldc + j * ADL_VECTOR, sum[i][j]);
  }
}

DEFINE_ANY_TILE(tile, operands)

void ADL_ACT(small_gemm)(int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                         const float *b, ptrdiff_t ldb, act *c, ptrdiff_t ldc, int add,
                         const float *bias) {
  int vectors = n / ADL_VECTOR + (n % ADL_VECTOR != 0);
  for (int j = 0; j < vectors; j += TILE_VECTORS) {
    int column = j * ADL_VECTOR;
    for (int i = 0; i < m; i += TILE_ROWS) {
      operands o = {k,   a + i * a_row,        a_row, a_col, b + column,
                    ldb, c + i * ldc + column, ldc,   add,   bias ? bias + column : NULL};
      any_tile((int)adl_min(m - i, TILE_ROWS), (int)adl_min(vectors - j, TILE_VECTORS), &o);
    }
  }
}
