/* How one ban comes, changes and goes. */
#include "app/monitor/bans_in.h"
#include "guard/feed.h"

#define VICTIMS     64u
#define LINES_PER_S 20

const char *bans_scope(unsigned scope)
{
    static const char *const names[] = {"none", "source", "pair", "aor", "device", "number"};
    return scope < ARRAY_LEN(names) ? names[scope] : "none";
}

const char *bans_by(unsigned by)
{
    static const char *const names[] = {"detector", "rule", "feed", "admin"};
    return by < ARRAY_LEN(names) ? names[by] : "none";
}

static void prefix_put(struct out *o, const struct prefix *p)
{
    addr_put_ip(o, &p->a);
    if (p->bits != (p->a.family == ADDR_V4 ? 32 : 128)) {
        out_ch(o, '/');
        out_u64(o, p->bits);
    }
}

struct str bans_who(const struct ban *b, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap);
    bool net = b->scope == BAN_SOURCE || b->scope == BAN_PAIR;
    struct str who = str_of(b->who, MIN(b->who_n, BAN_WHO));
    if (net)
        prefix_put(&o, &b->net);
    if (b->scope == BAN_PAIR)
        OUT_LIT(&o, " as ");
    if (b->scope != BAN_SOURCE && who.n)
        out_put(&o, who);
    else if (b->scope != BAN_SOURCE)
        out_put(&o, str_c(bans_scope(b->scope)));
    return out_str(&o);
}

/* -- told -- */

void bans_fact(struct monitor *m, enum ban_act act, const struct ban *b, const char *who)
{
    struct fact f;
    memset(&f, 0, sizeof f);
    f.kind = FACT_BAN;
    f.reason = b->reason < REASON_COUNT ? b->reason : 0;
    f.u.ban.act = (uint8_t)act;
    TEXT_SET(f.u.ban.who, str_c(who));
    f.u.ban.ban = *b;
    fact_tell(m, &f);
}

void bans_say(struct monitor *m, const char *what, bool ended, const struct ban *b)
{
    char who[ADDR_TEXT_MAX + BAN_WHO + 32], span[48] = "";
    struct str w = bans_who(b, who, sizeof who);
    if (!tokens_take(&m->bans->lines, m->loop.now.mono, LINES_PER_S)) {
        m->bans->lines_lost++;
        return;
    }
    if (m->bans->lines_lost)
        monitor_log(m, SEV_NOTICE, "bans: %llu lines were too many; ringwall bans has them all",
                    (unsigned long long)m->bans->lines_lost);
    m->bans->lines_lost = 0;
    int64_t left = b->until.us ? (b->until.us - m->loop.now.wall.us + 500000) / 1000000 : -1;
    if (left > 0)
        (void)snprintf(span, sizeof span, ended ? ", %lld s before its end" : " for %lld s",
                       (long long)left);
    monitor_log(m, SEV_NOTICE, "ban %llu: " STR_FMT ": %s%s%s%s, by %s%s" STR_FMT "%s",
                (unsigned long long)b->id, STR_ARG(w), what, ended ? " " : "",
                treat_name((enum treat)b->treat), span, bans_by(b->by), b->why_n ? ": " : "",
                (int)b->why_n, b->why, b->dry ? ", dry run" : "");
}

/* -- exempt -- */

static bool meets(const struct prefix *net, const struct addr *a)
{
    return a->family != ADDR_NONE && !addr_any(a) && prefix_has(net, a);
}

static bool own(const struct policy *p, const struct prefix *net)
{
    for (uint32_t i = 0; i < p->n_listeners; i++)
        if (meets(net, &p->listeners[i].bind) || meets(net, &p->listeners[i].advertise))
            return true;
    return meets(net, &p->media_ip);
}

static bool peers_address(const struct monitor *m, const struct prefix *net, uint8_t peer)
{
    const struct policy *p = &m->conf->policy;
    struct targets_row row;
    for (uint32_t i = 0; i < p->peers[peer].n_targets; i++)
        if (meets(net, &p->peers[peer].targets[i]))
            return true;
    if (!p->peers[peer].host.len || !m->board ||
        targets_get(m->board, sizeof *m->board, p, peer, &row) != OK)
        return false;
    for (uint32_t i = 0; i < row.n; i++)
        if (meets(net, &row.entry[i].a))
            return true;
    for (uint32_t i = 0; i < row.n_past; i++)
        if (meets(net, &row.past[i].a))
            return true;
    return false;
}

bool bans_exempt(const struct monitor *m, const struct ban *b, char ret[BANS_WHY_NOT])
{
    const struct policy *p = &m->conf->policy;
    struct out o = out_of(ret, BANS_WHY_NOT - 1);
    if (b->scope != BAN_SOURCE && b->scope != BAN_PAIR)
        return false;
    for (uint32_t i = 0; i < p->guard.n_exempt && !o.n; i++) {
        if (!feed_overlap(&p->guard.exempt[i], &b->net))
            continue;
        OUT_LIT(&o, "guard.exempt has ");
        prefix_put(&o, &p->guard.exempt[i]);
    }
    for (uint8_t i = 0; i < p->n_peers && !o.n; i++) {
        if (!peers_address(m, &b->net, i))
            continue;
        OUT_LIT(&o, "it is an address of the peer ");
        out_put(&o, str_head(policy_text(p, p->peers[i].name), 80));
    }
    if (!o.n && own(p, &b->net))
        OUT_LIT(&o, "it is an address of this gateway");
    ret[o.n] = 0;
    return o.n > 0;
}

/* -- history -- */

static struct ban_past *past_set(struct bans *s, const struct ban *b, uint64_t *ret_id)
{
    bool net = b->scope == BAN_SOURCE || b->scope == BAN_PAIR;
    uint64_t w[4] = {b->scope, b->scope == BAN_SOURCE ? 0 : b->key, 0, 0};
    if (net) {
        w[0] |= (uint64_t)b->net.a.family << 8 | (uint64_t)b->net.bits << 16;
        memcpy(&w[2], b->net.a.ip, sizeof b->net.a.ip);
    }
    uint64_t h = siphash(&s->past_key, str_of((const char *)w, sizeof w));
    *ret_id = h ? h : 1;
    return &s->past[h % BANS_SETS * 4];
}

void bans_past_put(struct bans *s, const struct ban *b)
{
    uint64_t id;
    struct ban_past *set = past_set(s, b, &id), *to = set;
    if (b->forgeable || b->by == BY_ADMIN)
        return;
    for (unsigned i = 0; i < 4; i++) {
        if (set[i].id == id) {
            to = &set[i];
            break;
        }
        to = set[i].until_us < to->until_us ? &set[i] : to;
    }
    *to = (struct ban_past){id, b->until.us, b->times};
}

void bans_past_forget(struct bans *s, const struct ban *b)
{
    uint64_t id;
    struct ban_past *set = past_set(s, b, &id);
    for (unsigned i = 0; i < 4; i++)
        if (set[i].id == id)
            set[i] = (struct ban_past){0};
}

/* Which time this would be. */
static uint32_t times_of(const struct monitor *m, const struct ban *b)
{
    uint64_t id;
    const struct ban_past *set = past_set(m->bans, b, &id);
    int64_t span = DUR_S((int64_t)m->conf->policy.guard.escalate_s).us;
    for (unsigned i = 0; i < 4; i++)
        if (set[i].id == id && m->loop.now.wall.us - set[i].until_us < span)
            return MIN(set[i].times, UINT32_MAX - 1) + 1;
    return 1;
}

/* -- board and kernel -- */

enum { USED = 1, IN_KERNEL = 2 };

void bans_shown(const struct monitor *m, uint32_t slot, struct ban *ret_b)
{
    const struct bans *s = m->bans;
    struct ban f = {.scope = BAN_SOURCE, .net = s->rec[slot].net, .since = s->rec[slot].since};
    *ret_b = s->rec[slot];
    if (!s->feeds[slot])
        return;
    bans_feed_weigh(m, s->feeds[slot], &f);
    if (!ret_b->scope || f.treat > ret_b->treat)
        *ret_b = f;
}

static bool for_kernel(const struct ban *b)
{
    return b->scope == BAN_SOURCE && !b->dry &&
           (b->treat == TREAT_DROP || b->treat == TREAT_BAN || b->treat == TREAT_KICK);
}

/* A slot without a ban of its own and named by no feed goes. */
static void slot_free(struct monitor *m, uint32_t slot, const struct ban *name)
{
    struct bans *s = m->bans;
    if (s->used[slot] & IN_KERNEL)
        shield_del(m, name);
    (void)ban_del(s->board, BAN_CAP, name);
    s->used[slot] = 0;
    s->until_us[slot] = 0;
    s->rec[slot].scope = 0;
}

void bans_show(struct monitor *m, uint32_t slot, const struct ban *name)
{
    struct bans *s = m->bans;
    struct ban b;
    uint32_t where;
    if (!s->rec[slot].scope && !s->feeds[slot]) {
        slot_free(m, slot, name);
        return;
    }
    bans_shown(m, slot, &b);
    if (ban_put(s->board, BAN_CAP, &b, &where) != OK || !EXPECT(where == slot))
        return;
    s->until_us[slot] = b.until.us;
    if (for_kernel(&b)) {
        shield_add(m, &b);
        s->used[slot] |= IN_KERNEL;
    } else if (s->used[slot] & IN_KERNEL) {
        shield_del(m, &b);
        s->used[slot] &= (uint8_t)~IN_KERNEL;
    }
}

uint64_t bans_hits(const struct monitor *m, uint32_t slot)
{
    const struct bans *s = m->bans;
    struct ban b;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < m->n_engines; i++)
        if (s->hits[i])
            sum += __atomic_load_n(&s->hits[i][slot], __ATOMIC_RELAXED);
    bans_shown(m, slot, &b);
    return (uint32_t)(sum - s->base[slot]) + shield_hits(m, &b);
}

void bans_each(const struct monitor *m, bans_fn *fn, void *ctx)
{
    const struct bans *s = m->bans;
    for (uint32_t i = 0; s && i < s->board->fresh; i++) {
        struct ban b;
        if (!(s->used[i] & USED))
            continue;
        bans_shown(m, i, &b);
        if (for_kernel(&b) && (!b.until.us || b.until.us > m->loop.now.wall.us))
            fn(ctx, &b);
    }
}

/* -- room -- */

struct victims {
    uint32_t n, slot[VICTIMS];
    int64_t until_us[VICTIMS];
};

/* Keeps the VICTIMS with the least until: few are found, so a linear look is enough. */
static void victim_add(struct victims *v, uint32_t slot, int64_t until_us)
{
    uint32_t worst = 0;
    if (v->n < VICTIMS) {
        v->slot[v->n] = slot;
        v->until_us[v->n++] = until_us;
        return;
    }
    for (uint32_t i = 1; i < VICTIMS; i++)
        worst = v->until_us[i] > v->until_us[worst] ? i : worst;
    if (until_us < v->until_us[worst]) {
        v->slot[worst] = slot;
        v->until_us[worst] = until_us;
    }
}

static uint16_t banning_feeds(const struct monitor *m)
{
    uint16_t mask = 0;
    for (unsigned i = 0; i < m->conf->policy.guard.n_feeds; i++)
        if (m->conf->policy.guard.feeds[i].ban)
            mask |= (uint16_t)(1u << i);
    return mask;
}

/* What feeds weigh goes first, then what they ban, then bans of detectors that end soonest (and
 * before the new one would); an admin's never. */
static bool make_room(struct monitor *m, const struct ban *x)
{
    struct bans *s = m->bans;
    struct victims v = {0};
    uint16_t banning = banning_feeds(m);
    int64_t most = x->by == BY_ADMIN || !x->until.us ? INT64_MAX : x->until.us;
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        if (!(s->used[i] & USED))
            continue;
        const struct ban *r = &s->rec[i];
        if (!r->scope)
            victim_add(&v, i, s->feeds[i] & banning ? 1 : 0);
        else if (r->by != BY_ADMIN && r->until.us && r->until.us < most)
            victim_add(&v, i, r->until.us);
    }
    for (uint32_t i = 0; i < v.n; i++) {
        uint32_t slot = v.slot[i];
        struct ban name = s->rec[slot];
        if (name.scope) {
            s->feeds[slot] = 0;
            bans_end(m, slot, BAN_RELEASED, "full");
            continue;
        }
        name.scope = BAN_SOURCE;
        s->feeds[slot] = s->fresh[slot] = 0;
        s->of_feeds--;
        bans_show(m, slot, &name);
    }
    s->evicted += v.n;
    return v.n > 0;
}

static void tell_full(struct monitor *m, bool room)
{
    struct bans *s = m->bans;
    if (s->told_full)
        return;
    s->told_full = true;
    monitor_log(m, SEV_ALERT, "%s: the board has %u bans%s",
                reason_info(REASON_shield_bans_full)->name.p, s->board->used,
                room ? "; entries of feeds and the shortest bans make room" : "");
}

enum err bans_slot(struct monitor *m, const struct ban *x, uint32_t *ret_slot)
{
    struct bans *s = m->bans;
    if (ban_find(s->board, BAN_CAP, x, ret_slot))
        return OK;
    uint32_t cap = x->by == BY_ADMIN ? BAN_CAP : BAN_CAP - BANS_RESERVE;
    bool room = s->board->used < cap || make_room(m, x);
    if (s->board->used >= cap)
        room = false;
    if (s->board->used + 1 >= cap || !room)
        tell_full(m, room);
    uint32_t slot;
    if (!room || ban_put(s->board, BAN_CAP, x, &slot) != OK) {
        s->refused_full++;
        return ERR_FULL;
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < m->n_engines; i++)
        if (s->hits[i])
            sum += __atomic_load_n(&s->hits[i][slot], __ATOMIC_RELAXED);
    s->base[slot] = sum;
    s->used[slot] = USED;
    s->feeds[slot] = s->fresh[slot] = 0;
    s->rec[slot] = (struct ban){.net = x->net, .since = m->loop.now.wall};
    *ret_slot = slot;
    return OK;
}

/* -- add and end -- */

static struct wall later(struct monitor *m, uint32_t seconds)
{
    return (struct wall){m->loop.now.wall.us + DUR_S((int64_t)seconds).us};
}

/* A lock for fraud is as long as its policy says, 0: until somebody releases it. */
static struct wall ends(struct monitor *m, const struct ban *b)
{
    const struct policy *p = &m->conf->policy;
    if (b->reason != REASON_fraud_locked)
        return later(m, ban_seconds(&p->guard, b->times, b->forgeable));
    return p->fraud.lock_s ? later(m, p->fraud.lock_s) : (struct wall){0};
}

/* Somebody who is banned already does it again: longer, harder, but not a time more. */
static enum err extend(struct monitor *m, struct ban *r, const struct ban *x)
{
    struct ban b = *x;
    b.id = r->id;
    b.since = r->since;
    if (x->by != BY_ADMIN) {
        if (r->by == BY_ADMIN || (x->forgeable && !r->forgeable))
            return ERR_STATE;
        b.times = r->forgeable && !x->forgeable ? times_of(m, x) : r->times;
        b.until = ends(m, &b);
        b.until.us = r->until.us ? MAX(r->until.us, b.until.us) : 0;
        b.treat = MAX(r->treat, x->treat);
        if (b.until.us == r->until.us && b.treat == r->treat && b.forgeable == r->forgeable)
            return ERR_STATE;
    }
    *r = b;
    return OK;
}

enum err bans_add(struct monitor *m, const struct ban *x, uint32_t *ret_slot)
{
    struct bans *s = m->bans;
    struct ban b = *x;
    uint32_t slot;
    b.dry = m->conf->policy.guard.dry_run;
    bool had = ban_find(s->board, BAN_CAP, &b, &slot) && s->rec[slot].scope &&
               (!s->rec[slot].until.us || s->rec[slot].until.us > m->loop.now.wall.us);
    if (had) {
        enum err e = extend(m, &s->rec[slot], &b);
        if (e != OK)
            return e;
    } else {
        b.since = m->loop.now.wall;
        b.times = b.forgeable || b.by == BY_ADMIN ? 1 : times_of(m, &b);
        if (b.by != BY_ADMIN)
            b.until = ends(m, &b);
        enum err e = bans_slot(m, &b, &slot);
        if (e != OK)
            return e;
        if (s->rec[slot].scope) /* it has ended and not been walked over yet */
            bans_fact(m, BAN_EXPIRED, &s->rec[slot], "");
        else
            s->main++;
        s->of_feeds -= s->feeds[slot] && !s->rec[slot].scope;
        b.id = s->next_id++;
        s->rec[slot] = b;
    }
    bans_past_put(s, &s->rec[slot]);
    bans_show(m, slot, &b);
    bans_say(m, had ? "now " : "", false, &s->rec[slot]);
    bans_fact(m, had ? BAN_EXTENDED : BAN_ADDED, &s->rec[slot], b.by == BY_ADMIN ? "admin" : "");
    *ret_slot = slot;
    return OK;
}

void bans_end(struct monitor *m, uint32_t slot, enum ban_act act, const char *who)
{
    struct bans *s = m->bans;
    struct ban b = s->rec[slot];
    if (!b.scope)
        return;
    b.hits = bans_hits(m, slot);
    bans_fact(m, act, &b, who);
    if (act != BAN_EXPIRED)
        bans_say(m, act == BAN_EXEMPTED ? "exempt now, no" : "released from", true, &b);
    s->rec[slot].scope = 0;
    s->main--;
    s->of_feeds += s->feeds[slot] != 0;
    bans_show(m, slot, &b);
    s->told_full = s->told_full && s->board->used > BAN_CAP / 8 * 7;
}
