/* The team of threads that OpenMP grants. */
#include "adl.h"

/* Starts a parallel region and returns how many threads it runs on: a limit of the environment can
 * make them fewer than omp_get_max_threads, by which kernels and oneDNN split their work. */
ADL_API int adl_team_size(void) {
  int threads = 1;
#pragma omp parallel
  {
#pragma omp single
    threads = omp_get_num_threads();
  }
  return threads;
}
