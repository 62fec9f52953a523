/* Kernels that treat every element alike: one thread an element. */
#include "device.h"

/* y[n] += x. */
#define ADD(T)                                              \
  KERNEL void add_##T(T *y, const T *x, i32 n) {            \
    const i32 i = blockIdx.x * blockDim.x + threadIdx.x;    \
    if (i < n) y[i] = y[i] + x[i];                          \
  }
ADD(f32)
