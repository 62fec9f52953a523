/* Operands in bf16. */
#include "operands.h"

/* Loads 16 elements of a row from column d into the low halves of lanes; 0 after dim and for a NULL
 * row. */
ADL_INLINE __m512i load_low_halves(const act *row, int d, int dim) {
  const int64_t valid = row ? adl_min(dim - d, 16) : 0;
  if (valid <= 0) return _mm512_setzero_si512();
  const __mmask16 mask = (__mmask16)((1u << valid) - 1);
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + d));
}

/* Interleaves 32 elements of two rows. */
ADL_INLINE void interleave_rows(right *to, const act *lower, const act *upper) {
  const __m512i low_half =
      _mm512_set_epi32(0x002f000f, 0x002e000e, 0x002d000d, 0x002c000c, 0x002b000b, 0x002a000a,
                       0x00290009, 0x00280008, 0x00270007, 0x00260006, 0x00250005, 0x00240004,
                       0x00230003, 0x00220002, 0x00210001, 0x00200000);
  const __m512i high_half = _mm512_add_epi16(low_half, _mm512_set1_epi16(16));
  const __m512i a = _mm512_loadu_si512(lower), b = _mm512_loadu_si512(upper);
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, low_half, b));
  _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi16(a, high_half, b));
}

void copy_right(right *to, const act *from, ptrdiff_t step, int rows, int dim) {
  const int64_t padded = padded_depth(dim);
  int r = 0;
  for (; r < rows; r += 2, to += padded) {
    const act *lower = from + r * step, *upper = r + 1 < rows ? lower + step : NULL;
    int d = 0;
    for (; upper && d + OPERAND_DEPTH <= dim; d += OPERAND_DEPTH)
      interleave_rows(to + d, lower + d, upper + d);
    for (; d < padded; d += 16) {
      const __m512i pairs = _mm512_or_si512(load_low_halves(lower, d, dim),
                                            _mm512_slli_epi32(load_low_halves(upper, d, dim), 16));
      _mm512_storeu_si512(to + d, pairs);
    }
  }
  const int64_t end = padded_depth(rows) + OPERAND_DEPTH;
  memset(to, 0, sizeof(right) * (size_t)((end - r) / 2 * padded));
}

void copy_right_transposed(right *to, int64_t stride, const act *from, ptrdiff_t step, int rows,
                           int dim) {
  for (int r = 0; r < rows; r += 16) {
    for (int d = 0; d < dim; d += OPERAND_DEPTH) {
      const int64_t valid = adl_min(dim - d, OPERAND_DEPTH);
      const __mmask32 mask = (__mmask32)(((uint64_t)1 << valid) - 1);
      vec pairs[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) {
        pairs[i] = r + i < rows ? (vec)_mm512_maskz_loadu_epi16(mask, from + (r + i) * step + d)
                                : (vec){0};
      }
      vec_transpose(pairs);
#pragma GCC unroll 16
      for (int c = 0; c < 16; c++)
        _mm512_storeu_si512(to + (d / 2 + c) * stride + r, (__m512i)pairs[c]);
    }
  }
}
