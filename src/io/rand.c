#include "io/rand.h"
#include <errno.h>
#include <sys/random.h>

enum err rand_bytes(void *ret, size_t n)
{
    uint8_t *p = ret;
    while (n > 0) {
        ssize_t got = getrandom(p, MIN(n, (size_t)256), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_SYSTEM;
        p += got;
        n -= (size_t)got;
    }
    return OK;
}
