/* Conversion of checkpoint dtypes to the activation type. Sources may be unaligned. */
#include "activation-type.h"
#include "vector-math.h"

/* Values as in SOURCES of backend/adopt.ts. */
enum source { F16, BF16, F64, I64, F32 };

/* IEEE half: its exponent and fraction, read as a float's, are 2^112 too small. An infinity or NaN
 * has all exponent bits set. */
ADL_INLINE float from_half(uint16_t half) {
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  uint32_t scaled = (uint32_t)bits_of(float_of((int32_t)magnitude) * 0x1p112f);
  uint32_t bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : scaled;
  return float_of((int32_t)(bits | (uint32_t)(half & 0x8000) << 16));
}

#define CONVERT(type, expression)                                                                  \
  {                                                                                                \
    const int parts = adl_parts(n);                                                                \
    ADL_FOR_PARTS(part, parts) {                                                                   \
      adl_range range = adl_part(n, ADL_LINE, part, parts);                                        \
      for (int64_t i = range.from; i < range.to; i++) {                                            \
        type x;                                                                                    \
        memcpy(&x, from + i * (int64_t)sizeof x, sizeof x);                                        \
        act_store(to + i, expression);                                                             \
      }                                                                                            \
    }                                                                                              \
    return ADL_OK;                                                                                 \
  }

/* Sets to[i] to element i of n elements of type `source`. */
ADL_API int ADL_ACT(convert)(int source, const uint8_t *from, act *to, int64_t n) {
  switch (source) {
  case F16:
    CONVERT(uint16_t, from_half(x))
  case BF16:
    CONVERT(uint16_t, float_of((int32_t)((uint32_t)x << 16)))
  case F64:
    CONVERT(double, (float)x)
  case I64:
    CONVERT(int64_t, (float)x)
  case F32:
    CONVERT(float, x)
  }
  return ADL_BAD_INDEX;
}
