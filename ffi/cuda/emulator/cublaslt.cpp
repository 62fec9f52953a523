/*
 * libcublasLt with the real ABI: what the backend uses of it. It refuses what the library would:
 * attributes of a wrong size, layouts that do not fit, an algorithm of another shape, matrices that
 * are less aligned than the preference said, and too small a workspace.
 */
#include "products.h"

using namespace emulated;

namespace {

enum { COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77 };
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4 };

/* What the emulated algorithms need: as much as some of the library's do. */
constexpr size_t WORKSPACE = 4 << 20;

/* A descriptor begins with its kind, so that one in another's place shows. */
enum Kind { PRODUCT = 0x5150, LAYOUT, PREFERENCE };

struct Product {
  Kind kind;
  int compute, op_a, op_b;
  unsigned epilogue;
  const char *bias;
};

struct Layout {
  Kind kind;
  int type;
  uint64_t rows, cols;
  int64_t ld;
};

struct Preference {
  Kind kind;
  uint64_t workspace;
  uint32_t alignment[4]; /* of A, B, C and D */
};

/* cublasLtMatmulAlgo_t as this library fills it. */
struct Algorithm {
  uint64_t m, n, k;
  int types[3], ops[2];
  uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= 64, "an algorithm has 64 bytes");

/* cublasLtMatmulHeuristicResult_t */
struct Result {
  char algorithm[64];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

template <class T>
T *as(void *descriptor, Kind kind) {
  T *found = static_cast<T *>(descriptor);
  return found && found->kind == kind ? found : nullptr;
}

template <class T>
int destroy(void *descriptor, Kind kind) {
  T *found = as<T>(descriptor, kind);
  if (!found) return WRONG_VALUE;
  delete found;
  return SUCCEEDED;
}

/* Copies an attribute whose size is the only right one. */
template <class T>
int set(T &to, const void *value, size_t bytes) {
  if (!value || bytes != sizeof to) return WRONG_VALUE;
  memcpy(&to, value, bytes);
  return SUCCEEDED;
}

/* A product's descriptors. */
struct Call {
  Product *product;
  Layout *a, *b, *c, *d;
};

/* Whether the descriptors are ones, and fit each other; fills the algorithm for them. */
int describe(const Call &call, Algorithm &to) {
  if (!call.product || !call.a || !call.b || !call.c || !call.d) return WRONG_VALUE;
  const Product &p = *call.product;
  const bool ta = p.op_a != 0, tb = p.op_b != 0;
  to.m = call.d->rows, to.n = call.d->cols, to.k = ta ? call.a->rows : call.a->cols;
  const bool fit = (ta ? call.a->cols : call.a->rows) == to.m &&
                   (tb ? call.b->rows : call.b->cols) == to.n &&
                   (tb ? call.b->cols : call.b->rows) == to.k && call.c->rows == to.m &&
                   call.c->cols == to.n;
  if (!fit) return WRONG_VALUE;
  to.types[0] = call.a->type, to.types[1] = call.b->type, to.types[2] = call.d->type;
  to.ops[0] = p.op_a, to.ops[1] = p.op_b;
  if (call.a->type != call.b->type || call.c->type != call.d->type) return NOT_SUPPORTED;
  if (p.epilogue != EPILOGUE_DEFAULT && p.epilogue != EPILOGUE_BIAS) return NOT_SUPPORTED;
  if (p.compute != COMPUTE_32F && p.compute != COMPUTE_32F_FAST_TF32) return NOT_SUPPORTED;
  if (p.compute == COMPUTE_32F_FAST_TF32 && call.a->type != F32) return NOT_SUPPORTED;
  return SUCCEEDED;
}

Matrix matrix(const void *data, const Layout &layout, int op) {
  return {static_cast<char *>(const_cast<void *>(data)),
          layout.type,
          int(layout.ld),
          op != 0,
          int(layout.rows),
          int(layout.cols)};
}

/* Adds a bias to each column of D, and rounds as the epilogue does. */
int add_bias(const Matrix &d, const char *bias) {
  const Matrix vector = {const_cast<char *>(bias), d.type, d.rows, false, d.rows, 1};
  if (!holds(vector)) {
    state().fault = "cublasLt: the bias does not lie in the device's memory";
    return ILLEGAL_ADDRESS;
  }
  if (!computes()) return SUCCESS;
  for (int col = 0; col < d.cols; col++)
    for (int row = 0; row < d.rows; row++) {
      const long at = long(col) * d.ld + row;
      store(d, at, load(d, at) + load(vector, row));
    }
  return SUCCESS;
}

}  // namespace

API int cublasLtCreate(void **handle) {
  ENTER_CUBLAS
  *handle = new char;
  return SUCCEEDED;
}
API int cublasLtDestroy(void *handle) {
  ENTER_CUBLAS
  delete static_cast<char *>(handle);
  return SUCCEEDED;
}
API int cublasLtMatmulDescCreate(void **made, int compute, int scale) {
  ENTER_CUBLAS
  if (scale != F32) return NOT_SUPPORTED;
  *made = new Product{PRODUCT, compute, 0, 0, EPILOGUE_DEFAULT, nullptr};
  return SUCCEEDED;
}
API int cublasLtMatmulDescDestroy(void *descriptor) {
  ENTER_CUBLAS
  return destroy<Product>(descriptor, PRODUCT);
}
API int cublasLtMatmulDescSetAttribute(void *descriptor, int attribute, const void *value,
                                       size_t bytes) {
  ENTER_CUBLAS
  Product *product = as<Product>(descriptor, PRODUCT);
  if (!product) return WRONG_VALUE;
  switch (attribute) {
    case 3: return set(product->op_a, value, bytes);
    case 4: return set(product->op_b, value, bytes);
    case 7: return set(product->epilogue, value, bytes);
    case 8: return set(product->bias, value, bytes);
    default: return WRONG_VALUE;
  }
}
API int cublasLtMatrixLayoutCreate(void **made, int type, uint64_t rows, uint64_t cols,
                                   int64_t ld) {
  ENTER_CUBLAS
  if ((type != F32 && type != BF16) || rows == 0 || cols == 0 || ld < int64_t(rows))
    return WRONG_VALUE;
  *made = new Layout{LAYOUT, type, rows, cols, ld};
  return SUCCEEDED;
}
API int cublasLtMatrixLayoutDestroy(void *descriptor) {
  ENTER_CUBLAS
  return destroy<Layout>(descriptor, LAYOUT);
}
API int cublasLtMatmulPreferenceCreate(void **made) {
  ENTER_CUBLAS
  *made = new Preference{PREFERENCE, 0, {256, 256, 256, 256}};
  return SUCCEEDED;
}
API int cublasLtMatmulPreferenceDestroy(void *descriptor) {
  ENTER_CUBLAS
  return destroy<Preference>(descriptor, PREFERENCE);
}
API int cublasLtMatmulPreferenceSetAttribute(void *descriptor, int attribute, const void *value,
                                             size_t bytes) {
  ENTER_CUBLAS
  Preference *preference = as<Preference>(descriptor, PREFERENCE);
  if (!preference) return WRONG_VALUE;
  if (attribute == 1) return set(preference->workspace, value, bytes);
  if (attribute >= 5 && attribute <= 8)
    return set(preference->alignment[attribute - 5], value, bytes);
  return WRONG_VALUE;
}
API int cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c,
                                       void *d, void *preferred, int requested, Result *results,
                                       int *found) {
  ENTER_CUBLAS
  const Preference *preference = as<Preference>(preferred, PREFERENCE);
  if (!handle || !preference || requested < 1) return WRONG_VALUE;
  Algorithm algorithm = {};
  const Call call = {as<Product>(product, PRODUCT), as<Layout>(a, LAYOUT), as<Layout>(b, LAYOUT),
                     as<Layout>(c, LAYOUT), as<Layout>(d, LAYOUT)};
  if (int status = describe(call, algorithm)) return status;
  memcpy(algorithm.alignment, preference->alignment, sizeof algorithm.alignment);
  *found = preference->workspace < WORKSPACE ? 0 : 1;
  if (*found == 0) return NOT_SUPPORTED;
  *results = {};
  memcpy(results->algorithm, &algorithm, sizeof algorithm);
  results->workspace = WORKSPACE;
  return SUCCEEDED;
}
API int cublasLtMatmul(void *handle, void *product, const void *alpha, const void *a,
                       void *a_layout, const void *b, void *b_layout, const void *beta,
                       const void *c, void *c_layout, void *d, void *d_layout,
                       const void *algorithm, void *workspace, size_t workspace_bytes, void *) {
  RETURN_IF_IDLE ENTER_CUBLAS
  const Call call = {as<Product>(product, PRODUCT), as<Layout>(a_layout, LAYOUT),
                     as<Layout>(b_layout, LAYOUT), as<Layout>(c_layout, LAYOUT),
                     as<Layout>(d_layout, LAYOUT)};
  Algorithm own = {}, chosen;
  if (!handle || !algorithm || c != d) return WRONG_VALUE;
  if (int status = describe(call, own)) return status;
  memcpy(&chosen, algorithm, sizeof chosen);
  const void *matrices[] = {a, b, c, d};
  for (int i = 0; i < 4; i++) {
    if (uintptr_t(matrices[i]) % chosen.alignment[i]) {
      state().fault = "cublasLt: a matrix is less aligned than the preference said";
      return WRONG_VALUE;
    }
    own.alignment[i] = chosen.alignment[i];
  }
  if (memcmp(&own, &chosen, sizeof own)) return WRONG_VALUE; /* an algorithm of another product */
  if (workspace_bytes < WORKSPACE || uintptr_t(workspace) % 256 ||
      !state().device.holds(workspace, workspace_bytes))
    return WRONG_VALUE;
  state().kernels["cublasLt"]++;
  const Matrix x = matrix(a, *call.a, call.product->op_a),
               y = matrix(b, *call.b, call.product->op_b), z = matrix(d, *call.d, 0);
  const float scale = *static_cast<const float *>(alpha), keep = *static_cast<const float *>(beta);
  const char *bias = call.product->epilogue == EPILOGUE_BIAS ? call.product->bias : nullptr;
  const bool tf32 = call.product->compute == COMPUTE_32F_FAST_TF32;
  const int k = int(own.k);
  const int status = submit([=] {
    if (int failed = multiply(x, y, z, k, scale, keep, tf32)) return failed;
    return bias ? add_bias(z, bias) : int(SUCCESS);
  });
  return status ? EXECUTION_FAILED : SUCCEEDED;
}
