/* Activation functions over a run of numbers, on one thread. */
#pragma once

#include "activation-type.h"

/* Core order of ActivationKind. */
enum activation { GELU, GELU_NEW, RELU, TANH, ACTIVATIONS };

/* Sets y[n] = f(x); y may be x. */
void ADL_ACT(activate_run)(int kind, const act *x, act *y, int64_t n);
