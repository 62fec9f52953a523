/*
 * Shared by every kernel. A kernel returns a status, never prints, exits or allocates, and its
 * header comment says whether it sets its outputs or adds to them. Matrices are row-major and
 * contiguous unless a stride is given.
 */
#pragma once

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * glibc 2.29's versions of these set errno in another way and compute the same values; the older
 * ones keep the kernels loadable from glibc 2.27 on.
 */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver exp, exp@GLIBC_2.2.5");
__asm__(".symver log, log@GLIBC_2.2.5");
#endif

#define ADL_API __attribute__((visibility("default")))
#define ADL_INLINE static inline __attribute__((always_inline))
/* For functions with loops that must vectorise: GCC 12 leaves some loops scalar when it inlines
 * them into a parallel region. */
#define ADL_NOINLINE static __attribute__((noinline))

enum adl_status {
  ADL_OK = 0,
  /* An id, label or neighbour is outside its table; outputs are undefined. */
  ADL_BAD_INDEX = 1,
};

/* Upper bound on the parts of a reduction, so that partial sums fit on the stack. */
#define ADL_MAX_PARTS 64

/*
 * Number of parts to split work on `elements` elements into. It depends only on the size and the
 * configured thread count, not on the threads OpenMP grants, so that reductions are reproducible
 * bit for bit. Small work does not pay for waking threads (~1 us).
 */
static inline int adl_parts(int64_t elements) {
  int threads = omp_get_max_threads();
  if (elements < 32768) return 1;
  return threads < ADL_MAX_PARTS ? threads : ADL_MAX_PARTS;
}

typedef struct {
  int64_t from, to;
} adl_range;

/* Part `part` of [0, n), with boundaries at multiples of `grain`. */
static inline adl_range adl_part(int64_t n, int64_t grain, int part, int parts) {
  int64_t grains = (n + grain - 1) / grain;
  int64_t from = grains * part / parts * grain;
  int64_t to = grains * (part + 1) / parts * grain;
  return (adl_range){from, to < n ? to : n};
}

#define ADL_PRAGMA(text) _Pragma(#text)

/* for (int part = 0; part < parts; part++), with parts in parallel and a fixed partition. */
#define ADL_FOR_PARTS(part, parts)                                                                 \
  ADL_PRAGMA(omp parallel for schedule(static, 1) if ((parts) > 1))                                \
  for (int part = 0; part < (parts); part++)

/* for (int64_t i = 0; i < count; i++), scheduled dynamically: for items of unequal size, `elements`
 * elements in total, whose results do not depend on the thread that computes them. */
#define ADL_FOR_EACH(i, count, elements)                                                           \
  ADL_PRAGMA(omp parallel for schedule(dynamic, 1) if (adl_parts(elements) > 1))                   \
  for (int64_t i = 0; i < (count); i++)

static inline int64_t adl_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t adl_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t adl_round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/* Floats per cache line: flat arrays are split at cache lines. */
#define ADL_LINE 16
