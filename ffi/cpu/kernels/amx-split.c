/* Operands and products of split.h. */
#include "split.h"

#include "amx-config.h"

/* The terms of 16 floats, each in the upper halves of lanes. */
typedef struct {
  __m512i term[SPLIT_TERMS];
} terms;

/* Rounds to bf16; of two equally near values the larger one. */
ADL_INLINE __m512i round_half_up(__m512i bits) {
  return _mm512_and_si512(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)),
                          _mm512_set1_epi32((int)0xffff0000u));
}

/* Each remainder is exact: it has 16 bits after the first term, 8 after the second. */
ADL_INLINE terms split(vec x) {
  terms s;
  s.term[0] = round_half_up((__m512i)x);
  const vec rest = x - (vec)s.term[0];
  s.term[1] = round_half_up((__m512i)rest);
  s.term[2] = (__m512i)(rest - (vec)s.term[1]);
  return s;
}

typedef struct {
  __m512i smallest, largest;
} ranges;

ADL_INLINE void extend_range(ranges *r, vec x) {
  const __m512i bits = _mm512_and_si512((__m512i)x, _mm512_set1_epi32(0x7fffffff));
  r->largest = _mm512_max_epu32(r->largest, bits);
  r->smallest = _mm512_min_epu32(r->smallest, _mm512_sub_epi32(bits, _mm512_set1_epi32(1)));
}

ADL_INLINE split_range reduce(const ranges *r) {
  return (split_range){_mm512_reduce_min_epu32(r->smallest), _mm512_reduce_max_epu32(r->largest)};
}

/* A tile's elements in memory: rows and columns that exist. */
typedef struct {
  const float *from;
  ptrdiff_t step;
  int rows, columns;
} source;

/* Loads 16 elements from (row, column) on; 0 outside. `full`: a constant, whether all exist. */
ADL_INLINE vec load_source(const int full, const source *s, int row, int column) {
  const float *at = s->from + row * s->step + column;
  if (full) return vec_load(at);
  const int64_t valid = row < s->rows ? adl_min(s->columns - column, 16) : 0;
  if (valid <= 0) return (vec){0};
  return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << valid) - 1), at);
}

/* Elements in the upper halves of the lanes of two vectors, in order. */
ADL_INLINE __m512i upper_halves(__m512i a, __m512i b) {
  const __m512i odd =
      _mm512_set_epi32(0x003f003d, 0x003b0039, 0x00370035, 0x00330031, 0x002f002d, 0x002b0029,
                       0x00270025, 0x00230021, 0x001f001d, 0x001b0019, 0x00170015, 0x00130011,
                       0x000f000d, 0x000b0009, 0x00070005, 0x00030001);
  return _mm512_permutex2var_epi16(a, odd, b);
}

/* Splits a tile of 16 rows by 32 elements. `full` and `found` (NULL or not) are constants. */
ADL_INLINE void left_tile(const int full, uint16_t *to, const source *s, ranges *found) {
#pragma GCC unroll 4
  for (int r = 0; r < SPLIT_ROWS; r++, to += SPLIT_DEPTH) {
    const vec x = load_source(full, s, r, 0), y = load_source(full, s, r, 16);
    if (found) extend_range(found, x);
    if (found) extend_range(found, y);
    const terms a = split(x), b = split(y);
#pragma GCC unroll 3
    for (int t = 0; t < SPLIT_TERMS; t++)
      _mm512_storeu_si512(to + t * SPLIT_TILE, upper_halves(a.term[t], b.term[t]));
  }
}

/* Splits a tile of 32 rows by 16 columns in the same way. */
ADL_INLINE void right_tile(const int full, uint16_t *to, const source *s, ranges *found) {
#pragma GCC unroll 4
  for (int r = 0; r < SPLIT_DEPTH; r += 2, to += SPLIT_DEPTH) {
    const vec x = load_source(full, s, r, 0), y = load_source(full, s, r + 1, 0);
    if (found) extend_range(found, x);
    if (found) extend_range(found, y);
    const terms a = split(x), b = split(y);
#pragma GCC unroll 3
    for (int t = 0; t < SPLIT_TERMS; t++) {
      const __m512i low = _mm512_srli_epi32(a.term[t], 16);
      _mm512_storeu_si512(to + t * SPLIT_TILE, _mm512_mask_mov_epi16(low, 0xaaaaaaaa, b.term[t]));
    }
  }
}

void split_left(uint16_t *to, const float *from, ptrdiff_t step, int rows, int depth,
                split_range *range) {
  ranges found = {_mm512_set1_epi32(-1), _mm512_setzero_si512()};
  for (int i = 0; i < rows; i += SPLIT_ROWS) {
    for (int p = 0; p < depth; p += SPLIT_DEPTH, to += SPLIT_TERMS * SPLIT_TILE) {
      const source s = {from + i * step + p, step, rows - i, depth - p};
      const int full = s.rows >= SPLIT_ROWS && s.columns >= SPLIT_DEPTH;
      if (full && !range)
        left_tile(1, to, &s, NULL);
      else if (full)
        left_tile(1, to, &s, &found);
      else
        left_tile(0, to, &s, &found);
    }
  }
  if (range) *range = reduce(&found);
}

void split_right(uint16_t *to, const float *from, ptrdiff_t step, int depth, int columns,
                 split_range *range) {
  ranges found = {_mm512_set1_epi32(-1), _mm512_setzero_si512()};
  for (int j = 0; j < columns; j += SPLIT_ROWS) {
    for (int p = 0; p < depth; p += SPLIT_DEPTH, to += SPLIT_TERMS * SPLIT_TILE) {
      const source s = {from + p * step + j, step, depth - p, columns - j};
      const int full = s.rows >= SPLIT_DEPTH && s.columns >= SPLIT_ROWS;
      if (full && !range)
        right_tile(1, to, &s, NULL);
      else if (full)
        right_tile(1, to, &s, &found);
      else
        right_tile(0, to, &s, &found);
    }
  }
  if (range) *range = reduce(&found);
}

void split_transpose(uint16_t *to, const uint16_t *from, int rows, int depth) {
  const int64_t count = adl_round_up(rows, SPLIT_ROWS) * adl_round_up(depth, SPLIT_DEPTH) *
                        SPLIT_TERMS / SPLIT_TILE;
  for (int64_t tile = 0; tile < count; tile++, from += SPLIT_TILE, to += SPLIT_TILE) {
    vec pairs[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) pairs[i] = (vec)_mm512_loadu_si512(from + i * SPLIT_DEPTH);
    vec_transpose(pairs);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + i * SPLIT_DEPTH, (__m512i)pairs[i]);
  }
}

void split_begin(void) { amx_begin(); }

void split_end(void) { amx_end(); }

typedef struct {
  int steps; /* tiles along the depth */
  const uint16_t *a, *b;
  int64_t a_next, b_next; /* to the next 16 rows or columns */
  float *c;
  int64_t ldc, c_next; /* to the next row, and the next 16 columns */
  int add;
} product;

/* Load, zero and store tile register t. */
#define TILE_START(t, i, j)                                                                        \
  do {                                                                                             \
    if (o->add)                                                                                    \
      _tile_loadd(t, o->c + 16 * (i)*o->ldc + (j)*o->c_next, o->ldc * 4);                          \
    else                                                                                           \
      _tile_zero(t);                                                                               \
  } while (0)
#define TILE_END(t, i, j) _tile_stored(t, o->c + 16 * (i)*o->ldc + (j)*o->c_next, o->ldc * 4)
#define TILE_LOAD(t, from) _tile_loadd(t, from, 64)

/* Load a term of the operands' tiles; multiply the loaded terms. */
#define LOAD_LEFT(term)                                                                            \
  do {                                                                                             \
    TILE_LOAD(4, a + (term)*SPLIT_TILE);                                                           \
    if (tall) TILE_LOAD(5, a + (term)*SPLIT_TILE + o->a_next);                                     \
  } while (0)
#define LOAD_RIGHT(term)                                                                           \
  do {                                                                                             \
    TILE_LOAD(6, b + (term)*SPLIT_TILE);                                                           \
    if (wide) TILE_LOAD(7, b + (term)*SPLIT_TILE + o->b_next);                                     \
  } while (0)
#define ADD_PRODUCTS()                                                                             \
  do {                                                                                             \
    _tile_dpbf16ps(0, 4, 6);                                                                       \
    if (wide) _tile_dpbf16ps(1, 4, 7);                                                             \
    if (tall) _tile_dpbf16ps(2, 5, 6);                                                             \
    if (tall && wide) _tile_dpbf16ps(3, 5, 7);                                                     \
  } while (0)

/* Computes up to four tiles, so that each loaded operand tile is used twice: two tiles of rows if
 * `tall`, two of columns if `wide`. Both are constants at every call. */
ADL_INLINE void tiles(const int tall, const int wide, const product *o) {
  const uint16_t *a = o->a, *b = o->b;
  TILE_START(0, 0, 0);
  if (wide) TILE_START(1, 0, 1);
  if (tall) TILE_START(2, 1, 0);
  if (tall && wide) TILE_START(3, 1, 1);
  for (int p = 0; p < o->steps; p++, a += SPLIT_TERMS * SPLIT_TILE, b += SPLIT_TERMS * SPLIT_TILE) {
    LOAD_LEFT(2);
    LOAD_RIGHT(0);
    ADD_PRODUCTS();
    LOAD_LEFT(1);
    ADD_PRODUCTS();
    LOAD_RIGHT(1);
    ADD_PRODUCTS();
    LOAD_LEFT(0);
    ADD_PRODUCTS();
    LOAD_RIGHT(2);
    ADD_PRODUCTS();
    LOAD_RIGHT(0);
    ADD_PRODUCTS();
  }
  TILE_END(0, 0, 0);
  if (wide) TILE_END(1, 0, 1);
  if (tall) TILE_END(2, 1, 0);
  if (tall && wide) TILE_END(3, 1, 1);
}

void split_multiply(int m, int n, int k, const uint16_t *a, int a_depth, const uint16_t *b,
                    int b_depth, float *c, int64_t ldc, int64_t c_next, int add) {
  /* GCC 12 does not know that a tile load reads memory: earlier stores must not move past it. */
  __asm__ volatile("" ::: "memory");
  const int64_t a_next = split_elements(16, a_depth), b_next = split_elements(16, b_depth);
  const int steps = (k + SPLIT_DEPTH - 1) / SPLIT_DEPTH;
  for (int j = 0; j < n; j += 32) {
    for (int i = 0; i < m; i += 32) {
      const product o = {.steps = steps,
                         .a = a + i / 16 * a_next,
                         .b = b + j / 16 * b_next,
                         .a_next = a_next,
                         .b_next = b_next,
                         .c = c + i * ldc + j / 16 * c_next,
                         .ldc = ldc,
                         .c_next = c_next,
                         .add = add};
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
