#include "io/loop.h"
#include "io/clock.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* An event carries descriptor and generation: a descriptor that was closed and opened again within
 * one turn does not get the events of its predecessor. */
static uint64_t pack(int fd, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

enum err loop_init(struct loop *l, uint32_t cap)
{
    if (cap == 0) {
        struct rlimit lim;
        if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
            return ERR_SYSTEM;
        cap = lim.rlim_cur > (1u << 20) ? 1u << 20 : (uint32_t)lim.rlim_cur;
    }
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0)
        return ERR_SYSTEM;
    void *mem = mmap(NULL, cap * sizeof(struct loop_slot), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED) {
        (void)close(ep);
        return ERR_SYSTEM;
    }
    *l = (struct loop){.ep = ep, .cap = cap, .slots = mem, .now = clock_now()};
    return OK;
}

void loop_done(struct loop *l)
{
    (void)munmap(l->slots, l->cap * sizeof(struct loop_slot));
    (void)close(l->ep);
    *l = (struct loop){.ep = -1};
}

enum err loop_add(struct loop *l, int fd, uint32_t events, loop_fn *fn, void *ctx)
{
    CHECK(fd >= 0 && fn);
    if ((uint32_t)fd >= l->cap)
        return ERR_FULL;
    struct loop_slot *s = &l->slots[fd];
    CHECK(!s->fn);
    struct epoll_event ev = {.events = events, .data.u64 = pack(fd, s->generation)};
    if (epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev) != 0)
        return ERR_SYSTEM;
    s->fn = fn;
    s->ctx = ctx;
    s->events = events;
    l->n++;
    return OK;
}

enum err loop_mod(struct loop *l, int fd, uint32_t events)
{
    CHECK(fd >= 0 && (uint32_t)fd < l->cap && l->slots[fd].fn);
    struct loop_slot *s = &l->slots[fd];
    if (s->events == events)
        return OK;
    struct epoll_event ev = {.events = events, .data.u64 = pack(fd, s->generation)};
    if (epoll_ctl(l->ep, EPOLL_CTL_MOD, fd, &ev) != 0)
        return ERR_SYSTEM;
    s->events = events;
    return OK;
}

void loop_del(struct loop *l, int fd)
{
    if (fd < 0 || (uint32_t)fd >= l->cap || !l->slots[fd].fn)
        return;
    struct epoll_event ev = {0};
    (void)epoll_ctl(l->ep, EPOLL_CTL_DEL, fd, &ev);
    l->slots[fd] = (struct loop_slot){.generation = l->slots[fd].generation + 1};
    l->n--;
}

enum err loop_wait(struct loop *l, struct dur wait, struct epoll_event ret_ev[LOOP_BATCH],
                   uint32_t *ret_n)
{
    int ms = wait.us < 0                     ? -1
             : wait.us > INT64_C(3600000000) ? 3600000
                                             : (int)((wait.us + 999) / 1000);
    int n = epoll_wait(l->ep, ret_ev, LOOP_BATCH, ms);
    if (n < 0 && errno != EINTR)
        return ERR_SYSTEM;
    l->now = clock_now();
    *ret_n = n > 0 ? (uint32_t)n : 0;
    return OK;
}

uint32_t loop_call(struct loop *l, const struct epoll_event *ev, uint32_t n)
{
    uint32_t calls = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t fd = (uint32_t)ev[i].data.u64, generation = (uint32_t)(ev[i].data.u64 >> 32);
        CHECK(fd < l->cap);
        struct loop_slot s = l->slots[fd];
        if (!s.fn || s.generation != generation)
            continue;
        s.fn(s.ctx, (int)fd, ev[i].events);
        calls++;
    }
    return calls;
}

enum err loop_turn(struct loop *l, struct dur wait, uint32_t *ret_calls)
{
    struct epoll_event ev[LOOP_BATCH];
    uint32_t n = 0;
    enum err e = loop_wait(l, wait, ev, &n);
    if (e != OK)
        return e;
    *ret_calls = loop_call(l, ev, n);
    return OK;
}
