/* libcusolver with the real ABI: batched singular value decompositions in double. */
#include <algorithm>
#include <cmath>
#include <set>

#include "state.h"

using namespace emulated;

#define ENTER_CUSOLVER                               \
  if (int planted = enter(__func__)) return planted; \
  if (state().sticky) return SOLVER_FAILED;

namespace {

enum {
  SOLVER_SUCCEEDED = 0,
  SOLVER_NOT_INITIALISED = 1,
  SOLVER_WRONG_VALUE = 3,
  SOLVER_FAILED = 6,
};
enum { WITH_VECTORS = 1, LIMIT = 32, MOST_SWEEPS = 100 };

/* Handles that were created and not destroyed. */
std::set<void *> handles;

/* Column-major matrices, one after another. */
struct Batch {
  int n, lda, ldu, ldv, count;
  double *a, *s, *u, *v;
};

int scratch_of(const Batch &b) { return b.n * b.n * b.count; }

bool valid(const Batch &b, int mode, int m) {
  return mode == WITH_VECTORS && m == b.n && b.n >= 1 && b.n <= LIMIT && b.count >= 1 &&
         std::min({b.lda, b.ldu, b.ldv}) >= b.n;
}

bool holds(const void *pointer, size_t count, size_t size = sizeof(double)) {
  return uintptr_t(pointer) % size == 0 && state().device.holds(pointer, count * size);
}

bool on_device(const Batch &b, const double *work, const int *info) {
  const size_t columns = size_t(b.n) * size_t(b.count);
  return holds(b.a, columns * size_t(b.lda)) && holds(b.u, columns * size_t(b.ldu)) &&
         holds(b.v, columns * size_t(b.ldv)) && holds(b.s, columns) &&
         holds(work, size_t(scratch_of(b))) && holds(info, size_t(b.count), sizeof(int));
}

double dot(const double *x, const double *y, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += x[i] * y[i];
  return sum;
}

void rotate(double *x, double *y, int n, double c, double s) {
  for (int i = 0; i < n; i++) {
    const double before = x[i];
    x[i] = c * before - s * y[i];
    y[i] = s * before + c * y[i];
  }
}

/* Makes the columns of `a` orthogonal by rotations, which `v` collects; whether it has converged.
 * Columns of rounding errors never are. */
bool orthogonalize(double *a, int lda, double *v, int ldv, int n) {
  double largest = 0;
  for (int i = 0; i < n; i++) largest = std::max(largest, dot(a + i * lda, a + i * lda, n));
  for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    bool rotated = false;
    for (int i = 0; i < n; i++)
      for (int j = i + 1; j < n; j++) {
        double *x = a + i * lda, *y = a + j * lda;
        const double xx = dot(x, x, n), yy = dot(y, y, n), xy = dot(x, y, n);
        if (std::min(xx, yy) <= 1e-30 * largest) continue;
        if (std::fabs(xy) <= 1e-15 * std::sqrt(xx * yy)) continue;
        rotated = true;
        const double angle = std::atan2(2 * xy, yy - xx) / 2;
        rotate(x, y, n, std::cos(angle), std::sin(angle));
        rotate(v + i * ldv, v + j * ldv, n, std::cos(angle), std::sin(angle));
      }
    if (!rotated) return true;
  }
  return false;
}

/* Sets a column of u to a unit vector that is orthogonal to those before it. */
void complete(double *u, int ldu, int n, int column) {
  double *to = u + column * ldu;
  for (int unit = 0; unit < n; unit++) {
    for (int i = 0; i < n; i++) to[i] = i == unit;
    for (int k = 0; k < 2 * column; k++) { /* twice: the first pass leaves rounding errors */
      const double *before = u + k % column * ldu;
      const double along = dot(to, before, n);
      for (int i = 0; i < n; i++) to[i] -= along * before[i];
    }
    const double norm = std::sqrt(dot(to, to, n));
    for (int i = 0; i < n; i++) to[i] /= norm;
    if (norm > 0.5 / n) return;
  }
}

/* Decomposes the k-th matrix and destroys a, as the real one does. Returns the matrix's info. */
int decompose(const Batch &b, double *work, int k) {
  const int n = b.n;
  double *a = b.a + k * n * b.lda, *u = b.u + k * n * b.ldu, *v = b.v + k * n * b.ldv;
  double *s = b.s + k * n, *rotations = work + k * n * n;
  for (int i = 0; i < n * n; i++) rotations[i] = i % (n + 1) == 0;
  const bool converged = orthogonalize(a, b.lda, rotations, n, n);
  std::vector<std::pair<double, int>> order;
  for (int i = 0; i < n; i++) order.push_back({-std::sqrt(dot(a + i * b.lda, a + i * b.lda, n)), i});
  std::sort(order.begin(), order.end());
  for (int i = 0; i < n; i++) {
    const auto [negative, from] = order[size_t(i)];
    s[i] = -negative;
    std::copy_n(rotations + from * n, n, v + i * b.ldv);
    for (int row = 0; row < n; row++) u[i * b.ldu + row] = a[from * b.lda + row] / s[i];
    if (s[i] <= 1e-15 * s[0]) complete(u, b.ldu, n, i);
  }
  return converged && k + 1 != state().settings["unconverged"] ? 0 : n + 1;
}

}  // namespace

API int cusolverGetVersion(int *version) {
  ENTER_CUSOLVER
  *version = 12203;
  return SOLVER_SUCCEEDED;
}
API int cusolverDnCreate(void **handle) {
  *handle = reinterpret_cast<void *>(8); /* also where it fails, as the real one does */
  ENTER_CUSOLVER
  *handle = new char;
  handles.insert(*handle);
  return SOLVER_SUCCEEDED;
}
API int cusolverDnDestroy(void *handle) {
  ENTER_CUSOLVER
  if (!handles.erase(handle)) return SOLVER_NOT_INITIALISED;
  delete static_cast<char *>(handle);
  return SOLVER_SUCCEEDED;
}
API int cusolverDnSetStream(void *handle, void *) {
  ENTER_CUSOLVER
  return handles.count(handle) ? SOLVER_SUCCEEDED : SOLVER_NOT_INITIALISED;
}
API int cusolverDnCreateGesvdjInfo(void **info) {
  ENTER_CUSOLVER
  *info = new char;
  return SOLVER_SUCCEEDED;
}
API int cusolverDnDestroyGesvdjInfo(void *info) {
  ENTER_CUSOLVER
  delete static_cast<char *>(info);
  return SOLVER_SUCCEEDED;
}
API int cusolverDnDgesvdjBatched_bufferSize(void *handle, int mode, int m, int n, const double *,
                                            int lda, const double *, const double *, int ldu,
                                            const double *, int ldv, int *scratch, void *info,
                                            int count) {
  ENTER_CUSOLVER
  const Batch batch{n, lda, ldu, ldv, count, nullptr, nullptr, nullptr, nullptr};
  if (!handles.count(handle) || !info) return SOLVER_NOT_INITIALISED;
  if (!valid(batch, mode, m)) return SOLVER_WRONG_VALUE;
  *scratch = scratch_of(batch);
  return SOLVER_SUCCEEDED;
}
API int cusolverDnDgesvdjBatched(void *handle, int mode, int m, int n, double *a, int lda,
                                 double *s, double *u, int ldu, double *v, int ldv, double *work,
                                 int scratch, int *info, void *options, int count) {
  ENTER_CUSOLVER
  const Batch batch{n, lda, ldu, ldv, count, a, s, u, v};
  if (!handles.count(handle) || !options) return SOLVER_NOT_INITIALISED;
  if (!valid(batch, mode, m) || scratch < scratch_of(batch)) return SOLVER_WRONG_VALUE;
  state().kernels["cusolver"]++;
  const int status = submit([=] {
    if (!on_device(batch, work, info)) {
      state().fault = "cusolver: a matrix does not lie in the device's memory";
      return ILLEGAL_ADDRESS;
    }
    for (int k = 0; computes() && k < count; k++) info[k] = decompose(batch, work, k);
    return SUCCESS;
  });
  return status ? SOLVER_FAILED : SOLVER_SUCCEEDED;
}
