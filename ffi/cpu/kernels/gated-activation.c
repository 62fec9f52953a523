/* Gated linear units (Shazeer, 2020): an activation times a gate, in one pass over both. */
#include "activation.h"
#include "activation-math.h"

#define SET_Y(f, slope) ACT_SET(y, i, 0, n, f(act_load(x + i)) * act_load(gate + i))

/* Sets y[n] = f(x) * gate for one row. */
ADL_NOINLINE void set_row(int kind, const act *x, const act *gate, act *y, int64_t n) {
  FOR_ACTIVATION(kind, SET_Y)
}

/* Sets y[rows, cols] = f(x) * gate; x and gate have row stride `stride`. */
ADL_API int ADL_ACT(gated_activation)(int kind, const act *x, const act *gate, act *y, int64_t rows,
                                      int64_t cols, int64_t stride) {
  if (kind < 0 || kind >= ACTIVATIONS) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++)
      set_row(kind, x + r * stride, gate + r * stride, y + r * cols, cols);
  }
  return ADL_OK;
}

typedef struct {
  const act *dy, *x, *gate;
  act *dx, *dgate;
} gradients;

#define SET_GRADIENTS(f, slope)                                                                    \
  ADL_PRAGMA(omp simd)                                                                             \
  for (int64_t i = 0; i < n; i++) {                                                                \
    const float d = act_load(dy + i), at = act_load(x + i);                                        \
    const float to_x = d * act_load(gate + i) * slope(at), to_gate = d * f(at);                    \
    act_store(dx + i, to_x);                                                                       \
    act_store(dgate + i, to_gate);                                                                 \
  }

/* Sets dx[n] = dy * gate * f'(x) and dgate = dy * f(x) for one row. */
ADL_NOINLINE void set_gradients(int kind, gradients row, int64_t n) {
  const act *dy = row.dy, *x = row.x, *gate = row.gate;
  act *dx = row.dx, *dgate = row.dgate;
  FOR_ACTIVATION(kind, SET_GRADIENTS)
}

/* Sets dx = dy * gate * f'(x) and dgate = dy * f(x), [rows, cols] with row stride `stride`, as x and
 * gate; dx may be x, and dgate may be gate. */
ADL_API int ADL_ACT(gated_activation_bwd)(int kind, const act *dy, const act *x, const act *gate,
                                          act *dx, act *dgate, int64_t rows, int64_t cols,
                                          int64_t stride) {
  if (kind < 0 || kind >= ACTIVATIONS) return ADL_BAD_INDEX;
  const int parts = adl_parts(rows * cols);
  ADL_FOR_PARTS(part, parts) {
    adl_range range = adl_part(rows, 1, part, parts);
    for (int64_t r = range.from; r < range.to; r++) {
      const int64_t at = r * stride;
      const gradients row = {dy + r * cols, x + at, gate + at, dx + at, dgate + at};
      set_gradients(kind, row, cols);
    }
  }
  return ADL_OK;
}
