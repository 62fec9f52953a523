/* Matrix products too small for a library's packing and threads to pay: a few hundred rows, run on
 * one thread. */
#pragma once

#include "activation-type.h"

/*
 * C[m, n] = A B, or += with `add`, plus bias[n] in each row where it is given (with `add` alone).
 * A(i, p) = a[i * a_row + p * a_col], so that a transposed A needs no copy; B is [k, n] and C [m,
 * n] with strides ldb, ldc. n is in whole vectors: rows of B, C and bias hold a multiple of
 * ADL_VECTOR floats from their start. Sums run over p in order.
 */
void ADL_ACT(small_gemm)(int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                         const float *b, ptrdiff_t ldb, act *c, ptrdiff_t ldc, int add,
                         const float *bias);

/* The same with C in float, whatever activations are. */
void adl_small_gemm_f32(int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                        const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc, int add,
                        const float *bias);
#define adl_small_gemm adl_small_gemm_f32
