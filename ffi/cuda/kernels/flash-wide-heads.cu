/* Multi-head attention on tensor cores, of heads of 65 to 128 columns. In a family of its own, so
 * that it compiles beside flash-multi-head.cu. */
#include "flash-multi-head.h"

FLASH_FORWARD(128)
FLASH_BACKWARD(128, OF_QUERIES, OF_KEYS, OF_VALUES)
