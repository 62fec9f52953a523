#ifdef __AVX512F__
#define ADL_BF16
#include "low-rank.c"
#else
typedef int nothing_below_avx512;
#endif
