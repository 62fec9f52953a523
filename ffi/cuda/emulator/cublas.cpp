/* libcublas with the real ABI: the few products that the backend uses, summed in double. */
#include <cstring>

#include "state.h"

using namespace emulated;

#define ENTER                                        \
  if (int planted = enter(__func__)) return planted; \
  if (state().sticky) return EXECUTION_FAILED;

namespace {

enum { SUCCEEDED = 0, NOT_INITIALISED = 1, WRONG_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { F32 = 0, BF16 = 14 };

struct Matrix {
  char *data;
  int type, ld;
  bool transposed;
  int rows, cols; /* as stored */
};

size_t size_of(int type) { return type == F32 ? 4 : 2; }

float load(const Matrix &m, long index) {
  if (m.type == F32) return reinterpret_cast<const float *>(m.data)[index];
  const uint32_t bits = uint32_t(reinterpret_cast<const uint16_t *>(m.data)[index]) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

void store(const Matrix &m, long index, float value) {
  if (m.type == F32) {
    reinterpret_cast<float *>(m.data)[index] = value;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &value, 4);
  const bool nan = value != value;
  reinterpret_cast<uint16_t *>(m.data)[index] =
      uint16_t(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

bool holds(const Matrix &m) {
  const size_t count = size_t(m.cols - 1) * size_t(m.ld) + size_t(m.rows);
  return state().device.holds(m.data, count * size_of(m.type)) &&
         uintptr_t(m.data) % size_of(m.type) == 0;
}

/* Column-major C[m,n] = alpha op(A) op(B) + beta C. */
int multiply(const Matrix &a, const Matrix &b, const Matrix &c, int k, float alpha, float beta) {
  if (!holds(a) || !holds(b) || !holds(c)) {
    state().fault = "cublas: a matrix does not lie in the device's memory";
    return ILLEGAL_ADDRESS;
  }
  if (!computes()) return SUCCESS;
  const long a_step = a.transposed ? 1 : a.ld, a_row = a.transposed ? a.ld : 1;
  const long b_step = b.transposed ? b.ld : 1, b_col = b.transposed ? 1 : b.ld;
  std::vector<double> rows(size_t(c.rows) * size_t(k)), sums(size_t(c.rows));
  for (int p = 0; p < k; p++)
    for (int i = 0; i < c.rows; i++)
      rows[size_t(p) * size_t(c.rows) + size_t(i)] = load(a, i * a_row + p * a_step);
  for (int j = 0; j < c.cols; j++) {
    sums.assign(sums.size(), 0);
    for (int p = 0; p < k; p++) {
      const double factor = load(b, j * b_col + p * b_step);
      const double *row = &rows[size_t(p) * size_t(c.rows)];
      for (int i = 0; i < c.rows; i++) sums[size_t(i)] += row[i] * factor;
    }
    for (int i = 0; i < c.rows; i++) {
      const long at = long(j) * c.ld + i;
      const float product = alpha * float(sums[size_t(i)]);
      store(c, at, beta == 0 ? product : product + beta * load(c, at));
    }
  }
  return SUCCESS;
}

Matrix operand(const void *data, int type, int ld, int op, int rows, int cols) {
  const bool t = op != 0;
  return {static_cast<char *>(const_cast<void *>(data)), type, ld, t, t ? cols : rows, t ? rows : cols};
}

bool valid(const Matrix &m) {
  return (m.type == F32 || m.type == BF16) && m.ld >= (m.rows > 1 ? m.rows : 1);
}

}  // namespace

API int cublasCreate_v2(void **handle) {
  ENTER
  *handle = new char;
  return SUCCEEDED;
}
API int cublasDestroy_v2(void *handle) {
  ENTER
  delete static_cast<char *>(handle);
  return SUCCEEDED;
}
API int cublasGetVersion_v2(void *handle, int *version) {
  ENTER
  if (!handle) return NOT_INITIALISED;
  *version = 130000;
  return SUCCEEDED;
}
API int cublasSetStream_v2(void *handle, void *) {
  ENTER
  return handle ? SUCCEEDED : NOT_INITIALISED;
}
API int cublasSetMathMode(void *handle, int) {
  ENTER
  return handle ? SUCCEEDED : NOT_INITIALISED;
}
API int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
  ENTER
  if (!handle) return NOT_INITIALISED;
  return uintptr_t(workspace) % 256 || !state().device.holds(workspace, bytes) ? WRONG_VALUE
                                                                            : SUCCEEDED;
}
API int cublasGemmStridedBatchedEx(void *handle, int op_a, int op_b, int m, int n, int k,
                                   const void *alpha, const void *a, int a_type, int lda,
                                   long long a_stride, const void *b, int b_type, int ldb,
                                   long long b_stride, const void *beta, void *c, int c_type,
                                   int ldc, long long c_stride, int count, int, int) {
  RETURN_IF_IDLE ENTER
  if (!handle) return NOT_INITIALISED;
  const Matrix x = operand(a, a_type, lda, op_a, m, k), y = operand(b, b_type, ldb, op_b, k, n),
               z = operand(c, c_type, ldc, 0, m, n);
  if (m < 0 || n < 0 || k < 0 || !valid(x) || !valid(y) || !valid(z)) return WRONG_VALUE;
  if (a_type != b_type) return NOT_SUPPORTED;
  if (m == 0 || n == 0) return SUCCEEDED;
  state().kernels["cublas"]++;
  const float scale = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);
  const int status = submit([=] {
    for (int i = 0; i < count; i++) {
      Matrix p = x, q = y, r = z;
      p.data += i * a_stride * (long long)size_of(a_type);
      q.data += i * b_stride * (long long)size_of(b_type);
      r.data += i * c_stride * (long long)size_of(c_type);
      if (int failed = multiply(p, q, r, k, scale, keep)) return failed;
    }
    return 0;
  });
  return status ? EXECUTION_FAILED : SUCCEEDED;
}
API int cublasGemmEx(void *handle, int op_a, int op_b, int m, int n, int k, const void *alpha,
                     const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
                     const void *beta, void *c, int c_type, int ldc, int compute, int algorithm) {
  RETURN_IF_IDLE ENTER
  return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, 0, b,
                                    b_type, ldb, 0, beta, c, c_type, ldc, 0, 1, compute, algorithm);
}
