/* One producer and one consumer on a ring: threads (under a race detector) and processes that are
 * killed in between. Every record must come once, whole and in order; a wake-up must never be
 * missed. ring_race threads|crash COUNT */
#include "race.h"

#define SIZE       (64u << 10)
#define RECORD_MAX 3000u
#define STUCK_MS   5000

static struct ring_shared *mem;
static int wake[2];
static uint64_t total;

/* What record i holds: its number, then bytes that follow from it. */
static size_t record_fill(uint64_t i, uint8_t *buf)
{
    uint64_t s = i * 2654435761u + 1;
    size_t n = 8 + chance(&s) % (i % 64 == 0 ? RECORD_MAX - 8 : 200);
    memcpy(buf, &i, 8);
    for (size_t k = 8; k < n; k++)
        buf[k] = (uint8_t)(i * 31 + k);
    return n;
}

static void record_check(uint64_t want, const uint8_t *buf, size_t n)
{
    static __thread uint8_t expect[RECORD_MAX];
    MUST(record_fill(want, expect) == n && memcmp(expect, buf, n) == 0);
}

static void *produce(void *arg)
{
    struct ring r;
    uint8_t buf[RECORD_MAX];
    (void)arg;
    MUST(ring_attach(&r, mem, SIZE, true) == OK);
    for (uint64_t i = 0; i < total;) {
        size_t n = record_fill(i, buf);
        enum err e = i % 2 ? ring_put(&r, buf, n)
                           : ring_put2(&r, str_of((char *)buf, 5), str_of((char *)buf + 5, n - 5));
        i += e == OK;
        MUST(e == OK || e == ERR_FULL);
        if ((i % 16 == 0 || e == ERR_FULL || i == total) && ring_want_wake(&r))
            MUST(write(wake[1], "", 1) == 1);
        if (e == ERR_FULL)
            (void)sched_yield();
    }
    return NULL;
}

/* Sleeps as the programs do: announce, look again, wait. */
static void *consume(void *hold)
{
    struct ring r;
    uint8_t buf[RECORD_MAX];
    size_t n;
    MUST(ring_attach(&r, mem, SIZE, false) == OK);
    r.hold = hold != NULL;
    for (uint64_t i = 0; i < total;) {
        enum err e = ring_get(&r, buf, sizeof buf, &n);
        if (e == OK) {
            record_check(i++, buf, n);
            if (i % 512 == 0 || i == total || ring_held(&r) > SIZE / 4)
                ring_release(&r);
            continue;
        }
        MUST(e == ERR_AGAIN);
        ring_release(&r);
        if (!ring_sleep(&r))
            continue;
        struct pollfd p = {wake[0], POLLIN, 0};
        MUST(poll(&p, 1, STUCK_MS) == 1); /* a lost wake-up shows here */
        char drop[64];
        MUST(read(wake[0], drop, sizeof drop) > 0);
        ring_awake(&r);
    }
    return NULL;
}

static void threads(bool hold)
{
    pthread_t a, b;
    mem = shared(ring_bytes(SIZE));
    MUST(pipe(wake) == 0);
    MUST(pthread_create(&a, NULL, consume, hold ? mem : NULL) == 0);
    MUST(pthread_create(&b, NULL, produce, NULL) == 0);
    MUST(pthread_join(b, NULL) == 0 && pthread_join(a, NULL) == 0);
}

/* -- processes that die -- */

struct progress { /* of the consumer, as a database would keep it: written before the release */
    uint64_t next;
    uint32_t own;
    uint32_t producer_next;
};
static struct progress *progress;

static void producer_child(void)
{
    struct ring r;
    uint8_t buf[RECORD_MAX];
    MUST(ring_attach(&r, mem, SIZE, true) == OK);
    /* What it put last stands in the ring; here the count is kept beside it, one behind at most. */
    for (;;) {
        uint32_t i = __atomic_load_n(&progress->producer_next, __ATOMIC_ACQUIRE);
        size_t n = record_fill(i, buf);
        enum err e = ring_put(&r, buf, n);
        MUST(e == OK || e == ERR_FULL);
        if (e == OK)
            __atomic_store_n(&progress->producer_next, i + 1, __ATOMIC_RELEASE);
    }
}

/* Takes a batch, "commits" it, gives it back: killed anywhere, nothing is lost. A record that the
 * producer put just before it died may come again, for it was put again. */
static void consumer_child(void)
{
    struct ring r;
    uint8_t buf[RECORD_MAX];
    size_t n;
    uint64_t next = __atomic_load_n(&progress->next, __ATOMIC_ACQUIRE);
    MUST(ring_attach(&r, mem, SIZE, false) == OK);
    r.hold = true;
    for (;;) {
        for (int k = 0; k < 20 && ring_get(&r, buf, sizeof buf, &n) == OK; k++) {
            uint64_t i;
            MUST(n >= 8);
            memcpy(&i, buf, 8);
            MUST(i <= next); /* none is missing: they may only repeat */
            record_check(i, buf, n);
            next = i + 1 > next ? i + 1 : next;
        }
        __atomic_store_n(&progress->next, next, __ATOMIC_RELEASE);
        ring_release(&r);
    }
}

static pid_t begin(void (*fn)(void))
{
    pid_t p = fork();
    MUST(p >= 0);
    if (p == 0) {
        fn();
        _exit(0);
    }
    return p;
}

static void stop(pid_t p)
{
    int st;
    (void)kill(p, SIGKILL);
    MUST(waitpid(p, &st, 0) == p);
    MUST(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL); /* not by a check of its own */
}

static void crash(void)
{
    uint64_t seed = 42, before = 0;
    mem = shared(ring_bytes(SIZE));
    progress = shared(sizeof *progress);
    pid_t p = begin(producer_child), c = begin(consumer_child);
    for (uint64_t i = 0; i < total; i++) {
        nap_us(200 + (long)(chance(&seed) % 3000));
        if (chance(&seed) % 2) {
            stop(p);
            p = begin(producer_child);
        } else {
            stop(c);
            c = begin(consumer_child);
        }
    }
    for (int i = 0; i < 100 && (i < 3 || progress->next == before); i++)
        nap_us(10000);
    before = progress->next;
    stop(p);
    stop(c);
    printf("%llu records, %llu kills\n", (unsigned long long)before, (unsigned long long)total);
    MUST(before > total);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    total = strtoull(argv[2], NULL, 10);
    if (strcmp(argv[1], "crash") == 0) {
        crash();
        return 0;
    }
    threads(false);
    threads(true);
    printf("%llu records, twice\n", (unsigned long long)total);
    return 0;
}
