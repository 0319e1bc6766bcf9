/* Compiler attributes, assertions and small macros. The only place where attributes are spelled. */
#ifndef BASE_CC_H
#define BASE_CC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define NONNULL      __attribute__((nonnull))
#define PRINTF(f, a) __attribute__((format(__printf__, f, a)))
#define CLEANUP(fn)  __attribute__((cleanup(fn)))
#define HOT          __attribute__((hot))
#define COLD         __attribute__((cold))
#define UNUSED       __attribute__((unused))
#define ALIGNED(n)   __attribute__((aligned(n)))
#define FALLTHROUGH  __attribute__((fallthrough))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Memory safety: always on, traps. */
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (UNLIKELY(!(x)))                                                                        \
            __builtin_trap();                                                                      \
    } while (0)

/* "Cannot happen" protocol cases: always on, counts in expect_failed and yields false. */
extern uint64_t expect_failed;
#define EXPECT(x) (LIKELY(x) ? true : (expect_failed++, false))

#ifdef NDEBUG
#define DCHECK(x) ((void)0)
#else
#define DCHECK(x) CHECK(x)
#endif
#endif
