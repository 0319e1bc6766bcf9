/* The bans in force: what engines, feeds, the store and the operator say of them comes in here. */
#include "app/monitor/bans_in.h"
#include "io/file.h"
#include "io/rand.h"
#include <errno.h>

#define WALK        16384u /* slots looked at in a turn for their end */
#define ENDS        512u   /* bans ended in a turn */
#define WALK_EVERY  DUR_MS(100)
#define NAMED_EVERY DUR_S(5)
#define FACTS_SOON  DUR_MS(10)
#define ASKS_PER_S  200 /* of one engine */
#define RESTORE_MAX (BAN_CAP + BANS_SETS * 4u)

static bool memory(struct monitor *m, struct bans *s)
{
    void *board = NULL, *view = NULL;
    m->bans_board.n = m->bans_ro.n = ban_bytes(BAN_CAP);
    if (memfd_new("ringwall-bans", ban_bytes(BAN_CAP), &m->bans_board.fd) != OK ||
        memfd_readonly(m->bans_board.fd, &m->bans_ro.fd) != OK ||
        mem_map(m->bans_board.fd, ban_bytes(BAN_CAP), true, false, &board) != OK)
        return false;
    s->board = board;
    for (uint32_t i = 0; i < m->n_engines; i++) {
        struct shared *h = &m->ban_hits[i];
        h->n = BAN_CAP * sizeof(uint32_t);
        if (memfd_new("ringwall-ban-hits", (size_t)h->n, &h->fd) != OK ||
            mem_map(h->fd, (size_t)h->n, false, false, &view) != OK)
            return false;
        s->hits[i] = view;
    }
    s->rec = calloc(BAN_CAP, sizeof *s->rec);
    s->feeds = calloc(BAN_CAP, sizeof *s->feeds);
    s->fresh = calloc(BAN_CAP, sizeof *s->fresh);
    s->base = calloc(BAN_CAP, sizeof *s->base);
    s->until_us = calloc(BAN_CAP, sizeof *s->until_us);
    s->used = calloc(BAN_CAP, sizeof *s->used);
    s->past = calloc(BANS_SETS * 4u, sizeof *s->past);
    return s->rec && s->feeds && s->fresh && s->base && s->until_us && s->used && s->past;
}

/* AORs, devices and numbers stand in bans as hashes: under one key for as long as the installation
 * lives, or bans of them could not outlive a restart. */
static void lasting_key(struct monitor *m)
{
    char path[CONFIG_PATH + 16];
    struct sipkey k;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/hash.key", m->state);
    enum err e = file_read(path, &k, sizeof k, &n);
    if (e == OK && n == sizeof k) {
        m->keys.hash = k;
    } else {
        e = file_write(path, &m->keys.hash, sizeof m->keys.hash, 0600);
        if (e != OK)
            monitor_log(m, SEV_WARN, "%s: %s: bans of users and numbers end with the gateway", path,
                        e == ERR_SYSTEM ? strerror(errno) : err_name(e));
    }
    mem_wipe(&k, sizeof k);
}

enum err bans_open(struct monitor *m)
{
    struct bans *s = calloc(1, sizeof *s);
    m->bans = s;
    if (!s || !memory(m, s)) {
        monitor_log(m, SEV_ALERT, "memory of bans: %s", strerror(errno));
        return ERR_SYSTEM;
    }
    ban_init(s->board, BAN_CAP);
    if (rand_bytes(&s->board->key, sizeof s->board->key) != OK ||
        rand_bytes(&s->past_key, sizeof s->past_key) != OK)
        return ERR_SYSTEM;
    s->next_id = 1;
    lasting_key(m);
    bans_policy(m);
    return OK;
}

void bans_close(struct monitor *m)
{
    struct bans *s = m->bans;
    if (!s)
        return;
    for (uint32_t i = 0; i < IPC_ENGINES_MAX; i++)
        if (s->hits[i])
            mem_unmap(s->hits[i], BAN_CAP * sizeof(uint32_t));
    for (unsigned i = 0; i < GUARD_FEEDS; i++)
        if (s->feed[i].map)
            mem_unmap(s->feed[i].map, (size_t)s->feed[i].bytes);
    if (s->board)
        mem_unmap(s->board, ban_bytes(BAN_CAP));
    free(s->rec);
    free(s->feeds);
    free(s->fresh);
    free(s->base);
    free(s->until_us);
    free(s->used);
    free(s->past);
    free(s);
    m->bans = NULL; /* the descriptors are boot_undo's */
}

/* -- asked by engines -- */

/* What an engine may ask, made into what is done: it is believed about whom and why, not about how
 * long, on whose word, or against how many. */
static bool judge_asked(const struct monitor *m, struct ban *b)
{
    const struct guard_policy *g = &m->conf->policy.guard;
    bool net = b->scope == BAN_SOURCE || b->scope == BAN_PAIR;
    if (b->by == BY_ADMIN || b->treat <= TREAT_WEIGH)
        return false;
    if (b->by == BY_FEED && b->feed >= g->n_feeds)
        return false;
    if (net && b->net.bits < (b->net.a.family == ADDR_V4 ? 32 : 64))
        return false;
    if (b->forgeable && (b->treat == TREAT_LOCK || b->treat == TREAT_KICK))
        b->treat = b->treat == TREAT_LOCK ? TREAT_CHALLENGE : TREAT_BAN;
    if (!net)
        memset(&b->net, 0, sizeof b->net);
    if (b->scope == BAN_SOURCE)
        b->key = 0;
    b->id = b->hits = 0;
    b->weight = 0;
    b->times = 1;
    return true;
}

void bans_asked(struct monitor *m, struct program *p)
{
    struct bans *s = m->bans;
    struct ban b;
    char why[BANS_WHY_NOT];
    uint32_t slot;
    if (!tokens_take(&s->asks[p->engine], m->loop.now.mono, ASKS_PER_S)) {
        s->asks_lost++;
        return;
    }
    bool valid = m->msg.n == sizeof b;
    if (valid) {
        memcpy(&b, m->msg.u.body, sizeof b);
        valid = ban_valid(&b, sizeof b) == OK && judge_asked(m, &b);
    }
    if (!valid) {
        if (s->asks_bad++ == 0)
            monitor_log(m, SEV_ALERT, "engine %u asks for a ban that none may ask for",
                        (unsigned)p->engine);
        return;
    }
    if (!bans_exempt(m, &b, why)) {
        (void)!bans_add(m, &b, &slot);
        return;
    }
    if (!tokens_take(&s->exempt_lines, m->loop.now.mono, 5))
        return;
    char who[ADDR_TEXT_MAX + BAN_WHO + 32];
    struct str w = bans_who(&b, who, sizeof who);
    monitor_log(m, SEV_NOTICE, "bans: " STR_FMT " is not banned (" STR_FMT "): %s", STR_ARG(w),
                (int)b.why_n, b.why, why);
    bans_fact(m, BAN_EXEMPTED, &b, why);
}

/* -- given back by the store -- */

static void restore_one(struct monitor *m, const struct ban *x)
{
    struct bans *s = m->bans;
    struct ban b = *x;
    char why[BANS_WHY_NOT];
    uint32_t slot;
    s->next_id = MAX(s->next_id, b.id + 1);
    if (b.until.us && b.until.us <= m->loop.now.wall.us) {
        bans_past_put(s, &b);
        return;
    }
    b.hits = 0;
    b.dry = m->conf->policy.guard.dry_run;
    if (bans_exempt(m, &b, why)) {
        bans_fact(m, BAN_EXEMPTED, &b, why);
        return;
    }
    if (ban_find(s->board, BAN_CAP, &b, &slot) || bans_slot(m, &b, &slot) != OK)
        return;
    s->rec[slot] = b;
    s->main++;
    bans_past_put(s, &b);
    bans_show(m, slot, &b);
}

/* The store has started again and says what it knows: it is told where that is not what is. */
static void compare(struct monitor *m, const struct ban *v, uint64_t n)
{
    struct bans *s = m->bans;
    uint8_t *same = calloc(BAN_CAP, 1);
    uint32_t slot;
    for (uint64_t i = 0; same && i < n; i++) {
        struct ban b = v[i];
        if (ban_valid(&b, sizeof b) != OK || (b.until.us && b.until.us <= m->loop.now.wall.us))
            continue;
        if (!ban_find(s->board, BAN_CAP, &b, &slot) || s->rec[slot].id != b.id)
            bans_fact(m, BAN_RELEASED, &b, "");
        else
            same[slot] = s->rec[slot].until.us == b.until.us && s->rec[slot].treat == b.treat;
    }
    for (uint32_t i = 0; same && i < s->board->fresh; i++)
        if (s->used[i] && s->rec[i].scope && !same[i])
            bans_fact(m, BAN_EXTENDED, &s->rec[i], "");
    free(same);
}

void bans_restored(struct monitor *m, struct program *p)
{
    struct bans *s = m->bans;
    uint64_t bytes = m->msg.u.blob.bytes;
    void *view = NULL;
    if (bytes == 0 || bytes % sizeof(struct ban) || bytes / sizeof(struct ban) > RESTORE_MAX ||
        mem_map(m->msg.fds[0], (size_t)bytes, false, true, &view) != OK) {
        program_kill(m, p, "the bans that it gives back are not sound");
        return;
    }
    const struct ban *v = view;
    uint64_t n = bytes / sizeof *v;
    uint32_t bad = 0, had = s->main;
    for (uint64_t i = 0; i < n && !s->restored; i++) {
        struct ban b = v[i];
        if (!b.scope && i == 0)
            s->next_id = MAX(s->next_id, b.id + 1); /* the head: the highest id ever given */
        else if (ban_valid(&b, sizeof b) == OK && b.by != BY_FEED)
            restore_one(m, &b);
        else
            bad++;
    }
    if (s->restored)
        compare(m, v, n);
    else if (s->main != had || bad)
        monitor_log(m, bad ? SEV_WARN : SEV_NOTICE, "bans: %u of before are in force%s",
                    (unsigned)(s->main - had), bad ? "; some could not be read" : "");
    s->restored = true;
    mem_unmap(view, (size_t)bytes);
}

/* -- the policy -- */

void bans_policy(struct monitor *m)
{
    struct bans *s = m->bans;
    bool dry = m->conf->policy.guard.dry_run;
    char why[BANS_WHY_NOT];
    bans_feeds_policy(m);
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        if (!s->used[i])
            continue;
        struct ban name = s->rec[i];
        name.scope = name.scope ? name.scope : BAN_SOURCE;
        if (bans_exempt(m, &name, why)) {
            for (unsigned f = 0; f < GUARD_FEEDS; f++)
                s->feed[f].n -= s->feeds[i] >> f & 1;
            s->of_feeds -= s->feeds[i] && !s->rec[i].scope;
            s->feeds[i] = 0;
            bans_end(m, i, BAN_EXEMPTED, why);
        }
        if (!s->used[i])
            continue;
        s->rec[i].dry = dry;
        bans_show(m, i, &name);
    }
    if (s->told_dry != dry)
        monitor_log(m, SEV_NOTICE, dry ? "bans: dry run, nobody is banned" : "bans: in force");
    s->told_dry = dry;
}

/* -- time -- */

static void ended(struct monitor *m, uint32_t slot)
{
    struct bans *s = m->bans;
    int64_t now = m->loop.now.wall.us;
    struct ban name = s->rec[slot];
    uint16_t gone = 0;
    for (unsigned f = 0; f < GUARD_FEEDS; f++)
        if (s->feeds[slot] >> f & 1 && s->feed[f].until.us <= now)
            gone |= (uint16_t)(1u << f);
    if (gone) {
        for (unsigned f = 0; f < GUARD_FEEDS; f++)
            s->feed[f].n -= gone >> f & 1;
        s->feeds[slot] &= (uint16_t)~gone;
        s->of_feeds -= !s->feeds[slot] && !name.scope;
    }
    if (name.scope && name.until.us && name.until.us <= now) {
        bans_end(m, slot, BAN_EXPIRED, "");
        return;
    }
    name.scope = name.scope ? name.scope : BAN_SOURCE;
    bans_show(m, slot, &name);
}

static void walk(struct monitor *m)
{
    struct bans *s = m->bans;
    uint32_t n = 0;
    int64_t now = m->loop.now.wall.us;
    for (uint32_t k = 0; k < MIN(WALK, s->board->fresh) && n < ENDS; k++) {
        uint32_t i = s->cursor = s->cursor + 1 < s->board->fresh ? s->cursor + 1 : 0;
        if (!s->until_us[i] || s->until_us[i] > now)
            continue;
        ended(m, i);
        n++;
    }
}

/* The address of a peer by name may be one that was banned before it was the peer's. */
static void named(struct monitor *m)
{
    const struct policy *p = &m->conf->policy;
    char why[BANS_WHY_NOT];
    struct targets_row row;
    for (uint8_t i = 0; i < p->n_peers; i++) {
        if (!p->peers[i].host.len || !m->board ||
            targets_get(m->board, sizeof *m->board, p, i, &row) != OK)
            continue;
        for (uint32_t k = 0; k < row.n; k++) {
            struct ban_view v;
            for (int tries = 0;
                 tries < 8 &&
                 ban_of_source(m->bans->board, BAN_CAP, &row.entry[k].a, m->loop.now.wall, &v) &&
                 m->bans->rec[v.slot].scope && bans_exempt(m, &m->bans->rec[v.slot], why);
                 tries++)
                bans_end(m, v.slot, BAN_EXEMPTED, why);
        }
    }
}

void bans_turn(struct monitor *m)
{
    struct bans *s = m->bans;
    facts_send(m);
    bans_feeds_turn(m);
    if (instant_before(m->loop.now.mono, s->due))
        return;
    s->due = instant_add(m->loop.now.mono, WALK_EVERY);
    walk(m);
    if (instant_before(m->loop.now.mono, s->named_due))
        return;
    s->named_due = instant_add(m->loop.now.mono, NAMED_EVERY);
    named(m);
}

struct instant bans_due(const struct monitor *m)
{
    const struct bans *s = m->bans;
    if (!s)
        return INSTANT_NEVER;
    if (facts_wait(m))
        return instant_add(m->loop.now.mono, FACTS_SOON);
    for (unsigned i = 0; i < GUARD_FEEDS; i++)
        if (s->feed[i].busy)
            return m->loop.now.mono;
    return s->board->used ? s->due : INSTANT_NEVER;
}
