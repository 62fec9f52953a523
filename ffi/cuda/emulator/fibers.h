/*
 * Runs the threads of a block as fibers on one thread of the CPU, block after block, in an order
 * that may be as unfair as a device's: a missing barrier is invisible to fair orders.
 *
 *   order 0, 1: threads take turns, upwards or downwards
 *   order 2, 3: the lowest or the highest thread runs as far as it gets
 *   order 4 and more: random, seeded by the order
 */
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "launch.h"

struct dim3 {
  unsigned x, y, z;
};

namespace emulator {

constexpr unsigned MAX_THREADS = 1024, LANES = 32;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t STACK = 512 << 10;
#else
constexpr size_t STACK = 64 << 10;
#define ASAN_POISON_MEMORY_REGION(from, bytes) ((void)(from))
#define ASAN_UNPOISON_MEMORY_REGION(from, bytes) ((void)(from))
#endif
/* Tops of stacks lie an odd number of cache lines apart: at the same place of a page, the threads of
 * a block would take turns with a few lines of the cache. */
constexpr size_t STACK_STRIDE = STACK + 9 * 64;
constexpr size_t CANARY = 64;
constexpr unsigned char CANARY_BYTE = 0xa5, UNSET = 0xff;

/* The emulator's own code, which runs at every switch of threads, needs no checks of the compiler:
 * kernels are under test. */
#define ADL_UNCHECKED __attribute__((no_sanitize("alignment", "bounds")))

struct Thread {
  void *stack_pointer;
  char *stack;
  dim3 index;
  bool fresh; /* has not begun */
};

/* A set of threads. */
struct Set {
  uint64_t words[MAX_THREADS / 64];
  ADL_UNCHECKED void add(unsigned i) { words[i / 64] |= uint64_t(1) << i % 64; }
  ADL_UNCHECKED void remove(unsigned i) { words[i / 64] &= ~(uint64_t(1) << i % 64); }
};

struct Warp {
  unsigned live, arrived;
  uint64_t values[2][LANES];
  unsigned written[2];
  uint8_t parity[LANES];
};

/* The block that is running. */
struct Block {
  Thread threads[MAX_THREADS];
  Warp warps[MAX_THREADS / LANES];
  char *stacks;
  char *free_stacks[MAX_THREADS];
  unsigned free_count, stacks_used;
  Set runnable, at_barrier, at_warp;
  unsigned words; /* of the sets */
  dim3 index, size, grid;
  dim3 thread; /* index of the current one */
  unsigned count, live, arrived, current, generation;
  unsigned long number; /* of the blocks that have run, so that none finds what another has left */
  int votes[2];
  unsigned random;
  char *shared;
  size_t shared_capacity;
  void *caller;
  adl_launch *launch;
  void (*body)(void *);
  void *argument;
};

inline Block block;

/* Saves the callee-saved registers and the stack pointer, and continues on another stack. */
asm(".text\n.local adl_switch\n.type adl_switch,@function\nadl_switch:\n"
    " pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    " movq %rsp,(%rdi)\n movq %rsi,%rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
extern "C" void adl_switch(void **save, void *load);

/* Notes the first fault of a launch. */
inline void fault(const char *what) {
  char *to = block.launch->fault;
  if (*to == 0)
    snprintf(to, sizeof block.launch->fault, "%s (block %u,%u,%u, thread %u)", what, block.index.x,
             block.index.y, block.index.z, block.current);
}

/* Notes a fault and abandons the block. */
[[noreturn]] inline void stop(const char *what) {
  fault(what);
  void *unused;
  adl_switch(&unused, block.caller);
  __builtin_unreachable();
}

inline unsigned random_number() {
  unsigned &s = block.random;
  s ^= s << 13, s ^= s >> 17, s ^= s << 5;
  return s;
}

/* The lowest runnable thread; the number of threads if there is none. */
ADL_UNCHECKED inline unsigned lowest() {
  for (unsigned w = 0; w < block.words; w++)
    if (block.runnable.words[w]) return w * 64 + unsigned(__builtin_ctzll(block.runnable.words[w]));
  return block.count;
}
ADL_UNCHECKED inline unsigned highest() {
  for (unsigned w = block.words; w-- > 0;)
    if (block.runnable.words[w])
      return w * 64 + 63 - unsigned(__builtin_clzll(block.runnable.words[w]));
  return block.count;
}

/* The first runnable thread from `from` upwards; the number of threads if there is none. */
ADL_UNCHECKED inline unsigned first_from(unsigned from) {
  for (unsigned w = from / 64; w < block.words; w++) {
    const uint64_t below = w == from / 64 ? (uint64_t(1) << from % 64) - 1 : 0;
    const uint64_t set = block.runnable.words[w] & ~below;
    if (set) return w * 64 + unsigned(__builtin_ctzll(set));
  }
  return block.count;
}

/* The first runnable thread below `from`, downwards; the number of threads if there is none. */
ADL_UNCHECKED inline unsigned first_below(unsigned from) {
  for (unsigned w = block.words; w-- > 0;) {
    if (w * 64 >= from) continue;
    const unsigned bits = from - w * 64;
    const uint64_t below = bits >= 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1,
                   set = block.runnable.words[w] & below;
    if (set) return w * 64 + 63 - unsigned(__builtin_clzll(set));
  }
  return block.count;
}

/* The thread that runs after `from`; the number of threads if none can. */
ADL_UNCHECKED inline unsigned choose(unsigned from) {
  switch (block.launch->order) {
    case 0: {
      const unsigned next = first_from(from + 1);
      return next < block.count ? next : lowest();
    }
    case 1: {
      const unsigned next = first_below(from);
      return next < block.count ? next : highest();
    }
    case 2: return lowest();
    case 3: return highest();
    default: {
      const unsigned next = first_from(random_number() % block.count);
      return next < block.count ? next : lowest();
    }
  }
}

void run_threads();

ADL_UNCHECKED inline char *take_stack() {
  if (block.free_count > 0) return block.free_stacks[--block.free_count];
  return block.stacks + block.stacks_used++ * STACK_STRIDE;
}

/* The stack pointer with which a fresh stack enters run_threads. */
ADL_UNCHECKED inline void *fresh_stack(char *stack) {
  void **top = reinterpret_cast<void **>(stack + STACK) - 2;
  *top = reinterpret_cast<void *>(run_threads);
  return top - 6;
}

ADL_UNCHECKED inline void set_current(unsigned thread) {
  block.current = thread;
  block.thread = block.threads[thread].index;
}

/* Leaves a thread that waits, for the next one that can run. */
ADL_UNCHECKED inline void yield_thread() {
  const unsigned from = block.current, to = choose(from);
  if (to == block.count) stop("deadlock: a barrier or shuffle is not reached by every thread");
  if (to == from) return;
  Thread &next = block.threads[to];
  set_current(to);
  if (next.fresh) {
    next.stack = take_stack();
    next.stack_pointer = fresh_stack(next.stack);
  }
  adl_switch(&block.threads[from].stack_pointer, next.stack_pointer);
}

ADL_UNCHECKED inline void release_block() {
  block.arrived = 0;
  block.generation ^= 1;
  block.votes[block.generation] = 0;
  for (unsigned w = 0; w < block.words; w++) {
    block.runnable.words[w] |= block.at_barrier.words[w];
    block.at_barrier.words[w] = 0;
  }
}

ADL_UNCHECKED inline void release_warp(unsigned warp) {
  block.warps[warp].arrived = 0;
  const uint64_t half = uint64_t(0xffffffff) << (warp % 2 * LANES);
  uint64_t &waiting = block.at_warp.words[warp / 2];
  block.runnable.words[warp / 2] |= waiting & half;
  waiting &= ~half;
}

/* __syncthreads_or: a barrier of all threads of the block that still run. */
ADL_UNCHECKED inline int wait_block(int vote) {
  const unsigned generation = block.generation;
  block.votes[generation] |= vote;
  if (++block.arrived == block.live) release_block();
  else {
    block.runnable.remove(block.current);
    block.at_barrier.add(block.current);
    yield_thread();
  }
  return block.votes[generation];
}

ADL_UNCHECKED inline void wait_warp() {
  const unsigned w = block.current / LANES;
  if (++block.warps[w].arrived == block.warps[w].live) release_warp(w);
  else {
    block.runnable.remove(block.current);
    block.at_warp.add(block.current);
    yield_thread();
  }
}

/* Runs threads to their ends on one stack: the next fresh thread needs no stack of its own. */
ADL_UNCHECKED inline void run_threads() {
  for (;;) {
    block.threads[block.current].fresh = false;
    block.body(block.argument);
    char *stack = block.threads[block.current].stack;
    block.runnable.remove(block.current);
    const unsigned w = block.current / LANES;
    block.live--, block.warps[w].live--;
    if (block.live > 0 && block.arrived == block.live) release_block();
    if (block.warps[w].live > 0 && block.warps[w].arrived == block.warps[w].live) release_warp(w);
    if (block.live == 0) {
      block.free_stacks[block.free_count++] = stack;
      void *unused;
      adl_switch(&unused, block.caller);
    }
    const unsigned to = choose(block.current);
    if (to == block.count) stop("deadlock: a barrier or shuffle is not reached by every thread");
    Thread &next = block.threads[to];
    set_current(to);
    if (next.fresh) {
      next.stack = stack;
      continue;
    }
    block.free_stacks[block.free_count++] = stack;
    void *unused;
    adl_switch(&unused, next.stack_pointer);
  }
}

inline void map_stacks() {
  void *stacks = mmap(nullptr, MAX_THREADS * STACK_STRIDE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) abort();
  block.stacks = static_cast<char *>(stacks);
}

ADL_UNCHECKED inline void prepare_block() {
  block.number++;
  block.free_count = block.stacks_used = 0;
  unsigned i = 0;
  for (unsigned z = 0; z < block.size.z; z++)
    for (unsigned y = 0; y < block.size.y; y++)
      for (unsigned x = 0; x < block.size.x; x++, i++)
        block.threads[i] = {nullptr, nullptr, {x, y, z}, true};
  for (unsigned w = 0; w * LANES < block.count; w++) {
    Warp &warp = block.warps[w];
    const unsigned left = block.count - w * LANES;
    warp.live = left < LANES ? left : LANES;
    warp.arrived = warp.written[0] = warp.written[1] = 0;
    memset(warp.parity, 0, sizeof warp.parity);
  }
  block.words = (block.count + 63) / 64;
  for (unsigned w = 0; w < block.words; w++) {
    const unsigned left = block.count - w * 64;
    block.runnable.words[w] = left >= 64 ? ~uint64_t(0) : (uint64_t(1) << left) - 1;
    block.at_barrier.words[w] = block.at_warp.words[w] = 0;
  }
  block.live = block.count;
  block.arrived = block.generation = 0;
  block.votes[0] = block.votes[1] = 0;
  const size_t bytes = block.launch->shared_bytes;
  ASAN_UNPOISON_MEMORY_REGION(block.shared, bytes + CANARY);
  memset(block.shared, UNSET, bytes);
  memset(block.shared + bytes, CANARY_BYTE, CANARY);
  ASAN_POISON_MEMORY_REGION(block.shared + bytes, CANARY);
}

ADL_UNCHECKED inline void run_block() {
  prepare_block();
  const unsigned order = block.launch->order;
  set_current(order == 1 || order == 3 ? block.count - 1
              : order > 3              ? random_number() % block.count
                                       : 0);
  Thread &first = block.threads[block.current];
  first.stack = take_stack();
  first.stack_pointer = fresh_stack(first.stack);
  adl_switch(&block.caller, first.stack_pointer);
  const char *end = block.shared + block.launch->shared_bytes;
  ASAN_UNPOISON_MEMORY_REGION(end, CANARY);
  for (size_t i = 0; i < CANARY; i++)
    if (static_cast<unsigned char>(end[i]) != CANARY_BYTE) {
      fault("wrote past the end of its dynamic shared memory");
      break;
    }
}

/* Runs a kernel; the launch holds the first fault. */
inline void run(adl_launch *launch, void (*body)(void *), void *argument) {
  if (!block.stacks) map_stacks();
  block.launch = launch;
  block.body = body;
  block.argument = argument;
  block.grid = {launch->grid[0], launch->grid[1], launch->grid[2]};
  block.size = {launch->block[0], launch->block[1], launch->block[2]};
  block.count = block.size.x * block.size.y * block.size.z;
  block.random = unsigned(launch->order) * 2654435761u + 1;
  if (block.shared_capacity < launch->shared_bytes + CANARY) {
    free(block.shared);
    block.shared_capacity = (launch->shared_bytes + CANARY + 127) / 128 * 128;
    block.shared = static_cast<char *>(aligned_alloc(128, block.shared_capacity));
  }
  const long blocks = long(block.grid.x) * block.grid.y * block.grid.z;
  for (long k = 0; k < blocks && launch->fault[0] == 0; k++) {
    const long i = launch->order & 1 ? blocks - 1 - k : k;
    block.index = {unsigned(i % block.grid.x), unsigned(i / block.grid.x % block.grid.y),
                   unsigned(i / (long(block.grid.x) * block.grid.y))};
    run_block();
  }
}

}  // namespace emulator
