/* Activation functions over a contiguous range, on one thread. */
#pragma once

#include "activation-type.h"

/* Values as in ACTIVATIONS of backend/elementwise.ts. */
enum activation { GELU, GELU_NEW, RELU, TANH, SILU, ACTIVATIONS };

/* Sets y[n] = f(x); y may be x. */
void ADL_ACT(activate_run)(int kind, const act *x, act *y, int64_t n);
