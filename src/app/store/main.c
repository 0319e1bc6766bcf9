/* ringwall-store FOLDER: started by the monitor, never by hand. Takes facts from the engines'
 * rings, bindings from the location boards, questions from the monitor. */
#include "app/store/store.h"
#include "call/policy.h"
#include "crypto/hash.h"
#include "io/clock.h"
#include "io/loop.h"
#include "ipc/child.h"
#include "ipc/control.h"
#include <sys/mman.h>
#include <unistd.h>

#define TURN         DUR_MS(200) /* from commit to commit */
#define LOOK_IDLE    DUR_MS(50)  /* from one look at the rings to the next */
#define LOOK_BUSY    DUR_MS(10)
#define LINGER       DUR_MS(500) /* after the monitor's death */
#define BUSY         256u        /* records found in one look */
#define BURST        4096u       /* records taken from one ring before the next */
#define ANSWER_BYTES (64u << 20) /* address space; only what is used becomes memory */
#define PASS_ON_S    20u         /* facts a second that go up to be told of */
#define RESTORE_S    30          /* an engine that has taken nothing for so long is given up */

struct program {
    struct child child;
    struct store store;
    struct loop loop;
    char *answer;
    bool stop, told, busy, full, orphan;
    int64_t passed_at;
    uint32_t passed;
    uint64_t lost; /* CDRs, told by the counter */
    struct instant orphan_until;
    bool resumed[IPC_ENGINES_MAX]; /* its ring was taken up where the last commit was */
    struct binding *restored;      /* waiting for room in the rings */
    uint32_t restored_n, restored_cap;
    bool ready[IPC_ENGINES_MAX]; /* has its ring: those of the set-up are replaced when an engine
                                    starts */
    struct instant restore_until;
};
static struct program program;

/* Facts stay in their ring until they are committed: a store that is killed finds them there, and
 * in the database up to where it has them. */
static void ring_begin(struct program *p, uint8_t e)
{
    struct ring *r = &p->child.fact[e].ring;
    uint64_t place;
    r->hold = true;
    if (p->resumed[e] || !store_placed(&p->store, e, &place))
        return;
    uint32_t ahead = (uint32_t)place - r->own;
    if (ahead <= __atomic_load_n(&r->sh->head, __ATOMIC_ACQUIRE) - r->own && ahead % 8 == 0)
        r->own = (uint32_t)place;
}

/* What people want to be told of goes up to the monitor, which knows whom; a few a second. */
static void pass_on(struct program *p, const struct fact *f, size_t n)
{
    if (n < offsetof(struct fact, u) || f->kind != FACT_MONEY || fact_valid(f, n) != OK)
        return;
    uint8_t act = f->u.money.act;
    if (act != MONEY_LOCKED && act != MONEY_CUT && act != MONEY_REFUSED)
        return;
    int64_t second = p->loop.now.mono.us / 1000000;
    p->passed = second == p->passed_at ? p->passed + 1 : 1;
    p->passed_at = second;
    if (p->passed > PASS_ON_S)
        return;
    enum err e = channel_send(&p->child.ch, MSG_TELL, str_of((const char *)f, n), -1);
    (void)e; /* a monitor that does not read loses it; the log has it */
}

static uint32_t ring_in(struct program *p, uint8_t e)
{
    static union {
        struct fact f;
        uint8_t bytes[RING_RECORD_MAX];
    } rec;
    struct child_ring *r = &p->child.fact[e];
    size_t n;
    uint32_t taken = 0;
    if (!r->mem)
        return 0;
    if (!r->ring.hold)
        ring_begin(p, e);
    p->resumed[e] = true;
    for (; taken < BURST && child_get(r, &rec, sizeof rec, &n) == OK; taken++) {
        if (n >= offsetof(struct fact, u))
            rec.f.engine = e; /* whatever it says of itself */
        store_fact(&p->store, &rec, n, p->loop.now);
        pass_on(p, &rec.f, n);
    }
    if (r->ring.dead)
        child_note(&p->child, SEV_ALERT, "engine %u broke its ring: %u bytes of facts are lost", e,
                   ring_skip(&r->ring));
    store_place(&p->store, e, UINT64_C(1) << 32 | r->ring.own);
    p->full = p->full || ring_held(&r->ring) > r->ring.size / 4;
    return taken;
}

static uint32_t rings_in(struct program *p)
{
    uint32_t taken = 0;
    for (unsigned e = 0; e < p->child.setup.engines; e++)
        taken += ring_in(p, (uint8_t)e);
    return taken;
}

/* -- bindings that survived -- */

static bool restored_keep(void *ctx, const struct binding *b)
{
    struct program *p = ctx;
    if (p->restored_n == p->restored_cap) {
        uint32_t cap = p->restored_cap ? p->restored_cap * 2 : 1024;
        struct binding *more = realloc(p->restored, cap * sizeof *more);
        if (!more)
            return false;
        p->restored = more;
        p->restored_cap = cap;
    }
    p->restored[p->restored_n++] = *b;
    return true;
}

static bool restore_one(struct program *p, const struct binding *b)
{
    unsigned engine = (unsigned)(b->aor_hash % p->child.setup.engines);
    return p->ready[engine] && child_put(&p->child.restore[engine], b, sizeof *b) == OK;
}

/* What does not fit now is tried again each turn. */
static void restore_some(struct program *p)
{
    uint32_t left = 0;
    if (p->restored_n == 0)
        return;
    for (uint32_t i = 0; i < p->restored_n; i++)
        if (!restore_one(p, &p->restored[i]))
            p->restored[left++] = p->restored[i];
    p->restored_n = left;
    if (left && p->loop.now.mono.us < p->restore_until.us)
        return;
    if (left)
        child_note(&p->child, SEV_ALERT, "%u bindings could not be given back", left);
    free(p->restored);
    p->restored = NULL;
    p->restored_n = p->restored_cap = 0;
}

/* -- the monitor -- */

static void boards(struct program *p)
{
    for (uint8_t e = 0; e < p->child.setup.engines; e++) {
        const struct child_map *m = &p->child.location[e];
        if (m->p && m->n >= location_bytes(p->child.setup.location_cap) &&
            store_watch(&p->store, e, m->p, p->child.setup.location_cap) != OK)
            child_note(&p->child, SEV_ALERT, "bindings of engine %u are not kept: no memory", e);
    }
}

static void keep_as_said(struct program *p)
{
    const struct policy *pol = p->child.policy.p;
    if (pol && policy_valid(pol, p->child.policy.n) == OK)
        p->store.cdr_keep_s = pol->limits.cdr_keep_s;
}

static void attached(struct program *p, const struct msg_attach *a)
{
    if (a->kind == ATTACH_LOCATION)
        boards(p);
    if (a->kind == ATTACH_RING_RESTORE)
        p->ready[a->a] = true;
    if (a->kind == ATTACH_POLICY)
        keep_as_said(p);
}

/* "engine 1" of the monitor's facts. */
static bool engine_of(struct str who, uint8_t *ret_engine)
{
    uint32_t v;
    if (!str_starts(who, STR("engine ")) ||
        str_u32(str_skip(who, 7), IPC_ENGINES_MAX - 1, &v) != OK)
        return false;
    *ret_engine = (uint8_t)v;
    return true;
}

static void commit(struct program *p)
{
    const char *why = "";
    store_bindings(&p->store, p->loop.now);
    bool ok = store_commit(&p->store, p->loop.now, &why);
    if (!ok)
        counters_hit(&p->child.stats->reasons, REASON_store_write);
    for (; p->lost < p->store.n.sessions_lost; p->lost++)
        counters_hit(&p->child.stats->reasons, REASON_cdr_lost);
    if (!ok && !p->told)
        child_note(&p->child, SEV_ALERT, "%s: records are lost until it can be (disk full?)", why);
    if (ok && p->told)
        child_note(&p->child, SEV_NOTICE, "writing again");
    p->told = !ok;
    for (unsigned e = 0; e < p->child.setup.engines; e++)
        if (p->child.fact[e].mem && p->child.fact[e].ring.hold)
            ring_release(&p->child.fact[e].ring);
    p->full = false;
    stat_set(p->child.stats, STAT_facts, p->store.n.facts);
    stat_set(p->child.stats, STAT_cpu_us, clock_cpu_us());
}

static void told_fact(struct program *p)
{
    union {
        struct fact f;
        uint8_t bytes[IPC_BODY_MAX];
    } rec;
    memcpy(rec.bytes, p->child.msg.u.body, p->child.msg.n);
    if (p->child.msg.n < offsetof(struct fact, u) || rec.f.seq <= p->store.place[STORE_MONITOR])
        return; /* told again to a store that started again */
    store_place(&p->store, STORE_MONITOR, rec.f.seq);
    store_fact(&p->store, &rec, p->child.msg.n, p->loop.now);
    uint8_t engine;
    if (fact_valid(&rec, p->child.msg.n) != OK || rec.f.kind != FACT_PROCESS)
        return;
    struct str what = TEXT_STR(rec.f.u.process.what);
    if (!engine_of(TEXT_STR(rec.f.u.process.program), &engine) ||
        !(str_eq(what, STR("crashed")) || str_eq(what, STR("ended")) ||
          str_eq(what, STR("stopped"))))
        return;
    while (rings_in(p) >= BURST) /* what it still said */
        continue;
    store_engine_died(&p->store, engine, (struct wall){rec.f.wall_us}, p->loop.now);
    commit(p);
}

static void answer(struct program *p)
{
    struct out o = out_of(p->answer, ANSWER_BYTES);
    (void)rings_in(p); /* what was told before the question is in the answer */
    uint32_t code =
        store_query(&p->store, msg_text(&p->child.msg, sizeof(struct msg_query)), p->loop.now, &o);
    if (child_reply(&p->child, p->child.msg.u.query.id, code, out_str(&o)) != OK)
        p->stop = true;
    (void)madvise(p->answer, ANSWER_BYTES, MADV_DONTNEED);
}

static void channel_in(void *ctx, int fd, uint32_t events)
{
    struct program *p = ctx;
    enum child_event ev;
    enum err r;
    (void)fd, (void)events;
    while ((r = child_next(&p->child, &ev)) == OK) {
        switch (ev) {
        case CHILD_ATTACHED:
            attached(p, &p->child.msg.u.attach);
            break;
        case CHILD_QUERY:
            answer(p);
            break;
        case CHILD_FACT:
            told_fact(p);
            break;
        case CHILD_STOP:
            p->stop = true;
            break;
        case CHILD_NOTIFY:
        case CHILD_CONNECTED:
        case CHILD_CERT_GET:
        case CHILD_CERT_GOT:
        case CHILD_CONSULT_GET:
        case CHILD_CONSULT_GOT:
        case CHILD_DRAIN:
            break;
        }
    }
    if (r == ERR_AGAIN || p->orphan)
        return;
    p->orphan =
        true; /* the monitor has gone, and the engines with it: what they still say counts */
    p->orphan_until = instant_add(p->loop.now.mono, LINGER);
    loop_del(&p->loop, p->child.ch.fd);
}

static void wake_in(void *ctx, int fd, uint32_t events)
{
    (void)ctx, (void)fd, (void)events; /* child_awake drains it */
}

/* -- turns -- */

/* Rings are looked at by the clock: a wake-up for each call would cost more than the call. Idle
 * turns are short enough that a sudden full load does not fill a ring. */
static void turn(struct program *p, struct instant *next)
{
    uint32_t calls;
    int64_t wait = MIN(next->us - clock_now().mono.us, p->busy ? LOOK_BUSY.us : LOOK_IDLE.us);
    if (loop_turn(&p->loop, DUR_US(MAX(wait, (int64_t)0)), &calls) != OK)
        p->stop = true;
    child_awake(&p->child);
    p->busy = rings_in(p) > BUSY;
    if (p->loop.now.mono.us < next->us && !p->stop && !p->full)
        return;
    *next = instant_add(p->loop.now.mono, TURN);
    p->stop = p->stop || (p->orphan && p->loop.now.mono.us >= p->orphan_until.us);
    restore_some(p);
    commit(p);
    child_flush(&p->child);
    stat_add(p->child.stats, STAT_turns, 1);
}

/* Before we run: the gateway is given back who was banned. */
static enum err give_bans(struct program *p)
{
    struct msg_blob b = {0};
    int fd = -1;
    enum err e = store_bans(&p->store, p->loop.now, &fd, &b.bytes);
    if (e == OK)
        e = channel_send(&p->child.ch, MSG_BANS, str_of((const char *)&b, sizeof b), fd);
    if (fd >= 0)
        (void)close(fd);
    return e;
}

static enum err prepare(struct program *p)
{
    const char *why = "";
    struct store_cfg cfg = {.folder = ".",
                            .fresh = p->child.setup.restarts == 0,
                            .hash = p->child.setup.hash,
                            .engines = p->child.setup.engines};
    p->answer = mmap(NULL, ANSWER_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->answer == MAP_FAILED || loop_init(&p->loop, 64) != OK)
        return ERR_FULL;
    p->loop.now = clock_now();
    enum err e = store_open(&p->store, &cfg, p->loop.now, &why);
    if (e != OK) {
        child_note(&p->child, SEV_ALERT, "%s", why);
        (void)fprintf(stderr, "ringwall-store: %s\n", why);
        return e;
    }
    boards(p);
    keep_as_said(p);
    if (cfg.fresh && store_restore(&p->store, p->loop.now, restored_keep, p) != OK)
        child_note(&p->child, SEV_ALERT, "bindings cannot be read back");
    if (give_bans(p) != OK)
        child_note(&p->child, SEV_ALERT, "bans cannot be given back");
    p->restore_until = instant_add(p->loop.now.mono, DUR_S(RESTORE_S));
    if (loop_add(&p->loop, p->child.ch.fd, EPOLLIN, channel_in, p) != OK ||
        loop_add(&p->loop, p->child.wake, EPOLLIN, wake_in, p) != OK)
        return ERR_SYSTEM;
    return OK;
}

int main(int argc, char **argv)
{
    struct program *p = &program;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: ringwall-store FOLDER (it is started by `ringwall run`)\n");
        return 2;
    }
    if (child_start(&p->child, ROLE_STORE, argv[1]) != OK)
        return 1;
    if (crypto_init() != OK || prepare(p) != OK || child_running(&p->child) != OK)
        return 1;
    struct instant next = {0};
    while (!p->stop)
        turn(p, &next);
    p->loop.now = clock_now();
    (void)rings_in(p);
    store_close(&p->store);
    return 0;
}
