/*
 * What kernels/mma.h is for NVRTC: tensor cores, ldmatrix and cp.async on a CPU. Fragments lie in
 * the lanes as the PTX manual draws them for mma.m16n8k16 and ldmatrix.
 *
 * Copies land as late as a device may let them, at the wait, or at once if the launch says so: a
 * kernel that reads before it waits finds old values in the one way, a kernel that overwrites what
 * others still read shows in the other.
 */
#pragma once

#include "exchange.h"

namespace emulator {

/* A cp.async that has not landed. */
struct Copy {
  char *to;
  const char *from;
  unsigned bytes, group;
};

/* Of one thread. */
struct Copies {
  Copy list[128];
  unsigned count, group;
  unsigned long block;
};

inline Copies copies[MAX_THREADS];

/* The left operand: rows of columns 2 i and 2 i + 1. */
struct Left {
  float low[4][LANES], high[4][LANES]; /* by register and lane */
};

ADL_PART_OF_WORK void spread(Left &to, const unsigned (&a)[4][LANES]) {
  for (unsigned i = 0; i < 4; i++)
    for (unsigned l = 0; l < LANES; l += 8) {
      Pairs8 pairs;
      memcpy(&pairs, &a[i][l], sizeof pairs);
      const Pairs8 low = pairs << 16, high = pairs & 0xffff0000u;
      memcpy(&to.low[i][l], &low, sizeof low);
      memcpy(&to.high[i][l], &high, sizeof high);
    }
}

/* c += a b. Products of bf16 are exact in f32, so that fused sums have the same bits. */
ADL_PART_OF_WORK void multiply(Row8 (&c)[16], const Left &a, const Row8 (&b)[16]) {
  for (unsigned row = 0; row < 16; row++) {
    Row8 total = c[row];
    for (unsigned i = row / 8, k = 0; i < 4; i += 2)
#pragma GCC unroll 4
      for (unsigned l = row % 8 * 4; l < row % 8 * 4 + 4; l++, k += 2) {
        total += a.low[i][l] * b[k];
        total += a.high[i][l] * b[k + 1];
      }
    c[row] = total;
  }
}

ADL_WARP_WORK void multiply_fragments(Exchange &x) {
  Left a;
  spread(a, x.a);
  Row8 b[16];
  for (unsigned i = 0; i < 8; i++) {
    b[2 * i] = Row8(x.b[i] << 16);
    b[2 * i + 1] = Row8(x.b[i] & 0xffff0000u);
  }
  multiply(x.c[0], a, b);
}

/* Transposes eight rows of eight: each of three steps interleaves their halves. */
inline void transpose(Words8 (&rows)[8]) {
  const Words8 first = {0, 8, 1, 9, 2, 10, 3, 11}, second = {4, 12, 5, 13, 6, 14, 7, 15};
  for (unsigned step = 0; step < 3; step++) {
    Words8 next[8];
    for (unsigned i = 0; i < 4; i++) {
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + 4], first);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + 4], second);
    }
    memcpy(rows, next, sizeof next);
  }
}

/* Loads matrix m of the lanes' rows. */
ADL_PART_OF_WORK void load_matrix(Words8 (&matrix)[8], const Exchange &x, unsigned m, bool transposed) {
  for (unsigned i = 0; i < 8; i++) memcpy(&matrix[i], x.rows[8 * m + i], sizeof matrix[i]);
  if (transposed) transpose(matrix);
}

ADL_WARP_WORK void load_all_matrices(Exchange &x, bool transposed) {
  for (unsigned m = 0; m < 4; m++) load_matrix(x.matrices[m], x, m, transposed);
}

/* c += a b for both halves of 16 columns, of which the lanes' rows are columns or `rows`. */
ADL_WARP_WORK void multiply_loaded(Exchange &x, bool rows) {
  Left a;
  spread(a, x.a);
  for (unsigned half = 0; half < 2; half++) {
    Row8 b[16];
    for (unsigned m = 0; m < 2; m++) {
      Words8 matrix[8];
      load_matrix(matrix, x, 2 * half + m, !rows);
      for (unsigned k = 0; k < 8; k++)
        b[8 * m + k] = Row8(__builtin_convertvector(matrix[k], Pairs8) << 16);
    }
    multiply(x.c[half], a, b);
  }
}

/* The address of a row of 16 bytes in the block's dynamic shared memory. */
ADL_UNCHECKED inline char *shared_row(const void *row) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(row),
                  from = reinterpret_cast<uintptr_t>(block.shared);
  if (at % 16) stop("misaligned address: a row of 16 bytes");
  if (at < from || at + 16 > from + block.launch->shared_bytes)
    stop("a row of 16 bytes lies outside the dynamic shared memory");
  return reinterpret_cast<char *>(at);
}

ADL_UNCHECKED inline void land(const Copy &copy) {
  memcpy(copy.to, copy.from, copy.bytes);
  memset(copy.to + copy.bytes, 0, 16 - copy.bytes);
}

ADL_UNCHECKED inline Copies &own_copies() {
  Copies &own = copies[block.current];
  if (own.block != block.number) own.count = own.group = 0;
  own.block = block.number;
  return own;
}

template <bool transposed>
ADL_UNCHECKED inline void load_rows(unsigned (&matrices)[4], const void *row) {
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES;
  exchange.rows[self] = shared_row(row);
  with_whole_warp(exchange, [&] { load_all_matrices(exchange, transposed); });
  for (unsigned m = 0; m < 4; m++)
    memcpy(&matrices[m], reinterpret_cast<const char *>(exchange.matrices[m]) + 4 * self, 4);
}

/* The sums of a lane: two columns of rows g and g + 8. */
ADL_UNCHECKED inline void put_sums(Row8 (&c)[16], const float (&sum)[4]) {
  char *to = reinterpret_cast<char *>(c) + 8 * (block.current % LANES);
  memcpy(to, sum, 8);
  memcpy(to + sizeof c / 2, sum + 2, 8);
}
ADL_UNCHECKED inline void get_sums(float (&sum)[4], const Row8 (&c)[16]) {
  const char *from = reinterpret_cast<const char *>(c) + 8 * (block.current % LANES);
  memcpy(sum, from, 8);
  memcpy(sum + 2, from + sizeof c / 2, 8);
}

template <bool ROWS>
ADL_UNCHECKED inline void mma_loaded(float (&first)[4], float (&second)[4],
                                     const unsigned (&left)[4], const void *row) {
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES;
  for (unsigned i = 0; i < 4; i++) exchange.a[i][self] = left[i];
  exchange.rows[self] = shared_row(row);
  put_sums(exchange.c[0], first);
  put_sums(exchange.c[1], second);
  with_whole_warp(exchange, [&] { multiply_loaded(exchange, ROWS); });
  get_sums(first, exchange.c[0]);
  get_sums(second, exchange.c[1]);
}

}  // namespace emulator

inline int read_thread() { return int(emulator::block.thread.x); }

ADL_UNCHECKED inline void mma(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  using namespace emulator;
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES, column = self / 4, t = self % 4;
  for (unsigned i = 0; i < 4; i++) exchange.a[i][self] = a[i];
  exchange.b[t][column] = b0;
  exchange.b[4 + t][column] = b1;
  put_sums(exchange.c[0], sum);
  with_whole_warp(exchange, [&] { multiply_fragments(exchange); });
  get_sums(sum, exchange.c[0]);
}

inline void load_matrices(unsigned (&matrices)[4], const void *row) {
  emulator::load_rows<false>(matrices, row);
}
inline void load_matrices_transposed(unsigned (&matrices)[4], const void *row) {
  emulator::load_rows<true>(matrices, row);
}

inline void copy_async(void *to, const void *from, int bytes) {
  using namespace emulator;
  if (reinterpret_cast<uintptr_t>(from) % 16) stop("misaligned address: the source of a copy");
  Copies &own = own_copies();
  const Copy copy{shared_row(to), static_cast<const char *>(from), unsigned(bytes), own.group};
  if (block.launch->early_copies) return land(copy);
  if (own.count == sizeof own.list / sizeof *own.list) stop("too many copies are in flight");
  own.list[own.count++] = copy;
}

inline void commit_copies() { emulator::own_copies().group++; }

template <int left>
inline void wait_copies() {
  emulator::Copies &own = emulator::own_copies();
  unsigned kept = 0;
  for (unsigned i = 0; i < own.count; i++) {
    const emulator::Copy copy = own.list[i];
    if (copy.group + left < own.group) emulator::land(copy);
    else own.list[kept++] = copy;
  }
  own.count = kept;
}

inline unsigned pack_bf16(float low, float high) {
  const auto rounded = [](float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return value == value ? (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16 : 0x7fffu;
  };
  return rounded(low) | rounded(high) << 16;
}
