/* The event loop: level-triggered epoll, a table by descriptor, one clock read a turn, no
 * allocation after loop_init. Timers are the owner's (base/timer): it passes the time until the
 * next one. Single thread. */
#ifndef IO_LOOP_H
#define IO_LOOP_H
#include "base/instant.h"
#include "base/str.h"
#include <sys/epoll.h>

typedef void
loop_fn(void *ctx, int fd,
        uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP */
struct loop_slot {
    loop_fn *fn; /* NULL: not watched */
    void *ctx;
    uint32_t generation, events;
};
struct loop {
    int ep;
    uint32_t cap; /* descriptors below it can be watched */
    uint32_t n;   /* watched */
    struct loop_slot *slots;
    struct now now; /* of this turn */
};
#define LOOP_BATCH 256
/* cap 0: as many as RLIMIT_NOFILE allows, at most 2^20. Memory is touched only where used. */
MUST_CHECK enum err loop_init(struct loop *l, uint32_t cap);
void loop_done(struct loop *l);
MUST_CHECK enum err loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn,
                             void *ctx); /* keeps ctx */
MUST_CHECK enum err loop_mod(struct loop *l, int fd,
                             uint32_t events); /* no system call when nothing changes */
/* Before close. Events of it that this turn still holds are dropped. */
void loop_del(struct loop *l, int fd);
/* Waits at most so long (negative: for ever; rounded up to 1 ms), reads the clock, calls what is
 * ready. ret: callbacks made. A signal ends the wait early. */
MUST_CHECK enum err loop_turn(struct loop *l, struct dur wait, uint32_t *ret_calls);
/* For an owner that does work between waiting and calling: loop_turn in two. */
MUST_CHECK enum err loop_wait(struct loop *l, struct dur wait,
                              struct epoll_event ret_ev[LOOP_BATCH], uint32_t *ret_n);
uint32_t loop_call(struct loop *l, const struct epoll_event *ev, uint32_t n);
#endif
