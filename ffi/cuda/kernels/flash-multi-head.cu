/* Multi-head attention on tensor cores, of heads of up to 64 columns. */
#include "flash-multi-head.h"

FLASH_FORWARD(64)
FLASH_BACKWARD(64, OF_QUERIES, OF_KEYS_AND_VALUES)
