/* Everything that kernels share. */
#pragma once

#include "language.h"

#include "activations.h"
#include "dropout.h"
#include "reduce.h"
#include "values.h"

/* Kernels over n elements have one thread each: its index. */
DEVICE i64 own_element() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }

/* Kernels over a matrix have one row a block x, one column a thread of blocks y. */
DEVICE i32 own_row() { return (i32)blockIdx.x; }
DEVICE i32 own_column() { return (i32)(blockIdx.y * blockDim.x + threadIdx.x); }
