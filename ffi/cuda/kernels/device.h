/* Everything that kernels share. */
#pragma once

#include "language.h"

#include "activations.h"
#include "dropout.h"
#include "reduce.h"
#include "values.h"

/* Index of this thread among those of a one-dimensional grid. */
DEVICE i64 thread_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
