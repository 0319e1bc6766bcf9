/* Times and lengths of time that cannot be mixed with RTP ticks or milliseconds. now is always an
 * argument; only src/io reads a clock. instant is monotonic since boot of the program's host clock;
 * wall is Unix time. */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H
#include <stdbool.h>
#include <stdint.h>

struct instant {
    int64_t us;
};
struct dur {
    int64_t us;
};
struct wall {
    int64_t us; /* since 1970-01-01 UTC */
};
#define INSTANT_NEVER ((struct instant){INT64_MAX})
#define DUR_US(x)     ((struct dur){(x)})
#define DUR_MS(x)     ((struct dur){(x)*INT64_C(1000)})
#define DUR_S(x)      ((struct dur){(x)*INT64_C(1000000)})

static inline struct instant instant_add(struct instant t, struct dur d)
{
    return (struct instant){t.us + d.us};
}
static inline struct dur instant_sub(struct instant a, struct instant b)
{
    return (struct dur){a.us - b.us};
}
static inline bool instant_before(struct instant a, struct instant b)
{
    return a.us < b.us;
}
/* now as the platform gives it to the pure floors: both clocks, read once a turn. */
struct now {
    struct instant mono;
    struct wall wall;
};
#endif
