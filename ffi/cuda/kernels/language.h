/*
 * The words that kernels are written in. NVRTC has no system headers; the emulator's host.h, which
 * g++ includes first, defines those that are not plain types for a CPU.
 */
#pragma once

typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef float f32;

#ifndef ADL_EMULATED

/* An entry: KERNEL void name_f32(const f32 *x, f32 *y, i32 n) { ... } */
#define KERNEL extern "C" __global__

/* A function that kernels call. */
#define DEVICE static __device__ __forceinline__

/* Declares `name`, a pointer to the dynamic shared memory of the launch, aligned to 16 bytes. A
 * kernel with several arrays of them adds offsets. */
#define DYNAMIC_SHARED(type, name)                      \
  extern __shared__ __align__(16) u8 adl_dynamic_shared[]; \
  type *name = reinterpret_cast<type *>(adl_dynamic_shared)

#endif

#define WARP 32

/* Matrices that one launch treats, at most: GROUP of launcher.ts. */
#define GROUP 8

/* A parameter of each matrix of a launch. Passed as GROUPED(type), so that an index that differs by
 * block does not copy it to a thread's memory. */
template <class T> struct Each {
  T of[GROUP];
};
#define GROUPED(...) const __grid_constant__ Each<__VA_ARGS__>
