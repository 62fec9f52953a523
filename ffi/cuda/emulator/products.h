/* What the emulated cuBLAS and cuBLASLt share: column-major products, summed in double. */
#pragma once

#include <cstring>

#include "state.h"

#define ENTER_CUBLAS                                 \
  if (int planted = enter(__func__)) return planted; \
  if (state().sticky) return EXECUTION_FAILED;

namespace emulated {

enum {
  SUCCEEDED = 0,
  NOT_INITIALISED = 1,
  WRONG_VALUE = 7,
  EXECUTION_FAILED = 13,
  NOT_SUPPORTED = 15,
};
enum { F32 = 0, BF16 = 14 };

struct Matrix {
  char *data;
  int type, ld;
  bool transposed;
  int rows, cols; /* as stored */
};

inline size_t size_of(int type) { return type == F32 ? 4 : 2; }

inline float load(const Matrix &m, long index) {
  if (m.type == F32) return reinterpret_cast<const float *>(m.data)[index];
  const uint32_t bits = uint32_t(reinterpret_cast<const uint16_t *>(m.data)[index]) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline void store(const Matrix &m, long index, float value) {
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

inline bool holds(const Matrix &m) {
  const size_t count = size_t(m.cols - 1) * size_t(m.ld) + size_t(m.rows);
  return state().device.holds(m.data, count * size_of(m.type)) &&
         uintptr_t(m.data) % size_of(m.type) == 0;
}

/* Rounds to TF32, a mantissa of 10 bits: to nearest, ties away from 0. */
inline float rounded_to_tf32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = (bits + 0x1000) & ~0x1fffu;
  memcpy(&value, &bits, 4);
  return value;
}

/* Column-major C[m,n] = alpha op(A) op(B) + beta C, with float factors rounded to TF32 if `tf32`:
 * bf16 has fewer bits. */
inline int multiply(const Matrix &a, const Matrix &b, const Matrix &c, int k, float alpha,
                    float beta, bool tf32) {
  if (!holds(a) || !holds(b) || !holds(c)) {
    state().fault = "cublas: a matrix does not lie in the device's memory";
    return ILLEGAL_ADDRESS;
  }
  if (!computes()) return SUCCESS;
  const auto factor = [=](const Matrix &m, long index) {
    return tf32 ? rounded_to_tf32(load(m, index)) : load(m, index);
  };
  const long a_step = a.transposed ? 1 : a.ld, a_row = a.transposed ? a.ld : 1;
  const long b_step = b.transposed ? b.ld : 1, b_col = b.transposed ? 1 : b.ld;
  std::vector<double> rows(size_t(c.rows) * size_t(k)), sums(size_t(c.rows));
  for (int p = 0; p < k; p++)
    for (int i = 0; i < c.rows; i++)
      rows[size_t(p) * size_t(c.rows) + size_t(i)] = factor(a, i * a_row + p * a_step);
  for (int j = 0; j < c.cols; j++) {
    sums.assign(sums.size(), 0);
    for (int p = 0; p < k; p++) {
      const double right = factor(b, j * b_col + p * b_step);
      const double *row = &rows[size_t(p) * size_t(c.rows)];
      for (int i = 0; i < c.rows; i++) sums[size_t(i)] += row[i] * right;
    }
    for (int i = 0; i < c.rows; i++) {
      const long at = long(j) * c.ld + i;
      const float product = alpha * float(sums[size_t(i)]);
      store(c, at, beta == 0 ? product : product + beta * load(c, at));
    }
  }
  return SUCCESS;
}

inline Matrix operand(const void *data, int type, int ld, int op, int rows, int cols) {
  const bool t = op != 0;
  char *bytes = static_cast<char *>(const_cast<void *>(data));
  return {bytes, type, ld, t, t ? cols : rows, t ? rows : cols};
}

inline bool valid(const Matrix &m) {
  return (m.type == F32 || m.type == BF16) && m.ld >= (m.rows > 1 ? m.rows : 1);
}

}  // namespace emulated
