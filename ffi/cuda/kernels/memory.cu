/* Conversion of a checkpoint's dtypes to the activation type: one thread an element. */
#include "device.h"

/* IEEE half: its exponent and fraction, read as a float's, are 2^112 too small. An infinity or NaN
 * has all exponent bits set. */
DEVICE f32 from_half(u16 half) {
  const u32 magnitude = (u32)(half & 0x7fff) << 13;
  const u32 scaled = __float_as_uint(__uint_as_float(magnitude) * 0x1p112f);
  const u32 bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : scaled;
  return __uint_as_float(bits | (u32)(half & 0x8000) << 16);
}

#define CONVERT(source, Source, T, expression)                                                     \
  /* Sets to[n] to the elements of `from`. */                                                      \
  KERNEL void convert_##source##_##T(const Source *from, T *to, i64 n) {                           \
    const i64 i = thread_index();                                                                  \
    if (i >= n) return;                                                                            \
    const Source x = from[i];                                                                      \
    store(to + i, expression);                                                                     \
  }

#define KERNELS(T)                                                                                 \
  CONVERT(f16, u16, T, from_half(x))                                                               \
  CONVERT(bf16, bf16, T, load(&x))                                                                 \
  CONVERT(f32, f32, T, x)                                                                          \
  CONVERT(f64, double, T, (f32)x)                                                                  \
  CONVERT(i64, i64, T, (f32)x)

KERNELS(f32)
KERNELS(bf16)
