/* Ranges of rows and columns. */
#pragma once

#include "language.h"

DEVICE i32 smaller(i32 a, i32 b) { return a < b ? a : b; }
DEVICE i32 larger(i32 a, i32 b) { return a > b ? a : b; }

/* Rows or columns [from, to). */
struct Range {
  i32 from, to;
};

DEVICE bool contains(Range range, i32 i) { return range.from <= i && i < range.to; }
