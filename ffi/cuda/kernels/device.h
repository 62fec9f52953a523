/* Everything that kernels share. */
#pragma once

#include "language.h"
