/* What feeds name. A list takes the place of the feed's earlier one, a part of it a turn: who is in
 * both stays banned meanwhile. */
#include "app/monitor/bans_in.h"
#include "guard/feed.h"
#include "io/file.h"

#define PART       8192u /* entries a turn; each is held against the addresses of all peers, */
#define PART_NAMED 512u  /* which takes longer where these have names */

void bans_feed_weigh(const struct monitor *m, uint16_t feeds, struct ban *ret_b)
{
    const struct policy *p = &m->conf->policy;
    uint32_t weight = 0;
    int64_t until = INT64_MAX; /* of the first list that ends: the others are looked at then */
    ret_b->by = BY_FEED;
    ret_b->treat = TREAT_WEIGH;
    ret_b->times = 1;
    ret_b->dry = p->guard.dry_run;
    for (uint8_t f = 0; f < p->guard.n_feeds && f < GUARD_FEEDS; f++) {
        const struct guard_feed *g = &p->guard.feeds[f];
        if (!(feeds >> f & 1))
            continue;
        weight += g->ban ? 0 : g->weight;
        until = MIN(until, m->bans->feed[f].until.us);
        if (ret_b->why_n && !(g->ban && ret_b->treat == TREAT_WEIGH))
            continue;
        struct str name = str_head(policy_text(p, g->name), BAN_WHY);
        ret_b->treat = g->ban ? TREAT_BAN : TREAT_WEIGH;
        ret_b->feed = f;
        ret_b->why_n = (uint8_t)name.n;
        memcpy(ret_b->why, name.p, name.n);
    }
    ret_b->weight = (uint8_t)MIN(weight, 100u);
    ret_b->until.us = until < INT64_MAX ? until : 0;
}

static void drop_map(struct ban_feed *f)
{
    if (f->map)
        mem_unmap(f->map, (size_t)f->bytes);
    f->map = NULL;
    f->busy = false;
}

/* Out of the lists of those of mask, where the new ones do not name it. */
static void sweep(struct monitor *m, uint16_t mask, bool all)
{
    struct bans *s = m->bans;
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        uint16_t gone = (uint16_t)(s->feeds[i] & mask & (all ? 0xffffu : ~(unsigned)s->fresh[i]));
        s->fresh[i] &= (uint16_t)~mask;
        if (!gone)
            continue;
        struct ban name = s->rec[i];
        for (unsigned f = 0; f < GUARD_FEEDS; f++)
            s->feed[f].n -= gone >> f & 1;
        s->feeds[i] &= (uint16_t)~gone;
        s->of_feeds -= !s->feeds[i] && !name.scope;
        name.scope = name.scope ? name.scope : BAN_SOURCE;
        bans_show(m, i, &name);
    }
}

void bans_feed(struct monitor *m, struct program *p)
{
    const struct msg_feed *news = &m->msg.u.feed;
    struct ban_feed *f = &m->bans->feed[news->feed];
    void *view = NULL;
    if (news->error || news->feed >= m->conf->policy.guard.n_feeds)
        return; /* what it named before stays until it expires */
    if (news->bytes && mem_map(m->msg.fds[0], (size_t)news->bytes, false, true, &view) != OK) {
        program_kill(m, p, "the list of a feed is not a sealed memory");
        return;
    }
    drop_map(f);
    for (uint32_t i = 0; i < m->bans->board->fresh; i++)
        m->bans->fresh[i] &= (uint16_t) ~(1u << news->feed);
    f->map = view;
    f->bytes = view ? news->bytes : 0;
    f->at = f->lost = f->exempt = 0;
    f->busy = true;
    f->until = (struct wall){m->loop.now.wall.us +
                             DUR_S((int64_t)m->conf->policy.guard.feeds[news->feed].expires_s).us};
}

static void take(struct monitor *m, uint8_t feed, const struct prefix *net)
{
    struct bans *s = m->bans;
    struct ban_feed *f = &s->feed[feed];
    uint16_t bit = (uint16_t)(1u << feed);
    char why[BANS_WHY_NOT];
    uint32_t slot;
    struct ban b = {.scope = BAN_SOURCE, .by = BY_FEED, .treat = TREAT_WEIGH, .times = 1};
    b.net = *net;
    b.net.a.port = 0;
    b.until = f->until;
    if (ban_valid(&b, sizeof b) != OK || b.net.bits < (b.net.a.family == ADDR_V4 ? 8 : 16)) {
        f->lost++;
        return;
    }
    if (bans_exempt(m, &b, why)) {
        f->exempt++;
        return;
    }
    if (!ban_find(s->board, BAN_CAP, &b, &slot)) {
        bool room = s->of_feeds < BANS_OF_FEEDS && s->board->used < BAN_CAP - BANS_RESERVE;
        if (!room || bans_slot(m, &b, &slot) != OK) {
            f->lost++;
            return;
        }
        s->of_feeds++;
    }
    f->n += !(s->feeds[slot] & bit);
    s->feeds[slot] |= bit;
    s->fresh[slot] |= bit;
    bans_show(m, slot, &b);
}

static uint32_t part(const struct monitor *m)
{
    for (uint32_t i = 0; i < m->conf->policy.n_peers; i++)
        if (m->conf->policy.peers[i].host.len)
            return PART_NAMED;
    return PART;
}

static void done(struct monitor *m, uint8_t feed)
{
    struct ban_feed *f = &m->bans->feed[feed];
    uint32_t had = f->n;
    sweep(m, (uint16_t)(1u << feed), false);
    monitor_log(m, f->lost ? SEV_WARN : SEV_INFO,
                "feed %s: %u entries in force%s, %u left, %u exempt, %u without room", f->name,
                f->n, m->conf->policy.guard.dry_run ? " (dry run)" : "", had - f->n, f->exempt,
                f->lost);
    drop_map(f);
}

void bans_feeds_turn(struct monitor *m)
{
    for (uint8_t i = 0; i < GUARD_FEEDS; i++) {
        struct ban_feed *f = &m->bans->feed[i];
        if (!f->busy)
            continue;
        uint64_t n = f->bytes / sizeof *f->map;
        for (uint32_t k = part(m); k && f->at < n; k--)
            take(m, i, &f->map[f->at++]);
        if (f->at >= n)
            done(m, i);
        return; /* one at a time */
    }
}

/* Feeds are known by their place in the policy: one of another name there has its list to come. */
void bans_feeds_policy(struct monitor *m)
{
    const struct policy *p = &m->conf->policy;
    uint16_t gone = 0;
    for (uint8_t i = 0; i < GUARD_FEEDS; i++) {
        struct ban_feed *f = &m->bans->feed[i];
        struct str name = STR_NONE;
        if (i < p->guard.n_feeds)
            name = str_head(policy_text(p, p->guard.feeds[i].name), sizeof f->name - 1);
        if (str_eq(name, str_c(f->name)))
            continue;
        drop_map(f);
        if (f->n)
            gone |= (uint16_t)(1u << i);
        memset(f->name, 0, sizeof f->name);
        if (name.n)
            memcpy(f->name, name.p, name.n);
    }
    if (gone)
        sweep(m, gone, true);
}
