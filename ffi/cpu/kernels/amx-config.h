/* The shape of AMX's tile registers, the same for all products. */
#pragma once

#include "vector.h"

/* Palette 1 with eight tiles of 16 rows of 64 bytes. A static constant, because GCC 12 does not
 * know that the instruction reads more than 8 bytes. */
static const struct {
  uint8_t palette, start, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
} amx_config = {.palette = 1,
                .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

ADL_INLINE void amx_begin(void) { _tile_loadconfig(&amx_config); }
ADL_INLINE void amx_end(void) { _tile_release(); }
