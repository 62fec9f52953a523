/* Products of bf16 pairs: in AMX tiles of 16 x 16 sums where the CPU has them, else in tiles of
 * vectors, by an instruction that adds two products to each sum. */
#include "operands.h"
#include "tiles.h"

typedef struct {
  int k;
  const left *a;
  int64_t lda;
  const right *b;
  int64_t ldb;
  float *c;
  int64_t ldc;
  int add;
} product;

#ifdef __AMX_BF16__

#include "amx-config.h"

void begin_products(void) { amx_begin(); }

void end_products(void) { amx_end(); }

/* Load, zero and store tile register t: tile (i, j) of C, (i, p) of A, (p, j) of B. */
#define TILE_START(t, i, j)                                                                        \
  do {                                                                                             \
    if (o->add)                                                                                    \
      _tile_loadd(t, o->c + (i)*o->ldc + (j), o->ldc * 4);                                         \
    else                                                                                           \
      _tile_zero(t);                                                                               \
  } while (0)
#define TILE_END(t, i, j) _tile_stored(t, o->c + (i)*o->ldc + (j), o->ldc * 4)
#define TILE_LEFT(t, i) _tile_loadd(t, o->a + (i)*o->lda + p, o->lda * 2)
#define TILE_RIGHT(t, j) _tile_loadd(t, o->b + p / 2 * o->ldb + (j), o->ldb * 4)

/* Computes up to four tiles, so that each loaded operand tile is used twice: two tiles of rows if
 * `tall`, two of columns if `wide`. Both are constants at every call. */
ADL_INLINE void tiles(const int tall, const int wide, const product *o) {
  TILE_START(0, 0, 0);
  if (wide) TILE_START(1, 0, 16);
  if (tall) TILE_START(2, 16, 0);
  if (tall && wide) TILE_START(3, 16, 16);
  for (int p = 0; p < o->k; p += OPERAND_DEPTH) {
    TILE_LEFT(4, 0);
    TILE_RIGHT(6, 0);
    _tile_dpbf16ps(0, 4, 6);
    if (wide) TILE_RIGHT(7, 16);
    if (wide) _tile_dpbf16ps(1, 4, 7);
    if (tall) TILE_LEFT(5, 16);
    if (tall) _tile_dpbf16ps(2, 5, 6);
    if (tall && wide) _tile_dpbf16ps(3, 5, 7);
  }
  TILE_END(0, 0, 0);
  if (wide) TILE_END(1, 0, 16);
  if (tall) TILE_END(2, 16, 0);
  if (tall && wide) TILE_END(3, 16, 16);
}

void multiply(int m, int n, int k, const left *a, int64_t lda, const right *b, int64_t ldb,
              float *c, int64_t ldc, int add) {
  /* GCC 12 does not know that a tile load reads memory: earlier stores must not move past it. */
  __asm__ volatile("" ::: "memory");
  for (int j = 0; j < n; j += 32) {
    for (int i = 0; i < m; i += 32) {
      const product o = {k, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, add};
      const int tall = m - i > 16, wide = n - j > 16;
      if (tall && wide)
        tiles(1, 1, &o);
      else if (tall)
        tiles(1, 0, &o);
      else if (wide)
        tiles(0, 1, &o);
      else
        tiles(0, 0, &o);
    }
  }
}

#else

ADL_INLINE void tile(const int rows, const int vectors, const product *o) {
  vec sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++)
      sum[i][j] = o->add ? vec_load(o->c + i * o->ldc + j * ADL_VECTOR) : (vec){0};
  }
  const left *a = o->a;
  const right *b = o->b;
  for (int p = 0; p < o->k; p += 2, a += 2, b += o->ldb) {
    __m512i row[TILE_VECTORS];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) row[j] = _mm512_loadu_si512(b + j * ADL_VECTOR);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      int32_t pair;
      memcpy(&pair, a + i * o->lda, sizeof pair);
      const __m512i all = _mm512_set1_epi32(pair);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; j++) sum[i][j] = vec_add_pairs(sum[i][j], all, row[j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) vec_store(o->c + i * o->ldc + j * ADL_VECTOR, sum[i][j]);
  }
}

DEFINE_ANY_TILE(tile, product)

void multiply(int m, int n, int k, const left *a, int64_t lda, const right *b, int64_t ldb,
              float *c, int64_t ldc, int add) {
  const int vectors = n / ADL_VECTOR + (n % ADL_VECTOR != 0);
  for (int j = 0; j < vectors; j += TILE_VECTORS) {
    const int column = j * ADL_VECTOR;
    for (int i = 0; i < m; i += TILE_ROWS) {
      const product o = {k, a + i * lda, lda, b + column, ldb, c + i * ldc + column, ldc, add};
      any_tile((int)adl_min(m - i, TILE_ROWS), (int)adl_min(vectors - j, TILE_VECTORS), &o);
    }
  }
}

#endif

/* Rounds rows of floats into a left operand. */
static void round_rows(left *to, const float *from, int64_t stride, int rows, int k) {
  const int64_t padded = padded_depth(k);
  for (int r = 0; r < rows; r++, from += stride, to += padded) {
    int p = 0;
    for (; p + ADL_VECTOR <= k; p += ADL_VECTOR) vec_store_act(to + p, vec_load(from + p));
    const __mmask16 rest = (__mmask16)((1u << (k - p)) - 1);
    for (; p < padded; p += ADL_VECTOR) {
      const vec valid = p < k ? (vec)_mm512_maskz_loadu_ps(rest, from + p) : (vec){0};
      vec_store_act(to + p, valid);
    }
  }
}

/* Rounds columns of floats into rows of a left operand, 16 at a time; `stride` is the row stride of
 * `from`. */
static void round_columns(left *to, const float *from, int64_t stride, int rows, int k) {
  const int64_t padded = padded_depth(k);
  for (int r = 0; r < rows; r += 16) {
    for (int p = 0; p < k; p += OPERAND_DEPTH) {
      vec pairs[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) {
        const float *lower = from + (p + 2 * i) * stride + r;
        const vec a = p + 2 * i < k ? vec_load(lower) : (vec){0},
                  b = p + 2 * i + 1 < k ? vec_load(lower + stride) : (vec){0};
        pairs[i] = (vec)_mm512_or_si512(vec_act_bits(a), _mm512_slli_epi32(vec_act_bits(b), 16));
      }
      vec_transpose(pairs);
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++)
        _mm512_storeu_si512(to + (r + i) * padded + p, (__m512i)pairs[i]);
    }
  }
}

void multiply_floats(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col,
                     const right *b, int64_t ldb, float *c, int64_t ldc, int add, left *panel) {
  for (int i = 0; i < m; i += PANEL_ROWS) {
    const int rows = (int)adl_min(m - i, PANEL_ROWS);
    if (a_col == 1)
      round_rows(panel, a + i * a_row, a_row, rows, k);
    else
      round_columns(panel, a + i, a_col, rows, k);
    multiply(rows, n, k, panel, padded_depth(k), b, ldb, c + i * ldc, ldc, add);
  }
}
