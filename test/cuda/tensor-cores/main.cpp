/* Runs products.cu on the emulator in every order of threads, with early and late copies, and
 * compares with plain loops, and reductions with loops of shuffles. Prints a line a run: fault,
 * order, early, wrong elements. */
#include "host.h"

#include "checks.h"

#include <vector>

#include "products.cu"

/* -1, 0 or 1, exact in bf16, and without a period: exchanged tiles have other values. */
static float value_at(int i) { return float((unsigned(i) * 2654435761u >> 13) % 3) - 1; }

/* Threads whose reductions have other bits than those by shuffles. */
static int wrong_reductions(int order, int early) {
  float values[FLASH_THREADS];
  for (int i = 0; i < FLASH_THREADS; i++) values[i] = sinf(float(i)) * float(1 << i % 20);
  values[37] = -INFINITY, values[70] = INFINITY, values[99] = NAN;
  Reductions results[2][FLASH_THREADS] = {}, *reduced = results[0], *by_shuffles = results[1];
  const float *from = values;
  void *parameters[] = {&reduced, &by_shuffles, &from};
  adl_launch launch = {{1, 1, 1}, {FLASH_THREADS, 1, 1}, 0, order, early, {0}};
  emulator::run_with(&reductions, &launch, parameters);
  if (launch.fault[0]) printf("%s\n", launch.fault);
  int wrong = 0;
  for (int i = 0; i < FLASH_THREADS; i++)
    wrong += memcmp(&reduced[i], &by_shuffles[i], sizeof(Reductions)) != 0;
  return wrong;
}

/* Whether lanes at different instructions stop the kernel. */
static bool stops_diverged(int order, int early) {
  float values[FLASH_THREADS], *sums = values;
  void *parameters[] = {&sums};
  adl_launch launch = {{1, 1, 1}, {FLASH_THREADS, 1, 1}, 0, order, early, {0}};
  emulator::run_with(&diverged, &launch, parameters);
  return strstr(launch.fault, "different instructions") != nullptr;
}

int main() {
  const int n = SIDE, elements = n * n;
  std::vector<float> a(elements), b(elements), expected(3 * elements);
  alignas(16) static bf16 a_bits[SIDE * SIDE], b_bits[SIDE * SIDE];
  for (int i = 0; i < elements; i++) {
    store(&a_bits[i], a[size_t(i)] = value_at(i + i / 5));
    store(&b_bits[i], b[size_t(i)] = value_at(3 * i + i / 7));
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      for (int k = 0; k < n; k++) {
        expected[size_t(i * n + j)] += a[size_t(i * n + k)] * b[size_t(j * n + k)];
        expected[size_t(2 * elements + i * n + j)] += a[size_t(k * n + i)] * b[size_t(k * n + j)];
      }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      for (int k = 0; k < n; k++)
        expected[size_t(elements + i * n + j)] +=
            expected[size_t(i * n + k)] * b[size_t(k * n + j)];
  for (int fault = 0; fault <= NO_BARRIER; fault++)
    for (int order = 0; order < 6; order++)
      for (int early = 0; early < 2; early++) {
        std::vector<float> got(expected.size());
        float *inner = got.data(), *weighted = inner + elements, *transposed = weighted + elements;
        const bf16 *left = a_bits, *right = b_bits;
        void *parameters[] = {&inner, &weighted, &transposed, &left, &right, &fault};
        adl_launch launch = {{1, 1, 1}, {FLASH_THREADS, 1, 1}, 4 * SIDE * SIDE, order, early, {0}};
        emulator::run_with(&products_of_tiles, &launch, parameters);
        if (launch.fault[0]) printf("%s\n", launch.fault);
        int wrong = 0;
        for (size_t i = 0; i < got.size(); i++) wrong += got[i] != expected[i];
        if (fault == 0) wrong += wrong_reductions(order, early) + !stops_diverged(order, early);
        printf("%d %d %d %d\n", fault, order, early, wrong);
      }
}
