/* Activation types. Kernels compute in f32 and access activations by `load` and `store`. */
#pragma once

#include "language.h"

/* The upper half of an f32. Needs an alignment of 2 bytes only. */
struct bf16 {
  u16 bits;
};

DEVICE f32 load(const f32 *p) { return *p; }

DEVICE f32 load(const bf16 *p) { return __uint_as_float((u32)p->bits << 16); }

DEVICE void store(f32 *p, f32 x) { *p = x; }

/* Rounds to nearest, ties to even; NaN stays NaN. */
DEVICE u32 bits_of_bf16(f32 x) {
  const u32 bits = __float_as_uint(x);
  const u32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return x == x ? rounded : bits >> 16 | 0x40u;
}

DEVICE void store(bf16 *p, f32 x) { p->bits = (u16)bits_of_bf16(x); }

/* x as an element of type T holds it, and so as a product's operand. */
template <class T> DEVICE f32 rounded(f32 x) {
  T element;
  store(&element, x);
  return load(&element);
}

DEVICE f32 infinity() { return __uint_as_float(0x7f800000u); }

DEVICE f32 not_a_number() { return __uint_as_float(0x7fc00000u); }
