/* The ledger: engines that reserve against one cap at full speed, each in its own shard; never do
 * they let in more than it says, at any moment that a watcher looks; and a writer that is killed in
 * the middle leaves sums that are never too small. ledger_race threads|processes|crash COUNT */
#include "guard/ledger.h"
#include "race.h"

#define WRITERS   4
#define ROWS      64u
#define CAP_CALLS 1u  /* two engines at the same moment would be one too many */
#define CAP_MICRO 400 /* six slices and two thirds */
static const struct sipkey KEY = {1, 2};
static const struct rate RATE = {.minute_micro = 60, .minimum_s = 1, .increment_s = 1};
static const struct wall NOW = {INT64_C(1790000000000000)};
static struct caps caps = {.calls = CAP_CALLS};
static struct ledger_shard *shard[WRITERS];
static size_t bytes;
static struct state {
    int came, tried;
    uint32_t inside; /* calls that were let in, by the writers' own count */
    int64_t spent;
    uint64_t in[WRITERS], refused[WRITERS];
} * state;
static uint64_t total;

static struct ledger view(unsigned i)
{
    struct ledger l = {.own = shard[i], .n = WRITERS};
    for (unsigned k = 0; k < WRITERS; k++) {
        l.shard[k] = shard[k];
        l.bytes[k] = bytes;
    }
    return l;
}

static void once(struct ledger *l, unsigned i, uint64_t *seed)
{
    struct ledger_key k = {77, &caps, LEDGER_SYSTEM};
    struct ledger_hold h;
    struct ledger_refusal why;
    if (ledger_reserve(l, &k, 1, &RATE, NOW, &h, &why) != REASON_NONE) {
        state->refused[i]++;
        return;
    }
    uint32_t now = __atomic_add_fetch(&state->inside, 1, __ATOMIC_SEQ_CST);
    MUST(now <= CAP_CALLS);
    state->in[i]++;
    if (chance(seed) % 4 == 0)
        (void)sched_yield();
    (void)__atomic_sub_fetch(&state->inside, 1, __ATOMIC_SEQ_CST);
    (void)ledger_release(l, &h, 0, NOW);
}

static void *writer(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    uint64_t seed = 11 + i;
    struct ledger l = view(i);
    for (uint64_t n = 0; n < total; n++)
        once(&l, i, &seed);
    return NULL;
}

/* Money: what all have spent when nobody gets anything any more is at most the cap, and all of it.
 */
static void *spender(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    struct ledger l = view(i);
    struct ledger_key k = {88, &caps, LEDGER_IDENTITY};
    struct ledger_refusal why;
    for (unsigned tries = 0; tries < 200; tries++) {
        struct ledger_hold h;
        if (ledger_reserve(&l, &k, 1, &RATE, NOW, &h, &why) != REASON_NONE) {
            (void)sched_yield();
            continue;
        }
        uint32_t some = h.reserved_s < 7 ? h.reserved_s : 7;
        int64_t cost = ledger_release(&l, &h, some, NOW);
        (void)__atomic_add_fetch(&state->spent, cost, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* All of two engines' attempts fall together: both wait for the round to begin, and only when both
 * have tried is given back. */
static void at(int *gate, int n)
{
    for (unsigned spins = 0; __atomic_load_n(gate, __ATOMIC_ACQUIRE) < n; spins++)
        if (spins > 20000)
            (void)sched_yield();
}

static void *pair(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    struct ledger l = view(i);
    struct ledger_key k = {66, &caps, LEDGER_SYSTEM};
    for (int n = 1; i < 2 && n <= (int)total; n++) {
        struct ledger_hold h;
        struct ledger_refusal why;
        (void)__atomic_add_fetch(&state->came, 1, __ATOMIC_ACQ_REL);
        at(&state->came, 2 * n);
        bool in = ledger_reserve(&l, &k, 1, &RATE, NOW, &h, &why) == REASON_NONE;
        if (in)
            MUST(__atomic_add_fetch(&state->inside, 1, __ATOMIC_SEQ_CST) <= CAP_CALLS);
        (void)__atomic_add_fetch(&state->tried, 1, __ATOMIC_ACQ_REL);
        at(&state->tried, 2 * n);
        if (in)
            (void)__atomic_sub_fetch(&state->inside, 1, __ATOMIC_SEQ_CST);
        state->in[i] += in;
        (void)ledger_release(&l, &h, 0, NOW);
    }
    return NULL;
}

static void begin(void)
{
    bytes = (ledger_bytes(ROWS) + 63) / 64 * 64;
    for (unsigned i = 0; i < WRITERS; i++) {
        shard[i] = shared(bytes);
        ledger_begin(shard[i], ledger_rows(bytes), &KEY);
    }
}

static void all(void *(*f)(void *), bool threads)
{
    pthread_t t[WRITERS];
    pid_t p[WRITERS];
    for (uintptr_t i = 0; i < WRITERS && threads; i++)
        MUST(pthread_create(&t[i], NULL, f, (void *)i) == 0);
    for (unsigned i = 0; i < WRITERS && threads; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    for (uintptr_t i = 0; i < WRITERS && !threads; i++) {
        p[i] = fork();
        MUST(p[i] >= 0);
        if (p[i] == 0) {
            (void)f((void *)i);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < WRITERS && !threads; i++) {
        int st;
        MUST(waitpid(p[i], &st, 0) == p[i] && WIFEXITED(st) && WEXITSTATUS(st) == 0);
    }
}

static void speed(bool threads)
{
    struct ledger l = view(0);
    all(pair, threads);
    printf("%llu of %llu meetings let one in\n", (unsigned long long)(state->in[0] + state->in[1]),
           (unsigned long long)total);
    MUST(state->in[0] + state->in[1] <= total);
    state->in[0] = state->in[1] = 0;
    all(writer, threads);
    uint64_t in = 0, refused = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        in += state->in[i];
        refused += state->refused[i];
    }
    MUST(in > 0 && refused > 0);
    MUST(ledger_sum(&l, LEDGER_SYSTEM, 77, NOW).calls == 0);
    caps = (struct caps){.micro = {0, CAP_MICRO, 0}};
    all(spender, threads);
    struct ledger_sum s = ledger_sum(&l, LEDGER_IDENTITY, 88, NOW);
    MUST(s.micro[SPAN_DAY] == state->spent && state->spent <= CAP_MICRO);
    MUST(state->spent > CAP_MICRO - 60 && s.calls == 0);
    printf("%llu let in, %llu refused, %lld of %d spent\n", (unsigned long long)in,
           (unsigned long long)refused, (long long)state->spent, CAP_MICRO);
}

/* A child spends, and tells what it will have spent before the ledger may know; it is killed at any
 * moment, its shard adopted. */
static void crash(void)
{
    struct ledger l = view(0);
    caps = (struct caps){0};
    int64_t least = 0;
    uint64_t seed = 5;
    for (uint64_t n = 0; n < total; n++) {
        pid_t p = fork();
        MUST(p >= 0);
        if (p == 0) {
            struct ledger_key k = {99, &caps, LEDGER_TRUNK};
            struct ledger_refusal why;
            for (;;) {
                struct ledger_hold h;
                uint32_t next;
                MUST(ledger_reserve(&l, &k, 1, &RATE, NOW, &h, &why) == REASON_NONE);
                for (uint32_t s = 10; s <= 50; s += 10)
                    (void)ledger_run(&l, &k, 1, &h, s, NOW, &next);
                int64_t cost = ledger_release(&l, &h, 55, NOW);
                (void)__atomic_add_fetch(&state->spent, cost, __ATOMIC_SEQ_CST);
            }
        }
        nap_us(200 + chance(&seed) % 3000);
        MUST(kill(p, SIGKILL) == 0);
        int st;
        MUST(waitpid(p, &st, 0) == p && WIFSIGNALED(st)); /* it found nothing wrong itself */
        MUST(ledger_valid(shard[0], bytes) == OK);
        ledger_adopt(shard[0], NOW);
        struct ledger_sum s = ledger_sum(&l, LEDGER_TRUNK, 99, NOW);
        int64_t spent = __atomic_load_n(&state->spent, __ATOMIC_SEQ_CST);
        MUST(s.calls == 0 && s.micro[SPAN_MONTH] >= spent && s.micro[SPAN_MONTH] >= least);
        MUST(s.micro[SPAN_MONTH] <= spent + (int64_t)(n + 1) * 4 * 60);
        least = s.micro[SPAN_MONTH];
    }
    MUST(state->spent > 55 * (int64_t)total);
    printf("%llu kills, %lld spent, %lld counted\n", (unsigned long long)total,
           (long long)state->spent, (long long)least);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    total = strtoull(argv[2], NULL, 10);
    state = shared(sizeof *state);
    begin();
    if (strcmp(argv[1], "crash") == 0)
        crash();
    else
        speed(strcmp(argv[1], "threads") == 0);
    return 0;
}
