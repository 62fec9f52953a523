/* Single-threaded products, too small to pay for a library's packing and threading: up to a few
 * hundred rows. */
#pragma once

#include "activation-type.h"

/*
 * C[m, n] = A B, or += with `add`, plus bias[n] in each row unless bias is NULL (only with `add`).
 * A(i, p) = a[i * a_row + p * a_col], so that a transposed A needs no copy; B is [k, n] and C is
 * [m, n], with strides ldb and ldc. Columns are processed in whole vectors: rows of B, C and bias
 * are padded to a multiple of ADL_VECTOR floats. Sums run over p in order.
 */
void ADL_ACT(small_gemm)(int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                         const float *b, ptrdiff_t ldb, act *c, ptrdiff_t ldc, int add,
                         const float *bias);

/* The same with C in float over either activation type. */
void adl_small_gemm_f32(int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                        const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc, int add,
                        const float *bias);
#define adl_small_gemm adl_small_gemm_f32
