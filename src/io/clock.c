#include "io/clock.h"
#include "base/cc.h"
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct now clock_now(void)
{
    return (struct now){{read_us(CLOCK_MONOTONIC)}, {read_us(CLOCK_REALTIME)}};
}

uint64_t clock_cpu_us(void)
{
    return (uint64_t)read_us(CLOCK_PROCESS_CPUTIME_ID);
}
