/*
 * What kernels/mma.h is for NVRTC: tensor cores, ldmatrix and cp.async on a CPU. Fragments lie in
 * the lanes as the PTX manual draws them for mma.m16n8k16 and ldmatrix.
 *
 * The instructions of a warp run when its last lane arrives, as on a device, where no lane can be
 * ahead of another within one. Copies land as late as a device may let them, at the wait, or at
 * once if the launch says so: a kernel that reads before it waits finds old values in the one way,
 * a kernel that overwrites what others still read shows in the other.
 */
#pragma once

#include "fibers.h"

namespace emulator {

typedef float Row8 __attribute__((vector_size(32)));

/* What the lanes of a warp pass to one instruction and get from it. */
struct Exchange {
  float a[16][16];
  Row8 b[16], c[16];
  const void *rows[LANES];
  unsigned results[LANES][4];
  unsigned arrived;
};

/* Of one warp; two instructions may overlap, as lanes read the results of the first. */
struct Exchanges {
  Exchange slots[2];
  uint8_t parity[LANES];
  unsigned long block; /* to which all this belongs */
};

inline Exchanges exchanges[MAX_THREADS / LANES];

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

inline Exchange &next_exchange() {
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

/* Waits for the other lanes; the last runs the instruction for all. */
template <class Instruction>
inline void with_whole_warp(Exchange &exchange, Instruction instruction) {
  if (++exchange.arrived == LANES) instruction();
  wait_warp();
  /* Set to 0 by the first lane that goes on: this slot is used again after all have read it. */
  if (exchange.arrived != LANES && exchange.arrived != 0)
    stop("a warp's instruction is not reached by every lane");
  exchange.arrived = 0;
}

inline float low_half(unsigned pair) {
  const unsigned bits = pair << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline float high_half(unsigned pair) { return low_half(pair >> 16); }

/* The address of a row of 16 bytes in the block's dynamic shared memory. */
inline char *shared_row(const void *row) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(row),
                  from = reinterpret_cast<uintptr_t>(block.shared);
  if (at % 16) stop("misaligned address: a row of 16 bytes");
  if (at < from || at + 16 > from + block.launch->shared_bytes)
    stop("a row of 16 bytes lies outside the dynamic shared memory");
  return reinterpret_cast<char *>(at);
}

inline void land(const Copy &copy) {
  memcpy(copy.to, copy.from, copy.bytes);
  memset(copy.to + copy.bytes, 0, 16 - copy.bytes);
}

inline Copies &own_copies() {
  Copies &own = copies[block.current];
  if (own.block != block.number) own.count = own.group = 0;
  own.block = block.number;
  return own;
}

template <bool transposed>
inline void load_rows(unsigned (&matrices)[4], const void *row) {
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES;
  exchange.rows[self] = shared_row(row);
  with_whole_warp(exchange, [&] {
    for (unsigned l = 0; l < LANES; l++)
      for (unsigned m = 0; m < 4; m++) {
        unsigned short pair[2];
        for (unsigned i = 0; i < 2; i++) {
          const unsigned at_row = transposed ? l % 4 * 2 + i : l / 4,
                         at_column = transposed ? l / 4 : l % 4 * 2 + i;
          const char *from = static_cast<const char *>(exchange.rows[8 * m + at_row]);
          memcpy(&pair[i], from + 2 * at_column, 2);
        }
        exchange.results[l][m] = pair[0] | unsigned(pair[1]) << 16;
      }
  });
  for (unsigned m = 0; m < 4; m++) matrices[m] = exchange.results[self][m];
}

}  // namespace emulator

inline int read_thread() { return int(emulator::block.threads[emulator::block.current].index.x); }

inline void mma(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  using namespace emulator;
  Exchange &exchange = next_exchange();
  const unsigned self = block.current % LANES, row = self / 4, column = self % 4 * 2;
  for (unsigned i = 0; i < 4; i++) {
    const unsigned at_row = row + i % 2 * 8, at_column = column + i / 2 * 8;
    exchange.a[at_row][at_column] = low_half(a[i]);
    exchange.a[at_row][at_column + 1] = high_half(a[i]);
    exchange.c[row + i / 2 * 8][column + i % 2] = sum[i];
  }
  for (unsigned i = 0; i < 2; i++) {
    const unsigned pair = i ? b1 : b0;
    exchange.b[column + 8 * i][row] = low_half(pair);
    exchange.b[column + 8 * i + 1][row] = high_half(pair);
  }
  with_whole_warp(exchange, [&] {
    for (unsigned i = 0; i < 16; i++) {
      Row8 total = exchange.c[i];
      for (unsigned k = 0; k < 16; k++) total += exchange.a[i][k] * exchange.b[k];
      exchange.c[i] = total;
    }
  });
  for (unsigned i = 0; i < 4; i++) sum[i] = exchange.c[row + i / 2 * 8][column + i % 2];
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
