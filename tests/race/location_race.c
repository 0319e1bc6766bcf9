/* The location board: one writer, several readers that must never see half a binding, nor lose one
 * that nobody touches; a writer that is killed half-way and comes back by location_attach.
 * location_race threads|crash COUNT */
#include "race.h"
#include <sys/prctl.h>

#define CAP     256u
#define AORS    96u
#define READERS 3
#define SECONDS 3 /* at most: spinning readers leave a busy machine's writer little */
static struct location_shard *board;
static const struct sipkey KEY = {1, 2};
static uint64_t total;
static int ended;
static uint64_t reads[READERS];

static size_t aor_text(unsigned a, char *buf)
{
    return (size_t)snprintf(buf, LOCATION_AOR_MAX, "user%u@example.com", a);
}

/* Version v of user a's binding: every field follows from both, so that a mixture shows. */
static void binding_make(unsigned a, uint32_t v, struct binding *b)
{
    char one[48], text[LOCATION_AOR_MAX];
    memset(b, 0, sizeof *b);
    b->aor_len = (uint8_t)aor_text(a, text);
    memcpy(b->aor, text, b->aor_len);
    b->aor_hash = location_hash(&KEY, str_of(b->aor, b->aor_len));
    b->instance = a + 1;
    b->cseq = v;
    b->expires.us = (int64_t)v * 1000003 + a;
    b->call_id_hash = v * 2654435761u ^ a;
    b->q = (uint16_t)(v % 1001);
    int n = snprintf(one, sizeof one, "<%u/%u>", a, v);
    while (b->contact_len + n < (int)sizeof b->contact) {
        memcpy(b->contact + b->contact_len, one, (size_t)n);
        b->contact_len = (uint8_t)(b->contact_len + n);
    }
}

static void binding_check(unsigned a, const struct binding *b)
{
    struct binding want;
    binding_make(a, b->cseq, &want);
    want.version = b->version;
    MUST(memcmp(&want, b, sizeof want) == 0);
}

/* Nobody touches users below KEPT. */
#define KEPT 16u
static void write_one(uint64_t *seed, uint32_t v)
{
    struct binding b;
    unsigned a = KEPT + chance(seed) % (AORS - KEPT);
    binding_make(a, v, &b);
    if (chance(seed) % 3) {
        enum err e = location_put(board, &b);
        MUST(e == OK);
    } else {
        (void)location_del(board, &b);
    }
}

/* A walk is judged only if no link changed meanwhile: the slot that it stood on may be another
 * user's by now. true if it was. kept: the writer does not begin anew. */
static bool read_one(uint64_t *seed, bool kept)
{
    struct binding b;
    char text[LOCATION_AOR_MAX];
    unsigned a = chance(seed) % AORS;
    struct str aor = str_of(text, aor_text(a, text));
    uint32_t epoch = location_epoch(location_own(board)), it = 0, found = 0;
    while (found < 4 && location_next(location_own(board), location_hash(&KEY, aor), aor,
                                      (struct wall){0}, &it, &b)) {
        binding_check(a, &b);
        found++;
    }
    bool judged = location_epoch(location_own(board)) == epoch;
    MUST(!judged || (found <= 1 && (found || a >= KEPT || !kept)));
    if (location_slot(location_own(board), chance(seed) % CAP, &b)) {
        unsigned n = 0;
        for (size_t i = 4; i < b.aor_len && b.aor[i] != '@'; i++)
            n = n * 10 + (unsigned)(b.aor[i] - '0');
        MUST(n < AORS);
        binding_check(n, &b);
    }
    return judged;
}

static void *reader(void *arg)
{
    uint64_t seed = 7 + (uint64_t)(uintptr_t)arg, n = 0;
    while (!__atomic_load_n(&ended, __ATOMIC_RELAXED))
        n += read_one(&seed, true);
    reads[(uintptr_t)arg] = n;
    return NULL;
}

static void fill(void)
{
    struct binding b;
    MUST(location_attach(board, CAP) == OK);
    for (unsigned a = 0; a < KEPT; a++) {
        binding_make(a, 1, &b);
        MUST(location_put(board, &b) == OK);
    }
}

static void threads(void)
{
    pthread_t t[READERS];
    uint64_t seed = 99;
    board = shared(location_bytes(CAP));
    fill();
    for (uintptr_t i = 0; i < READERS; i++)
        MUST(pthread_create(&t[i], NULL, reader, (void *)i) == 0);
    uint64_t v = 2;
    time_t end = time(NULL) + SECONDS;
    for (; v < total && (v % 64 || time(NULL) < end); v++) {
        write_one(&seed, (uint32_t)v);
        if (v % 64 == 0)
            (void)sched_yield();
    }
    __atomic_store_n(&ended, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++)
        MUST(pthread_join(t[i], NULL) == 0);
    for (int i = 0; i < READERS; i++)
        MUST(reads[i] > 100);
    MUST(v > 1000);
    printf("%llu writes, %llu reads\n", (unsigned long long)v, (unsigned long long)reads[0]);
}

/* -- a writer that dies -- */

static void writer_child(uint32_t v)
{
    uint64_t seed = v + 1;
    MUST(location_attach(board, CAP) == OK);
    for (;;)
        write_one(&seed, v++);
}

static void reader_child(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it never ends by itself */
    uint64_t seed = (uint64_t)getpid();
    for (;;)
        (void)read_one(&seed, false);
}

/* What holds between two writers: every user is found at most once, every slot is reachable, the
 * counts agree, and all of it can be emptied and filled again. */
static void whole(void)
{
    struct binding b;
    uint32_t slots = 0, found = 0;
    MUST(location_attach(board, CAP) == OK);
    for (uint32_t i = 0; i < CAP; i++)
        slots += location_slot(location_own(board), i, &b);
    for (unsigned a = 0; a < AORS; a++) {
        char text[LOCATION_AOR_MAX];
        struct str aor = str_of(text, aor_text(a, text));
        uint32_t it = 0, n = 0;
        while (location_next(location_own(board), location_hash(&KEY, aor), aor, (struct wall){0},
                             &it, &b)) {
            binding_check(a, &b);
            n++;
        }
        MUST(n <= 1);
        found += n;
    }
    MUST(slots == found && board->used == found);
}

static void crash(void)
{
    uint64_t seed = 5;
    pid_t readers[2];
    uint32_t lost = 0;
    board = shared(location_bytes(CAP));
    fill();
    for (int i = 0; i < 2; i++)
        if ((readers[i] = fork()) == 0)
            reader_child();
    for (uint64_t i = 0; i < total; i++) {
        pid_t w = fork();
        int st;
        MUST(w >= 0);
        if (w == 0)
            writer_child((uint32_t)(i * 1000000 + 2));
        nap_us(300 + (long)(chance(&seed) % 3000));
        (void)kill(w, SIGKILL);
        MUST(waitpid(w, &st, 0) == w && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
        uint32_t before = board->used;
        whole();
        lost += before > board->used;
    }
    for (int i = 0; i < 2; i++) {
        int st;
        (void)kill(readers[i], SIGKILL);
        MUST(waitpid(readers[i], &st, 0) == readers[i] && WTERMSIG(st) == SIGKILL);
    }
    struct binding b;
    for (unsigned a = 0; a < AORS; a++) {
        binding_make(a, 3, &b);
        (void)location_del(board, &b);
    }
    MUST(board->used == 0);
    for (unsigned a = 0; a < CAP; a++) {
        binding_make(a, 4, &b);
        MUST(location_put(board, &b) == OK);
    }
    binding_make(CAP, 4, &b);
    MUST(location_put(board, &b) == ERR_FULL);
    printf("%llu kills, %u of them in the middle of a binding\n", (unsigned long long)total, lost);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    total = strtoull(argv[2], NULL, 10);
    if (strcmp(argv[1], "crash") == 0)
        crash();
    else
        threads();
    return 0;
}
