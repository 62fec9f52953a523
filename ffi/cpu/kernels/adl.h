/*
 * What every kernel shares. A kernel returns a status, never prints, exits or allocates, and says
 * in its header whether it sets or adds to its outputs. Matrices are row-major and packed unless a
 * stride is given.
 */
#pragma once

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADL_API __attribute__((visibility("default")))
#define ADL_INLINE static inline __attribute__((always_inline))
/* For functions whose loops must become vector code: inlined into a parallel region, GCC 12 leaves
 * some of them scalar. */
#define ADL_NOINLINE static __attribute__((noinline))

enum adl_status {
  ADL_OK = 0,
  /* An id, label or neighbour points outside its table; outputs are undefined. */
  ADL_BAD_INDEX = 1,
};

/* The most parts that a sum is split into: partial sums fit on the stack. */
#define ADL_MAX_PARTS 64

/*
 * The number of parts for work on `elements` numbers: a function of the size and of the thread
 * count alone, and not of how many threads OpenMP grants, so that sums repeat bit for bit. Small
 * work is not worth waking threads (~1 us).
 */
static inline int adl_parts(int64_t elements) {
  int threads = omp_get_max_threads();
  if (elements < 32768) return 1;
  return threads < ADL_MAX_PARTS ? threads : ADL_MAX_PARTS;
}

typedef struct {
  int64_t from, to;
} adl_range;

/* Part `part` of [0, n), cut at multiples of `grain`. */
static inline adl_range adl_part(int64_t n, int64_t grain, int part, int parts) {
  int64_t grains = (n + grain - 1) / grain;
  int64_t from = grains * part / parts * grain;
  int64_t to = grains * (part + 1) / parts * grain;
  return (adl_range){from, to < n ? to : n};
}

#define ADL_PRAGMA(text) _Pragma(#text)

/* for (int part = 0; part < parts; part++), parts in parallel and always cut alike. */
#define ADL_FOR_PARTS(part, parts)                                                                 \
  ADL_PRAGMA(omp parallel for schedule(static, 1) if ((parts) > 1))                                \
  for (int part = 0; part < (parts); part++)

/* for (int64_t i = 0; i < count; i++), by whichever thread is free: for work of unequal sizes,
 * `elements` numbers in all, where it does not matter who does what. */
#define ADL_FOR_EACH(i, count, elements)                                                           \
  ADL_PRAGMA(omp parallel for schedule(dynamic, 1) if (adl_parts(elements) > 1))                   \
  for (int64_t i = 0; i < (count); i++)

static inline int64_t adl_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t adl_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t adl_round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/* Numbers of a cache line: parts of flat arrays are cut at whole lines. */
#define ADL_LINE 16
