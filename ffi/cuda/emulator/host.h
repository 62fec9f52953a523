/*
 * The CUDA language for g++: what ffi/cuda/kernels/language.h is for NVRTC. g++ includes it before
 * a kernel's source.
 */
#pragma once

#define ADL_EMULATED

#include <cmath>
#include <tuple>
#include <type_traits>
#include <utility>

#include "fibers.h"
#include "language.h"
#include "tensor-cores.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) alignas(n)
#define __launch_bounds__(...)
#define __grid_constant__
/* Blocks run one after another, so that one copy serves all of them. */
#define __shared__ static

#define KERNEL extern "C"
#define DEVICE static inline
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(emulator::block.shared)

#define threadIdx (emulator::block.thread)
#define blockIdx (emulator::block.index)
#define blockDim (emulator::block.size)
#define gridDim (emulator::block.grid)
#define warpSize 32

using std::max;
using std::min;

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline void __syncthreads() { emulator::wait_block(0); }
inline int __syncthreads_or(int vote) { return emulator::wait_block(vote != 0); }
inline int __syncthreads_and(int vote) { return !emulator::wait_block(vote == 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace emulator {

inline void whole_warp(unsigned mask) {
  if (mask != ~0u) stop("only whole warps are supported: the mask must be 0xffffffff");
}

inline unsigned lane() { return block.current % LANES; }

/* Shows a value to the other lanes and waits for theirs, in warp.values[the result]. */
template <class T>
ADL_UNCHECKED inline unsigned publish(unsigned mask, T value) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  whole_warp(mask);
  Warp &warp = block.warps[block.current / LANES];
  const unsigned self = lane(), parity = warp.parity[self];
  warp.parity[self] ^= 1;
  if (warp.arrived == 0) warp.written[parity] = 0; /* of two shuffles ago */
  memcpy(&warp.values[parity][self], &value, sizeof value);
  warp.written[parity] |= 1u << self;
  wait_warp();
  return parity;
}

/* The value of another lane, which must have called too. */
template <class T>
ADL_UNCHECKED inline T shuffle(unsigned mask, T value, unsigned source) {
  const unsigned parity = publish(mask, value);
  Warp &warp = block.warps[block.current / LANES];
  if (!(warp.written[parity] >> source & 1)) stop("a shuffle reads a lane that has ended");
  T result;
  memcpy(&result, &warp.values[parity][source], sizeof result);
  return result;
}

}  // namespace emulator

inline void __syncwarp(unsigned mask = ~0u) {
  emulator::whole_warp(mask);
  emulator::wait_warp();
}
template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const unsigned self = emulator::lane();
  return emulator::shuffle(mask, value, (self & ~(width - 1)) | (source & (width - 1)));
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int = 32) {
  return emulator::shuffle(mask, value, (emulator::lane() ^ lanes) & 31);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned self = emulator::lane(), end = (self | (width - 1)) + 1;
  return emulator::shuffle(mask, value, self + delta < end ? self + delta : self);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned self = emulator::lane(), first = self & ~(width - 1);
  return emulator::shuffle(mask, value, self >= first + delta ? self - delta : self);
}
inline unsigned __ballot_sync(unsigned mask, int vote) {
  using namespace emulator;
  const unsigned parity = publish(mask, uint64_t(vote != 0));
  const Warp &warp = block.warps[block.current / LANES];
  unsigned bits = 0;
  for (unsigned i = 0; i < LANES; i++)
    if (warp.written[parity] >> i & 1 && warp.values[parity][i] != 0) bits |= 1u << i;
  return bits;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, !vote) == 0; }

/* Threads run one at a time, so that plain code is atomic. */
template <class T>
inline T atomicAdd(T *at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
inline T atomicMax(T *at, T value) {
  const T old = *at;
  if (value > old) *at = value;
  return old;
}
template <class T>
inline T atomicMin(T *at, T value) {
  const T old = *at;
  if (value < old) *at = value;
  return old;
}
template <class T>
inline T atomicExch(T *at, T value) {
  const T old = *at;
  *at = value;
  return old;
}
template <class T>
inline T atomicCAS(T *at, T expected, T value) {
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}

template <class To, class From>
inline To adl_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "bits of the same size");
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}
inline float __uint_as_float(unsigned bits) { return adl_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return adl_bits<unsigned>(value); }
inline float __int_as_float(int bits) { return adl_bits<float>(bits); }
inline int __float_as_int(float value) { return adl_bits<int>(value); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(u64(a) * b >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
template <class T>
inline T __ldg(const T *at) {
  return *at;
}

/* --- entries --- */

namespace emulator {

/* The type of a parameter, or of each element of an Each. */
template <class T>
struct Element {
  typedef T type;
};
template <class T>
struct Element<Each<T>> {
  typedef T type;
};

template <class P>
constexpr adl_parameter parameter_of() {
  typedef std::remove_const_t<P> Value;
  typedef typename Element<Value>::type T;
  if constexpr (!std::is_pointer_v<T>) return {sizeof(Value), 0};
  else if constexpr (std::is_void_v<std::remove_pointer_t<T>>) return {sizeof(Value), 1};
  else return {sizeof(Value), alignof(std::remove_pointer_t<T>)};
}

/* A kernel with a launch's parameters. */
template <class... P>
struct Call {
  void (*kernel)(P...);
  void **parameters;
  template <size_t... I>
  void with(std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_const_t<P> *>(parameters[I])...);
  }
  static void body(void *self) {
    static_cast<Call *>(self)->with(std::index_sequence_for<P...>{});
  }
};

template <class... P>
struct Signature {
  static constexpr adl_parameter list[sizeof...(P) + 1] = {parameter_of<P>()..., {0, 0}};
};

template <class... P>
constexpr int count_of(void (*)(P...)) {
  return sizeof...(P);
}
template <class... P>
constexpr const adl_parameter *list_of(void (*)(P...)) {
  return Signature<P...>::list;
}
template <class... P>
void run_with(void (*kernel)(P...), adl_launch *launch, void **parameters) {
  Call<P...> call{kernel, parameters};
  run(launch, &Call<P...>::body, &call);
}

}  // namespace emulator

#define ADL_ENTRY(name)                                                    \
  {#name, emulator::count_of(&name), emulator::list_of(&name),             \
   [](adl_launch *launch, void **parameters) {                             \
     emulator::run_with(&name, launch, parameters);                        \
   }},

/* The start of what -fsanitize=alignment,bounds passes to its handlers. */
struct adl_source {
  const char *file;
  unsigned line, column;
};
inline void adl_report(const adl_source *source, const char *what) {
  char text[200];
  const char *name = strrchr(source->file, '/');
  snprintf(text, sizeof text, "%s:%u: %s", name ? name + 1 : source->file, source->line, what);
  emulator::fault(text);
}
