/*
 * Tensor cores and asynchronous copies, all of compute capability 8.0: one function an instruction,
 * which the emulator's tensor-cores.h has for g++, and products of three of them.
 *
 * A fragment is what each lane of a warp holds of a matrix, in pairs of bf16 or as f32. With
 * g = lane / 4 and t = lane % 4:
 *   left [16, 16]    a[0]: row g, columns 2t and 2t + 1; a[1]: row g + 8; a[2], a[3]: columns + 8
 *   right [16, 8]    b0: rows 2t and 2t + 1, column g; b1: rows + 8
 *   sum [16, 8]      sum[0], sum[1]: row g, columns 2t and 2t + 1; sum[2], sum[3]: row g + 8
 */
#pragma once

#include "language.h"

#ifndef ADL_EMULATED

/* This thread's index in its block, read by an instruction that the compiler neither moves nor
 * shares. */
DEVICE i32 read_thread() {
  i32 thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

DEVICE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }

/* sum += left right, by a whole warp: operands in bf16, products summed in f32. */
DEVICE void mma(f32 (&sum)[4], const u32 (&left)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(b0), "r"(b1));
}

/*
 * Loads four matrices of 8 rows of 16 bytes from shared memory, by a whole warp: lane l passes the
 * address of row l % 8 of matrix l / 8, and gets columns 2t and 2t + 1 of row g of each.
 */
DEVICE void load_matrices(u32 (&matrices)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row))
               : "memory");
}

/* The same with each matrix transposed: rows 2t and 2t + 1 of column g. */
DEVICE void load_matrices_transposed(u32 (&matrices)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row))
               : "memory");
}

/*
 * Starts to copy 16 bytes to shared memory, of which those after `bytes` become 0 and are not read.
 * Both addresses are multiples of 16. The L1 cache is bypassed: a tile is read once a block.
 */
DEVICE void copy_async(void *to, const void *from, i32 bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
               "l"(from), "r"(bytes)
               : "memory");
}

/* Makes a group of this thread's copies since the last. */
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Waits for this thread's groups but the last `left`. Others see the copies after a barrier. */
template <i32 left> DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

/* A pair of bf16, rounded to nearest, ties to even. */
DEVICE u32 pack_bf16(f32 low, f32 high) {
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

#endif

/*
 * sums += left right for a right operand of 16 columns, which lie in shared memory as rows of 16
 * bytes: rows of the first two matrices are columns of the first sum, those of the others of the
 * second. Lane l passes a row as to load_matrices.
 */
DEVICE void mma_columns_by_parts(f32 (&first)[4], f32 (&second)[4], const u32 (&left)[4],
                                 const void *row) {
  u32 right[4];
  load_matrices(right, row);
  mma(first, left, right[0], right[1]);
  mma(second, left, right[2], right[3]);
}
DEVICE void mma_columns(f32 (&first)[4], f32 (&second)[4], const u32 (&left)[4], const void *row) {
#ifdef ADL_EMULATED
  emulator::mma_loaded<false>(first, second, left, row); /* the same, in one exchange */
#else
  mma_columns_by_parts(first, second, left, row);
#endif
}

/* The same where rows of the matrices are rows of the right operand. */
DEVICE void mma_rows_by_parts(f32 (&first)[4], f32 (&second)[4], const u32 (&left)[4],
                              const void *row) {
  u32 right[4];
  load_matrices_transposed(right, row);
  mma(first, left, right[0], right[1]);
  mma(second, left, right[2], right[3]);
}
DEVICE void mma_rows(f32 (&first)[4], f32 (&second)[4], const u32 (&left)[4], const void *row) {
#ifdef ADL_EMULATED
  emulator::mma_loaded<true>(first, second, left, row);
#else
  mma_rows_by_parts(first, second, left, row);
#endif
}
