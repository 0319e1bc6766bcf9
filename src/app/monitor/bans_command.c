/* What the operator asks about bans, and tells them. */
#include "app/monitor/bans_in.h"
#include "app/monitor/lists.h"
#include "call/gates.h"

#define LIST_DEFAULT 200u
#define ROOM         4096u

static uint32_t sorry(struct out *o, enum control_code code, const char *why)
{
    o->n = 0;
    o->full = false;
    out_ch(o, '{');
    out_json_kstr(o, STR("error"), str_c(why));
    out_ch(o, '}');
    return code;
}

static void text_member(struct out *o, struct str key, const char *p, size_t n)
{
    if (n)
        out_json_kstr(o, key, str_of(p, n));
}

static void ban_put_json(const struct monitor *m, uint32_t slot, const struct ban *b, struct out *o)
{
    const struct policy *p = &m->conf->policy;
    char text[ADDR_TEXT_MAX + 4];
    int64_t now = m->loop.now.wall.us;
    out_ch(o, '{');
    out_json_ku64(o, STR("id"), b->id);
    out_json_kstr(o, STR("scope"), str_c(bans_scope(b->scope)));
    if (b->scope == BAN_SOURCE || b->scope == BAN_PAIR) {
        struct ban net = {.scope = BAN_SOURCE, .net = b->net};
        out_json_kstr(o, STR("address"), bans_who(&net, text, sizeof text));
    }
    text_member(o, STR("who"), b->who, b->who_n);
    out_json_kstr(o, STR("treat"), str_c(treat_name((enum treat)b->treat)));
    out_json_kstr(o, STR("by"), str_c(bans_by(b->by)));
    if (b->by == BY_DETECTOR)
        out_json_kstr(o, STR("detector"), str_c(detector_name((enum detector)b->detector)));
    if (b->reason)
        out_json_kstr(o, STR("reason"), reason_info((enum reason)b->reason)->name);
    if (b->by == BY_FEED && b->feed < p->guard.n_feeds)
        out_json_kstr(o, STR("feed"), policy_text(p, p->guard.feeds[b->feed].name));
    if (b->treat == TREAT_WEIGH)
        out_json_ku64(o, STR("weight"), b->weight);
    if (b->score)
        out_json_ku64(o, STR("score"), b->score);
    text_member(o, STR("why"), b->why, b->why_n);
    out_json_kbool(o, STR("forgeable"), b->forgeable);
    out_json_kbool(o, STR("dry_run"), b->dry);
    out_json_ku64(o, STR("times"), b->times);
    out_json_ki64(o, STR("since_us"), b->since.us);
    if (b->until.us) {
        out_json_ki64(o, STR("until_us"), b->until.us);
        out_json_ki64(o, STR("left_s"), b->until.us > now ? (b->until.us - now) / 1000000 : 0);
    }
    if (b->evidence)
        out_json_ku64(o, STR("evidence"), b->evidence);
    out_json_ku64(o, STR("hits"), bans_hits(m, slot));
    if (m->bans->feeds[slot]) {
        OUT_LIT(o, ",\"feeds\":[");
        for (unsigned f = 0, n = 0; f < p->guard.n_feeds; f++) {
            if (!(m->bans->feeds[slot] >> f & 1))
                continue;
            if (n++)
                out_ch(o, ',');
            out_json_str(o, policy_text(p, p->guard.feeds[f].name));
        }
        out_ch(o, ']');
    }
    out_ch(o, '}');
}

/* -- whom a request means -- */

struct meant {
    uint8_t scope; /* 0: nobody named */
    struct ban b;  /* net, key, who */
};

static void who_set(struct ban *b, struct str s)
{
    b->who_n = (uint8_t)MIN(s.n, (size_t)BAN_WHO);
    for (unsigned i = 0; i < b->who_n; i++)
        b->who[i] = s.p[i] > 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
}

/* "alice", "alice@example.com", "sip:alice@example.com": as engines hash it. */
static const char *aor_meant(const struct monitor *m, struct str text, struct ban *b)
{
    const struct policy *p = &m->conf->policy;
    char uri[LOCATION_AOR_MAX + 8], aor[LOCATION_AOR_MAX];
    struct out o = out_of(uri, sizeof uri);
    size_t n = 0;
    bool scheme = str_istarts(text, STR("sip:")) || str_istarts(text, STR("sips:"));
    if (!scheme)
        OUT_LIT(&o, "sip:");
    out_put(&o, text);
    if (str_find(text, '@') == text.n) {
        out_ch(&o, '@');
        out_put(&o, policy_text(p, p->domains[0]));
    }
    if (o.full || !aor_of_uri(p, out_str(&o), aor, sizeof aor, &n))
        return "that is no user of a domain of this gateway (user or user@domain)";
    b->key = location_hash(&m->keys.hash, str_of(aor, n)); /* never 0 */
    who_set(b, str_of(aor, n));
    return NULL;
}

static const char *number_meant(const struct monitor *m, struct str text, struct ban *b)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= 0x20 || text.p[i] > 0x7e)
            return "that is no number";
    b->key = siphash(&m->keys.hash, text);
    b->key = b->key ? b->key : 1;
    who_set(b, text);
    return NULL;
}

/* NULL: *ret_b has scope, net, key and who (scope 0 if nobody is named). Else why not. */
static const char *meant(const struct monitor *m, struct str req, struct ban *ret_b)
{
    struct str address = control_member(req, "address"), aor = control_member(req, "aor"),
               number = control_member(req, "number");
    const char *why = NULL;
    memset(ret_b, 0, sizeof *ret_b);
    if (address.n && prefix_parse(address, &ret_b->net) != OK)
        return "that is no address and no prefix (192.0.2.1, 198.51.100.0/24, 2001:db8::/64)";
    if (number.n && (address.n || aor.n))
        return "name a number alone";
    if (aor.n)
        why = aor_meant(m, aor, ret_b);
    else if (number.n)
        why = number_meant(m, number, ret_b);
    if (why)
        return why;
    ret_b->scope = address.n && aor.n ? BAN_PAIR
                   : address.n        ? BAN_SOURCE
                   : aor.n            ? BAN_AOR
                   : number.n         ? BAN_NUMBER
                                      : 0;
    return NULL;
}

static bool id_of(struct str req, uint64_t *ret_id)
{
    struct str id = control_member(req, "id");
    return id.n && str_u64(id, UINT64_MAX, ret_id) == OK;
}

static bool slot_by_id(const struct bans *s, uint64_t id, uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < s->board->fresh; i++)
        if (s->used[i] && s->rec[i].scope && s->rec[i].id == id) {
            *ret_slot = i;
            return true;
        }
    return false;
}

/* -- list -- */

struct wanted {
    unsigned scope, by; /* 0, or one more than it */
    bool has_address, feeds;
    struct prefix address;
    struct str text;
    struct ban aor, number; /* key 0: not asked */
};

static bool has_text(const struct ban *b, struct str t)
{
    struct str who = str_of(b->who, b->who_n), why = str_of(b->why, b->why_n);
    return str_search(who, t) < who.n || str_search(why, t) < why.n;
}

static bool fits(const struct wanted *w, const struct ban *b)
{
    bool net = b->scope == BAN_SOURCE || b->scope == BAN_PAIR;
    if ((w->scope && b->scope != w->scope - 1) || (w->by && b->by != w->by - 1))
        return false;
    if (b->by == BY_FEED && !w->feeds)
        return false;
    if (w->has_address &&
        !(net && (w->address.bits <= b->net.bits ? prefix_has(&w->address, &b->net.a)
                                                 : prefix_has(&b->net, &w->address.a))))
        return false;
    if (w->aor.key || w->number.key) {
        bool user = b->scope == BAN_AOR || b->scope == BAN_PAIR;
        if (!(user && w->aor.key && b->key == w->aor.key) &&
            !(b->scope == BAN_NUMBER && w->number.key && b->key == w->number.key))
            return false;
    }
    return !w->text.n || has_text(b, w->text);
}

static const char *wanted_of(const struct monitor *m, struct str req, struct wanted *w)
{
    struct str aor = control_member(req, "aor"), number = control_member(req, "number");
    struct str scope = control_member(req, "scope"), by = control_member(req, "by"),
               address = control_member(req, "address");
    memset(w, 0, sizeof *w);
    for (unsigned i = BAN_SOURCE; i <= BAN_NUMBER; i++)
        w->scope = str_eq(scope, str_c(bans_scope(i))) ? i + 1 : w->scope;
    for (unsigned i = 0; i <= BY_ADMIN; i++)
        w->by = str_eq(by, str_c(bans_by(i))) ? i + 1 : w->by;
    if (scope.n && !w->scope)
        return "scope is one of source, pair, aor, device, number";
    if (by.n && !w->by)
        return "by is one of detector, rule, feed, admin";
    if (address.n && prefix_parse(address, &w->address) != OK)
        return "that is no address and no prefix";
    const char *why = aor.n ? aor_meant(m, aor, &w->aor) : NULL;
    if (why && !number.n)
        return why;
    why = number.n ? number_meant(m, number, &w->number) : NULL;
    if (why)
        return why;
    w->has_address = address.n > 0;
    w->feeds = w->has_address || w->by == BY_FEED + 1;
    w->text = control_member(req, "text");
    return NULL;
}

struct found {
    int64_t since;
    uint64_t id;
    uint32_t slot;
};

static int newest_first(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    if (a->since != b->since)
        return a->since < b->since ? 1 : -1;
    return a->id < b->id ? 1 : a->id > b->id ? -1 : 0;
}

static void totals_put(const struct monitor *m, struct out *o)
{
    const struct bans *s = m->bans;
    out_json_ku64(o, STR("in_force"), s->main);
    out_json_ku64(o, STR("of_feeds"), s->of_feeds);
    out_json_ku64(o, STR("capacity"), BAN_CAP);
    out_json_kbool(o, STR("dry_run"), m->conf->policy.guard.dry_run);
    out_json_ku64(o, STR("refused_full"), s->refused_full);
    out_json_ku64(o, STR("evicted"), s->evicted);
    out_json_ku64(o, STR("asks_lost"), s->asks_lost);
    out_json_ku64(o, STR("asks_bad"), s->asks_bad);
}

static uint32_t list(struct monitor *m, struct str req, struct out *o)
{
    const struct bans *s = m->bans;
    struct wanted w;
    uint32_t limit = LIST_DEFAULT, n = 0, shown = 0;
    struct str text = control_member(req, "limit");
    const char *why = wanted_of(m, req, &w);
    if (why)
        return sorry(o, CONTROL_BAD_REQUEST, why);
    if (text.n && str_u32(text, BAN_CAP, &limit) != OK)
        return sorry(o, CONTROL_BAD_REQUEST, "limit is a number up to 262144");
    struct found *all = malloc((s->board->used + 1u) * sizeof *all);
    for (uint32_t i = 0; all && i < s->board->fresh; i++) {
        struct ban b;
        if (!s->used[i])
            continue;
        bans_shown(m, i, &b);
        if (b.until.us && b.until.us <= m->loop.now.wall.us)
            continue;
        if (fits(&w, &b) && n < s->board->used)
            all[n++] = (struct found){b.since.us, b.id, i};
    }
    if (!all)
        return sorry(o, CONTROL_FAILED, "no memory");
    qsort(all, n, sizeof *all, newest_first);
    OUT_LIT(o, "{\"bans\":[");
    for (uint32_t i = 0; i < n && shown < limit && o->cap - o->n > ROOM; i++) {
        struct ban b;
        if (shown++)
            out_ch(o, ',');
        bans_shown(m, all[i].slot, &b);
        ban_put_json(m, all[i].slot, &b, o);
    }
    OUT_LIT(o, "]");
    if (w.aor.key)
        out_json_kstr(o, STR("aor"), str_of(w.aor.who, w.aor.who_n));
    out_json_ku64(o, STR("shown"), shown);
    out_json_ku64(o, STR("total"), n);
    totals_put(m, o);
    out_ch(o, '}');
    free(all);
    return CONTROL_OK;
}

static uint32_t show(struct monitor *m, struct str req, struct out *o)
{
    uint64_t id;
    uint32_t slot;
    if (!id_of(req, &id))
        return sorry(o, CONTROL_BAD_REQUEST, "name a ban by its number (ringwall bans lists them)");
    if (!slot_by_id(m->bans, id, &slot))
        return sorry(o, CONTROL_NOT_FOUND, "no ban of that number is in force");
    OUT_LIT(o, "{\"ban\":");
    ban_put_json(m, slot, &m->bans->rec[slot], o);
    out_ch(o, '}');
    return CONTROL_OK;
}

/* -- add -- */

static const char *how(struct str req, struct ban *b)
{
    static const uint8_t usual[] = {[BAN_SOURCE] = TREAT_BAN,
                                    [BAN_PAIR] = TREAT_BAN,
                                    [BAN_AOR] = TREAT_LOCK,
                                    [BAN_DEVICE] = TREAT_REFUSE,
                                    [BAN_NUMBER] = TREAT_REFUSE};
    struct str treat = control_member(req, "treat"), why = control_member(req, "why"),
               seconds = control_member(req, "seconds");
    uint32_t s;
    b->by = BY_ADMIN;
    b->times = 1;
    b->treat = treat.n ? (uint8_t)treat_by_name(treat) : usual[b->scope];
    if (b->treat <= TREAT_WEIGH || b->treat >= TREAT_COUNT)
        return "treat is one of challenge, tarpit, refuse, drop, lock, ban, kick";
    if (b->treat == TREAT_LOCK && b->scope != BAN_AOR && b->scope != BAN_PAIR)
        return "only a user can be locked";
    if (why.n > BAN_WHY)
        return "the reason is longer than 95 characters";
    for (size_t i = 0; i < why.n; i++)
        b->why[i] = why.p[i] >= 0x20 && why.p[i] < 0x7f ? why.p[i] : '?';
    b->why_n = (uint8_t)why.n;
    if (seconds.n && (str_u32(seconds, 10u * 366 * 86400, &s) != OK || s == 0))
        return "a ban lasts from 1 second to 10 years";
    b->until.us = seconds.n ? s : 0;
    return NULL;
}

static uint32_t add(struct monitor *m, struct str req, struct out *o)
{
    struct ban b;
    char not [BANS_WHY_NOT], text[BANS_WHY_NOT + 64];
    uint32_t slot;
    if (m->starting)
        return sorry(o, CONTROL_UNAVAILABLE, "the gateway is starting; try again");
    const char *why = meant(m, req, &b);
    if (why)
        return sorry(o, CONTROL_BAD_REQUEST, why);
    if (!b.scope)
        return sorry(o, CONTROL_BAD_REQUEST, "name an address, a prefix, a user or a number");
    why = how(req, &b);
    if (!why && b.scope == BAN_PAIR && b.net.bits < (b.net.a.family == ADDR_V4 ? 32 : 64))
        why = "a user is banned at one address (IPv6: /64), or everywhere";
    if (!why && b.scope == BAN_SOURCE && b.net.bits < (b.net.a.family == ADDR_V4 ? 8 : 16))
        why = "that prefix is too wide (IPv4 from /8, IPv6 from /16)";
    if (why)
        return sorry(o, CONTROL_BAD_REQUEST, why);
    if (bans_exempt(m, &b, not )) {
        (void)snprintf(text, sizeof text, "exempt, nothing bans it: %s", not );
        return sorry(o, CONTROL_REFUSED, text);
    }
    if (b.until.us)
        b.until.us = m->loop.now.wall.us + DUR_S(b.until.us).us;
    if (bans_add(m, &b, &slot) != OK)
        return sorry(o, CONTROL_REFUSED, "the board of bans is full of an operator's bans");
    OUT_LIT(o, "{\"ban\":");
    ban_put_json(m, slot, &m->bans->rec[slot], o);
    out_ch(o, '}');
    return CONTROL_OK;
}

/* -- release -- */

static bool release_slot(struct monitor *m, uint32_t slot)
{
    struct bans *s = m->bans;
    struct ban name = s->rec[slot];
    if (!s->used[slot])
        return false;
    if (name.scope) {
        if (name.reason == REASON_fraud_locked)
            habits_released(m, str_of(name.who, MIN(name.who_n, BAN_WHO)));
        bans_past_forget(s, &name);
        bans_end(m, slot, BAN_RELEASED, "admin");
        return true;
    }
    name.scope = BAN_SOURCE;
    for (unsigned f = 0; f < GUARD_FEEDS; f++)
        s->feed[f].n -= s->feeds[slot] >> f & 1;
    s->feeds[slot] = s->fresh[slot] = 0;
    s->of_feeds--;
    bans_show(m, slot, &name);
    return true;
}

/* All bans of what is named: of an address also those of users there, of a user also those at
 * single addresses. Wider ones that hold it are not released, but named. */
static uint32_t release_named(struct monitor *m, const struct ban *x, struct out *o)
{
    struct bans *s = m->bans;
    uint32_t n = 0, of_feeds = 0;
    uint64_t wider = 0;
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        const struct ban *r = &s->rec[i];
        if (!s->used[i])
            continue;
        bool net = r->scope == 0 || r->scope == BAN_SOURCE || r->scope == BAN_PAIR;
        bool it = ban_same(r, x);
        if (x->scope == BAN_SOURCE && net) {
            it = r->net.bits >= x->net.bits && prefix_has(&x->net, &r->net.a);
            if (!it && r->scope && prefix_has(&r->net, &x->net.a))
                wider = r->id;
        } else if (x->scope == BAN_AOR) {
            it = (r->scope == BAN_AOR || r->scope == BAN_PAIR) && r->key == x->key;
        }
        if (!it)
            continue;
        of_feeds += s->feeds[i] != 0;
        n += release_slot(m, i);
    }
    if (!n && wider) {
        char text[96];
        (void)snprintf(text, sizeof text, "it is within the prefix of ban %llu: release that",
                       (unsigned long long)wider);
        return sorry(o, CONTROL_REFUSED, text);
    }
    if (!n)
        return sorry(o, CONTROL_NOT_FOUND, "nothing of that is banned");
    out_ch(o, '{');
    out_json_ku64(o, STR("released"), n);
    if (of_feeds)
        out_json_kstr(
            o, STR("note"),
            STR("a feed names it and will again: list it in guard.exempt to keep it out"));
    out_ch(o, '}');
    return CONTROL_OK;
}

static uint32_t release_all(struct monitor *m, struct str req, struct out *o)
{
    struct bans *s = m->bans;
    struct str by = control_member(req, "by"), detector = control_member(req, "detector");
    enum detector d = detector.n ? detector_by_name(detector) : DET_COUNT;
    uint32_t n = 0;
    if (detector.n && d == DET_COUNT)
        return sorry(o, CONTROL_BAD_REQUEST, "no such detector");
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        const struct ban *r = &s->rec[i];
        if (!s->used[i] || !r->scope)
            continue;
        if (detector.n ? r->by == BY_DETECTOR && r->detector == d
                       : str_eq(by, str_c(bans_by(r->by))))
            n += release_slot(m, i);
    }
    out_ch(o, '{');
    out_json_ku64(o, STR("released"), n);
    out_ch(o, '}');
    return CONTROL_OK;
}

static uint32_t release(struct monitor *m, struct str req, struct out *o)
{
    struct ban b;
    uint64_t id;
    uint32_t slot;
    const char *why;
    if (id_of(req, &id)) {
        if (!slot_by_id(m->bans, id, &slot))
            return sorry(o, CONTROL_NOT_FOUND, "no ban of that number is in force");
        (void)release_slot(m, slot);
        OUT_LIT(o, "{\"released\":1}");
        return CONTROL_OK;
    }
    if (control_member(req, "by").n || control_member(req, "detector").n)
        return release_all(m, req, o);
    why = meant(m, req, &b);
    if (!why && !b.scope)
        why = "name a ban by its number, an address, a user or a number";
    return why ? sorry(o, CONTROL_BAD_REQUEST, why) : release_named(m, &b, o);
}

/* Would that request release a lock that fraud brought about? */
bool bans_of_fraud(struct monitor *m, struct str req)
{
    struct bans *s = m->bans;
    struct str by = control_member(req, "by"), detector = control_member(req, "detector");
    struct ban x;
    uint64_t id = 0;
    bool of_id = id_of(req, &id), all = by.n || detector.n;
    bool named = !of_id && !all && !meant(m, req, &x) && x.scope;
    for (uint32_t i = 0; i < s->board->fresh; i++) {
        const struct ban *r = &s->rec[i];
        if (!s->used[i] || !r->scope || r->reason != REASON_fraud_locked)
            continue;
        if ((of_id && r->id == id) || (!of_id && all))
            return true;
        if (named &&
            (ban_same(r, &x) || (x.scope == BAN_AOR && r->key == x.key) ||
             (x.scope == BAN_SOURCE && r->scope != BAN_AOR && prefix_has(&x.net, &r->net.a))))
            return true;
    }
    return false;
}

uint32_t bans_command(struct monitor *m, struct str request, struct out *o)
{
    struct str cmd = control_member(request, "cmd");
    if (str_eq(cmd, STR("bans")))
        return list(m, request, o);
    if (str_eq(cmd, STR("bans-show")))
        return show(m, request, o);
    if (str_eq(cmd, STR("bans-add")))
        return add(m, request, o);
    if (str_eq(cmd, STR("bans-release")))
        return release(m, request, o);
    return sorry(o, CONTROL_BAD_REQUEST, "no such command");
}
