/* Randomness of the kernel. */
#ifndef IO_RAND_H
#define IO_RAND_H
#include "base/str.h"

/* Waits only before the kernel's pool is ready at boot. ERR_SYSTEM: do not go on. */
MUST_CHECK enum err rand_bytes(void *ret, size_t n);
#endif
