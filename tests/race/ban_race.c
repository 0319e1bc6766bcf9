/* The ban board: one writer, several readers that must never see half a ban nor miss one that
 * stands, whatever chains it lies in are torn apart around it; with readers in processes of their
 * own, too. ban_race threads|processes COUNT */
#include "guard/ban.h"
#include "race.h"

#define CAP     256u
#define NAMES   320u /* more than fit */
#define KEPT    48u  /* these are never removed, the first half not even rewritten */
#define READERS 3
#define SECONDS 3
static struct ban_board *board;
static struct state {
    int ended;
    uint64_t reads[READERS], found[READERS];
} * state;
static uint64_t total;

/* Version v of name i: every field that a reader gets follows from both. */
static void ban_make(unsigned i, uint32_t v, struct ban *b)
{
    memset(b, 0, sizeof *b);
    b->treat = (uint8_t)(TREAT_CHALLENGE + v % (TREAT_COUNT - TREAT_CHALLENGE));
    b->detector = (uint8_t)(v % DET_COUNT);
    b->reason = (uint16_t)(v % REASON_COUNT);
    b->weight = (uint8_t)i;
    if (i % 4 == 3) {
        b->scope = BAN_AOR;
        b->key = i + 1;
        return;
    }
    b->scope = BAN_SOURCE;
    b->net.a.family = i % 4 == 2 ? ADDR_V6 : ADDR_V4;
    b->net.bits = i % 4 == 2 ? 64 : 32;
    b->net.a.ip[0] = 0x20;
    b->net.a.ip[2] = (uint8_t)(i >> 8);
    b->net.a.ip[3] = (uint8_t)i;
}

static void view_check(unsigned i, const struct ban_view *v)
{
    bool same = false;
    MUST(v->weight == (uint8_t)i && v->slot < CAP);
    /* some version has all three */
    for (uint32_t k = 0; k < DET_COUNT * (TREAT_COUNT - TREAT_CHALLENGE) && !same; k++) {
        uint32_t version = v->detector + k * DET_COUNT;
        same = (uint32_t)v->treat == TREAT_CHALLENGE + version % (TREAT_COUNT - TREAT_CHALLENGE);
    }
    MUST(same);
}

static void write_one(uint64_t *seed, uint32_t v)
{
    struct ban b;
    uint32_t slot;
    unsigned i = KEPT / 2 + chance(seed) % (NAMES - KEPT / 2);
    ban_make(i, v, &b);
    if (i < KEPT || chance(seed) % 2)
        MUST(ban_put(board, CAP, &b, &slot) != ERR_RANGE);
    else
        (void)ban_del(board, CAP, &b);
}

static bool look(const struct ban *b, struct ban_view *v)
{
    struct wall now = {1};
    return b->scope == BAN_SOURCE ? ban_of_source(board, CAP, &b->net.a, now, v)
                                  : ban_of_party(board, CAP, &b->net.a, b->key, 0, 0, now, v);
}

/* One that is rewritten may be missed while its writer sleeps in the middle of it; and any, while
 * slots leave chains faster than a reader walks one. */
static bool read_one(uint64_t *seed)
{
    struct ban b;
    struct ban_view v;
    unsigned i = chance(seed) % NAMES, tries = i < KEPT / 2 ? 4 : i < KEPT ? 10000 : 1;
    ban_make(i, 0, &b);
    bool found = look(&b, &v);
    while (!found && --tries) {
        (void)sched_yield();
        found = look(&b, &v);
    }
    if (found)
        view_check(i, &v);
    MUST(found || i >= KEPT);
    return found;
}

static void *reader(void *arg)
{
    uint64_t seed = 7 + (uint64_t)(uintptr_t)arg, n = 0, found = 0;
    while (!__atomic_load_n(&state->ended, __ATOMIC_RELAXED)) {
        found += read_one(&seed);
        n++;
    }
    state->reads[(uintptr_t)arg] = n;
    state->found[(uintptr_t)arg] = found;
    return NULL;
}

static uint64_t write_all(void)
{
    uint64_t seed = 99, v = 2;
    time_t end = time(NULL) + SECONDS;
    for (; v < total && (v % 64 || time(NULL) < end); v++) {
        write_one(&seed, (uint32_t)v);
        if (v % 64 == 0)
            (void)sched_yield();
    }
    __atomic_store_n(&state->ended, 1, __ATOMIC_RELAXED);
    return v;
}

static void told(uint64_t v)
{
    for (int i = 0; i < READERS; i++)
        MUST(state->reads[i] > 100 && state->found[i] > 10 && state->found[i] < state->reads[i]);
    MUST(v > 1000);
    printf("%llu writes, %llu reads\n", (unsigned long long)v, (unsigned long long)state->reads[0]);
}

static void threads(void)
{
    pthread_t t[READERS];
    for (uintptr_t i = 0; i < READERS; i++)
        MUST(pthread_create(&t[i], NULL, reader, (void *)i) == 0);
    uint64_t v = write_all();
    for (int i = 0; i < READERS; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    told(v);
}

static void processes(void)
{
    pid_t p[READERS];
    for (uintptr_t i = 0; i < READERS; i++) {
        p[i] = fork();
        MUST(p[i] >= 0);
        if (p[i] == 0) {
            (void)reader((void *)i);
            _exit(0);
        }
    }
    uint64_t v = write_all();
    for (int i = 0; i < READERS; i++) {
        int st;
        MUST(waitpid(p[i], &st, 0) == p[i] && WIFEXITED(st) && WEXITSTATUS(st) == 0);
    }
    told(v);
}

int main(int argc, char **argv)
{
    struct ban b;
    uint32_t slot;
    MUST(argc == 3);
    total = strtoull(argv[2], NULL, 10);
    board = shared(ban_bytes(CAP));
    state = shared(sizeof *state);
    ban_init(board, CAP);
    board->key = (struct sipkey){3, 4};
    for (unsigned i = 0; i < KEPT; i++) {
        ban_make(i, 1, &b);
        MUST(ban_put(board, CAP, &b, &slot) == OK);
    }
    if (strcmp(argv[1], "threads") == 0)
        threads();
    else
        processes();
    return 0;
}
