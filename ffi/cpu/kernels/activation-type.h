/*
 * The type of activations. Kernels compute in float and touch activations by these two alone, so
 * that a file of kernels compiles for another storage type by other definitions.
 */
#pragma once

#include "adl.h"

typedef float act;
#define ADL_ACT(name) adl_##name##_f32

ADL_INLINE float act_load(const act *p) { return *p; }
ADL_INLINE void act_store(act *p, float x) { *p = x; }
