/* libcublas with the real ABI: the few products that the backend uses. */
#include "products.h"

using namespace emulated;

namespace {

enum { TF32_MATH = 3 };

struct Handle {
  int math = 0;
};

}  // namespace

API int cublasCreate_v2(void **handle) {
  ENTER_CUBLAS
  *handle = new Handle;
  return SUCCEEDED;
}
API int cublasDestroy_v2(void *handle) {
  ENTER_CUBLAS
  delete static_cast<Handle *>(handle);
  return SUCCEEDED;
}
API int cublasGetVersion_v2(void *handle, int *version) {
  ENTER_CUBLAS
  if (!handle) return NOT_INITIALISED;
  *version = 130000;
  return SUCCEEDED;
}
API int cublasSetStream_v2(void *handle, void *) {
  ENTER_CUBLAS
  return handle ? SUCCEEDED : NOT_INITIALISED;
}
API int cublasSetMathMode(void *handle, int math) {
  ENTER_CUBLAS
  if (!handle) return NOT_INITIALISED;
  static_cast<Handle *>(handle)->math = math;
  return SUCCEEDED;
}
API int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
  ENTER_CUBLAS
  if (!handle) return NOT_INITIALISED;
  return uintptr_t(workspace) % 256 || !state().device.holds(workspace, bytes) ? WRONG_VALUE
                                                                            : SUCCEEDED;
}
API int cublasGemmEx(void *handle, int op_a, int op_b, int m, int n, int k, const void *alpha,
                     const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
                     const void *beta, void *c, int c_type, int ldc, int, int) {
  RETURN_IF_IDLE ENTER_CUBLAS
  if (!handle) return NOT_INITIALISED;
  const Matrix x = operand(a, a_type, lda, op_a, m, k), y = operand(b, b_type, ldb, op_b, k, n),
               z = operand(c, c_type, ldc, 0, m, n);
  if (m < 0 || n < 0 || k < 0 || !valid(x) || !valid(y) || !valid(z)) return WRONG_VALUE;
  if (a_type != b_type) return NOT_SUPPORTED;
  if (m == 0 || n == 0) return SUCCEEDED;
  state().kernels["cublas"]++;
  const float scale = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);
  const bool tf32 = static_cast<Handle *>(handle)->math == TF32_MATH;
  const int status = submit([=] { return multiply(x, y, z, k, scale, keep, tf32); });
  return status ? EXECUTION_FAILED : SUCCEEDED;
}
