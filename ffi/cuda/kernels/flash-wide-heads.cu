/* Multi-head attention on tensor cores, of heads of 65 to 128 columns: see flash-multi-head.cu. In a
 * family of its own, so that both compile at once. */
#include "flash-multi-head.h"

FLASH_FORWARD(128)
FLASH_BACKWARD(128, OF_QUERIES, OF_KEYS, OF_VALUES)
