/*
 * Reductions in a fixed order, so that the same call gives the same bits. Every thread of the warp
 * or block takes part, and all get the result. Blocks are one-dimensional, of whole warps.
 */
#pragma once

#include "language.h"

#define ALL_LANES 0xffffffffu

DEVICE i32 lane() { return (i32)(threadIdx.x % WARP); }
/* Index of this thread's warp in its block. */
DEVICE i32 warp() { return (i32)(threadIdx.x / WARP); }
/* Warps of a block. */
DEVICE i32 warps() { return (i32)(blockDim.x / WARP); }
/* Index of this thread's warp in the grid. */
DEVICE i32 warp_index() { return (i32)blockIdx.x * warps() + warp(); }

template <class T, class Operation> DEVICE T reduce_by_shuffles(T value, Operation combine) {
#pragma unroll
  for (i32 distance = WARP / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(ALL_LANES, value, distance));
  return value;
}

template <class T, class Operation> DEVICE T warp_reduce(T value, Operation combine) {
#ifdef ADL_EMULATED
  return emulator::reduce(value, combine); /* the same steps, for all lanes at once */
#else
  return reduce_by_shuffles(value, combine);
#endif
}

template <class T> DEVICE T warp_sum(T value) {
  return warp_reduce(value, [](auto a, auto b) { return a + b; });
}
/* The largest; a NaN is ignored unless it is in every lane. */
template <class T> DEVICE T warp_max(T value) {
  return warp_reduce(value, [](auto a, auto b) { return a > b ? a : b; });
}

template <class Value> DEVICE f32 own_sum_by_shuffles(Value value) {
  f32 own = 0.0f;
#pragma unroll
  for (i32 i = 0; i < WARP; i++) {
    const f32 sum = reduce_by_shuffles(value(i), [](f32 a, f32 b) { return a + b; });
    if (lane() == i) own = sum;
  }
  return own;
}

/* The warp's sum of value(lane()), where each lane has 32 values. */
template <class Value> DEVICE f32 own_sum(Value value) {
#ifdef ADL_EMULATED
  return emulator::own_sum(value); /* the same sums, in one exchange */
#else
  return own_sum_by_shuffles(value);
#endif
}

/* The barriers also order what the block wrote to memory before them. */
template <class T, class Operation> DEVICE T block_reduce(T value, Operation combine) {
  __shared__ T partials[WARP];
  value = warp_reduce(value, combine);
  __syncthreads(); /* the previous reduction's partials have been read */
  if (lane() == 0) partials[warp()] = value;
  __syncthreads();
  T result = partials[0];
  for (i32 w = 1; w < warps(); w++) result = combine(result, partials[w]);
  return result;
}

template <class T> DEVICE T block_sum(T value) {
  return block_reduce(value, [](auto a, auto b) { return a + b; });
}
template <class T> DEVICE T block_max(T value) {
  return block_reduce(value, [](auto a, auto b) { return a > b ? a : b; });
}
