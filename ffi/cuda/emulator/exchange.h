/*
 * Instructions of a whole warp: the lanes leave their operands in an exchange, and the last to
 * arrive runs the instruction for all, as on a device, where no lane can be ahead of another within
 * one.
 */
#pragma once

#include "fibers.h"

namespace emulator {

/* Work for a whole warp is compiled for what any CPU of today has, if this one has it, and apart
 * from the kernels: their threads' frames stay small. */
#ifdef ADL_AVX2
#define ADL_WARP_WORK \
  __attribute__((noinline, optimize("O3"), target("avx2,fma"))) ADL_UNCHECKED inline
#else
#define ADL_WARP_WORK __attribute__((noinline, optimize("O3"))) ADL_UNCHECKED inline
#endif
#define ADL_PART_OF_WORK __attribute__((always_inline)) ADL_UNCHECKED inline

typedef float Row8 __attribute__((vector_size(32)));
typedef unsigned Pairs8 __attribute__((vector_size(32)));
typedef unsigned short Words8 __attribute__((vector_size(16)));

/*
 * What the lanes of a warp pass to one instruction and get from it, by register of a fragment: the
 * four lanes of a row lie side by side, as vectors need them.
 */
struct alignas(64) Exchange {
  unsigned a[4][LANES];
  Pairs8 b[8]; /* rows 2 i and 2 i + 1, by columns */
  Row8 c[2][16];
  const char *rows[LANES];
  uint64_t values[LANES];
  float table[LANES][LANES];
  Words8 matrices[4][8]; /* row g: of lanes 4 g to 4 g + 3 */
  unsigned arrived;
  const void *instruction; /* of those that have arrived */
};

/* Of one warp; two instructions may overlap, as lanes read the results of the first. */
struct Exchanges {
  Exchange slots[2];
  uint8_t parity[LANES];
  unsigned long block; /* to which all this belongs */
};

inline Exchanges exchanges[MAX_THREADS / LANES];

ADL_UNCHECKED inline Exchange &next_exchange() {
  Exchanges &warp = exchanges[block.current / LANES];
  if (warp.block != block.number) {
    warp.slots[0].arrived = warp.slots[1].arrived = 0;
    memset(warp.parity, 0, sizeof warp.parity);
    warp.block = block.number;
  }
  uint8_t &parity = warp.parity[block.current % LANES];
  parity ^= 1;
  return warp.slots[parity];
}

/* Waits for the other lanes, which must be at the same instruction; the last runs it for all. */
template <class Instruction>
ADL_UNCHECKED inline void with_whole_warp(Exchange &exchange, Instruction instruction) {
  static const char own = 0; /* its address tells instructions apart */
  if (exchange.arrived == 0) exchange.instruction = &own;
  if (exchange.instruction != &own) stop("lanes of a warp are at different instructions");
  if (++exchange.arrived == LANES) instruction();
  wait_warp();
  /* Set to 0 by the first lane that goes on: this slot is used again after all have read it. */
  if (exchange.arrived != LANES && exchange.arrived != 0)
    stop("a warp's instruction is not reached by every lane");
  exchange.arrived = 0;
}

/* Combines 32 lanes' values in the steps of a loop of __shfl_xor_sync: with the same bits. */
template <class T, class Operation>
ADL_UNCHECKED inline void combine_lanes(T *values, Operation combine) {
  typedef T Vector __attribute__((vector_size(16)));
  enum { COUNT = LANES * sizeof(T) / sizeof(Vector) };
  Vector own[COUNT], others[COUNT];
  memcpy(own, values, sizeof own);
  for (unsigned distance = LANES / 2; distance > 0; distance /= 2) {
    const T *from = reinterpret_cast<const T *>(own);
    T *to = reinterpret_cast<T *>(others);
    for (unsigned l = 0; l < LANES; l += distance)
      memcpy(to + l, from + (l ^ distance), distance * sizeof(T));
    for (unsigned i = 0; i < COUNT; i++) own[i] = combine(own[i], others[i]);
  }
  memcpy(values, own, sizeof own);
}

/* kernels/reduce.h's warp_reduce in one exchange instead of five. */
template <class T, class Operation>
ADL_UNCHECKED inline T reduce(T value, Operation combine) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes exchange 4 or 8 bytes");
  Exchange &exchange = next_exchange();
  T *values = reinterpret_cast<T *>(exchange.values);
  values[block.current % LANES] = value;
  with_whole_warp(exchange, [&] { combine_lanes(values, combine); });
  return values[block.current % LANES];
}

/* Sets the first row to the sums of the columns, in the order of a loop of shuffles. */
ADL_WARP_WORK void sum_columns(float (&table)[LANES][LANES]) {
  for (unsigned half = LANES / 2; half > 0; half /= 2)
    for (unsigned l = 0; l < half; l++)
      for (unsigned i = 0; i < LANES; i += 8) {
        Row8 a, b;
        memcpy(&a, &table[l][i], sizeof a);
        memcpy(&b, &table[l + half][i], sizeof b);
        a += b;
        memcpy(&table[l][i], &a, sizeof a);
      }
}

/* kernels/reduce.h's own_sum in one exchange. */
template <class Value>
ADL_UNCHECKED inline float own_sum(Value value) {
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES;
  for (unsigned i = 0; i < LANES; i++) exchange.table[self][i] = value(int(i));
  with_whole_warp(exchange, [&] { sum_columns(exchange.table); });
  return exchange.table[0][self];
}

}  // namespace emulator
