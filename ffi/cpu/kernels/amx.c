/* Leave to use AMX. */
#include <sys/syscall.h>
#include <unistd.h>

#include "adl.h"

/* Linux (5.16 and later) lets a process use tiles once it has asked: arch_prctl(2). */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

/* Asks for all threads of the process, as often as one likes. */
ADL_API int adl_request_tiles(void) {
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 ? ADL_OK
                                                                              : ADL_REFUSED;
}
