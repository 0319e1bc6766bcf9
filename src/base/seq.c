#include "base/seq.h"
#include <string.h>

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* readers race by design; the fences are for the machine  \
                                         */
#endif

void seq_write_begin(uint32_t *seq)
{
    uint32_t s = __atomic_load_n(seq, __ATOMIC_RELAXED);
    /* | 1, not + 1: a writer that takes over from one that died inside starts odd. */
    __atomic_store_n(seq, s | 1u, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

void seq_write_end(uint32_t *seq)
{
    __atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

bool seq_read(const uint32_t *seq, void *dst, const void *src, size_t n)
{
    for (int i = 0; i < 64; i++) {
        uint32_t before = __atomic_load_n(seq, __ATOMIC_ACQUIRE);
        if (before & 1)
            continue;
        memcpy(dst, src, n);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(seq, __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}
