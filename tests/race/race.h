/* What the race programs share. Threads stand for the programs of the gateway where a race detector
 * looks on; processes do where one is to be killed. */
#ifndef TESTS_RACE_H
#define TESTS_RACE_H
#include "base/ring.h"
#include "call/location.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                          \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline void *shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    return p;
}

/* xorshift: the same seed is the same run, as far as the machine lets it be. */
static inline uint32_t chance(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return (uint32_t)(*s >> 32);
}

static inline void nap_us(long us)
{
    struct timespec t = {0, us * 1000};
    (void)nanosleep(&t, NULL);
}
#endif
