/* Calls oneDNN's products with signals blocked on this thread. */
#include <signal.h>

#include "adl.h"

typedef int sgemm_function(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t,
                           const float *, int64_t, float, float *, int64_t);
typedef int execute_function(const void *, void *, int, const void *);

/*
 * For large K, oneDNN's f32 products without packing (jit_avx_gemm_f32, jit_avx512_common_gemm_f32;
 * in 3.1 to 3.7) point the stack register into a heap block. A signal frame of 1 to 3 KB would then
 * overwrite the heap below that block. Blocked signals are delivered after the product. No
 * JavaScript may run meanwhile: an engine thread that suspends this one (by SIGPWR) would wait for
 * it while holding locks.
 *
 * sigprocmask, which on Linux sets the mask of the calling thread too, not pthread_sigmask, whose
 * symbol needs glibc 2.32.
 */
static sigset_t block_signals(void) {
  /* Blocking a synchronous signal that this thread then raises would end the process. */
  const int synchronous[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
    sigdelset(&blocked, synchronous[i]);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  return before;
}

static void restore_signals(sigset_t before) { sigprocmask(SIG_SETMASK, &before, NULL); }

/* dnnl_sgemm(...); returns its dnnl_status_t. */
ADL_API int adl_sgemm(sgemm_function *sgemm, int trans_a, int trans_b, int64_t m, int64_t n,
                      int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                      int64_t ldb, float beta, float *c, int64_t ldc) {
  const sigset_t before = block_signals();
  const int status =
      sgemm((char)trans_a, (char)trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  restore_signals(before);
  return status;
}

/* dnnl_primitive_execute(...); returns its dnnl_status_t. */
ADL_API int adl_execute(execute_function *execute, const void *primitive, void *stream, int count,
                        const void *arguments) {
  const sigset_t before = block_signals();
  const int status = execute(primitive, stream, count, arguments);
  restore_signals(before);
  return status;
}
