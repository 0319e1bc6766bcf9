#include "guard/guard_int.h"

#define BUCKET_WAYS      4u
#define KNOWN_WAYS       8u
#define EMERGENCY_COST   500000u /* 2 a second */
#define EMERGENCY_BURST  10u
#define SALT_EMERGENCY   UINT64_C(0x9e3779b97f4a7c15)
#define SALT_KNOWN       UINT64_C(0xc2b2ae3d27d4eb4f)
#define NET_FACTOR       8u
#define SALT_DEVICE      UINT64_C(0x165667b19e3779f9)
#define START_LINE_BYTES 128u

static uint32_t sets_for(uint32_t cap, uint32_t ways)
{
    uint32_t n = 16;
    while (n < 1u << 22 && n * ways < cap)
        n *= 2;
    return n;
}

size_t buckets_bytes(uint32_t cap)
{
    return (size_t)sets_for(cap, BUCKET_WAYS) * BUCKET_WAYS * sizeof(struct bucket);
}

void *buckets_init(struct buckets *t, void *mem, uint32_t cap)
{
    t->sets = sets_for(cap, BUCKET_WAYS);
    t->b = mem;
    return t->b + (size_t)t->sets * BUCKET_WAYS;
}

bool buckets_take(struct buckets *t, uint64_t key, uint32_t cost_us, uint32_t burst, uint32_t now)
{
    struct bucket *set = &t->b[(key & (t->sets - 1)) * BUCKET_WAYS], *b = &set[0];
    uint64_t full = (uint64_t)cost_us * burst;
    for (unsigned i = 0; i < BUCKET_WAYS; i++) {
        if (set[i].key == key) {
            b = &set[i];
            break;
        }
        if (!set[i].key || (b->key && now - set[i].at > now - b->at))
            b = &set[i];
    }
    if (b->key != key)
        *b = (struct bucket){key, now, (uint32_t)MIN(full, (uint64_t)UINT32_MAX)};
    uint64_t left = MIN(b->left + ((uint64_t)(now - b->at) << 13), full);
    bool ok = left >= cost_us;
    b->at = now;
    b->left = (uint32_t)MIN(left - (ok ? cost_us : 0), (uint64_t)UINT32_MAX);
    return ok;
}

size_t known_bytes(uint32_t cap)
{
    return (size_t)sets_for(cap, KNOWN_WAYS) * KNOWN_WAYS * sizeof(struct known_source);
}

void *known_init(struct known *t, void *mem, uint32_t cap)
{
    t->sets = sets_for(cap, KNOWN_WAYS);
    t->k = mem;
    return t->k + (size_t)t->sets * KNOWN_WAYS;
}

static bool later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

void known_put(struct known *t, uint64_t key, uint32_t until, uint32_t now)
{
    struct known_source *set = &t->k[(key & (t->sets - 1)) * KNOWN_WAYS], *it = &set[0];
    for (unsigned i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].key == key) {
            if (later(until, set[i].until))
                set[i].until = until;
            return;
        }
        if (!set[i].key || (it->key && later(it->until, set[i].until)))
            it = &set[i];
    }
    if (!it->key || !later(it->until, now) || later(until, it->until))
        *it = (struct known_source){key, until, 0};
}

bool known_has(const struct known *t, uint64_t key, uint32_t now)
{
    const struct known_source *set = &t->k[(key & (t->sets - 1)) * KNOWN_WAYS];
    for (unsigned i = 0; i < KNOWN_WAYS; i++)
        if (set[i].key == key)
            return later(set[i].until, now);
    return false;
}

/* --- the engine's two limits --- */

static uint64_t key_of(uint64_t hash, uint64_t salt)
{
    return mix64(hash ^ salt) | 1;
}

void guard_known(struct guard *g, const struct addr *source, struct instant until)
{
    /* A moment farther away than half the wrap of ticks would read as past. */
    int64_t most = g->now.mono.us + INT64_C(86400000000) * 30;
    uint32_t last = tick_of((struct instant){MIN(MAX(until.us, 0), most)});
    known_put(&g->known, guard_hash(g, source) | 1, last, tick_of(g->now.mono));
    if (source->family == ADDR_V6) {
        known_put(&g->known, guard_hash56(g, source) | 1, last, tick_of(g->now.mono));
    }
}

enum tier guard_tier(const struct guard *g, const struct addr *source, struct instant now)
{
    struct ban_view v;
    struct wall wall = {g->now.wall.us + (now.us - g->now.mono.us)};
    if (!known_has(&g->known, guard_hash(g, source) | 1, tick_of(now)))
        return TIER_UNKNOWN;
    if (g->cfg.bans && ban_of_source(g->cfg.bans, g->cfg.bans_cap, source, wall, &v) &&
        v.treat >= TREAT_CHALLENGE)
        return TIER_UNKNOWN;
    return TIER_REGISTERED;
}

/* A rate a second: twice that at once. */
static bool rate(struct guard *g, uint64_t key, uint32_t per_s, uint32_t tick)
{
    per_s = MIN(MAX(per_s, 1u), 1000000u);
    return buckets_take(&g->before, key, 1000000u / per_s, per_s * 2, tick);
}

/* The /64 of one /56 share what a few sources may send. */
static bool net_rate(struct guard *g, const struct addr *source, uint32_t tick)
{
    if (source->family != ADDR_V6)
        return true;
    return rate(g, guard_hash56(g, source) | 1,
                MIN(g->cfg.policy->source_rate, 100000u) * NET_FACTOR, tick);
}

static bool lane(struct guard *g, uint64_t hash, struct str bytes, uint32_t tick)
{
    return guard_maybe_emergency(bytes) && buckets_take(&g->before, key_of(hash, SALT_EMERGENCY),
                                                        EMERGENCY_COST, EMERGENCY_BURST, tick);
}

enum reason guard_before_at(struct guard *g, const struct addr *source, uint32_t least,
                            struct str bytes, struct now now, struct ban_view *ret_ban)
{
    const struct guard_policy *p = g->cfg.policy;
    uint32_t tick = tick_of(now.mono);
    g->now = now;
    uint32_t most = MAX(p->source_rate, least);
    uint64_t hash = guard_hash(g, source);
    if (!g->cfg.bans || !ban_of_source(g->cfg.bans, g->cfg.bans_cap, source, now.wall, ret_ban))
        *ret_ban = (struct ban_view){0};
    bool banned = ret_ban->scope && ret_ban->treat >= TREAT_DROP;
    if (banned)
        return lane(g, hash, bytes, tick) ? REASON_NONE : REASON_shield_banned;
    if (rate(g, hash | 1, most, tick) && net_rate(g, source, tick))
        return REASON_NONE;
    if (known_has(&g->known, hash | 1, tick) && !ret_ban->scope &&
        rate(g, key_of(hash, SALT_KNOWN), MAX(p->known_rate, most), tick))
        return REASON_NONE;
    return p->dry_run || lane(g, hash, bytes, tick) ? REASON_NONE : REASON_shield_rate;
}

enum reason guard_before(struct guard *g, const struct addr *source, bool peer, struct str bytes,
                         struct now now, struct ban_view *ret_ban)
{
    *ret_ban = (struct ban_view){0};
    if (!peer)
        return guard_before_at(g, source, 0, bytes, now, ret_ban);
    g->now = now;
    return REASON_NONE;
}

enum reason guard_after(struct guard *g, uint64_t aor, uint64_t device, struct instant now)
{
    const struct guard_policy *p = g->cfg.policy;
    uint32_t tick = tick_of(now), a = MIN(MAX(p->aor_rate, 1u), 60000000u),
             d = MIN(MAX(p->device_rate, 1u), 60000000u);
    bool ok = !aor || buckets_take(&g->after, aor | 1, 60000000u / a, a, tick);
    ok =
        (!device || buckets_take(&g->after, key_of(device, SALT_DEVICE), 60000000u / d, d, tick)) &&
        ok;
    return ok || p->dry_run ? REASON_NONE : REASON_shield_rate_user;
}

/* --- what may be a call for help --- */

static bool help_number(struct str s)
{
    char digits[4];
    size_t n = 0, i = 0;
    for (; i < s.n && s.p[i] != '@' && s.p[i] != ';' && s.p[i] != ' ' && s.p[i] != '>'; i++) {
        if (s.p[i] == '-' || s.p[i] == '.' || s.p[i] == '(' || s.p[i] == ')')
            continue;
        if (n == sizeof digits)
            return false;
        digits[n++] = s.p[i];
    }
    struct str d = str_of(digits, n);
    return str_eq(d, STR("112")) || str_eq(d, STR("911"));
}

bool guard_maybe_emergency(struct str bytes)
{
    static const struct str WITHIN[] = {
        {"ACK ", 4}, {"BYE ", 4}, {"CANCEL ", 7}, {"PRACK ", 6}, {"SIP/2.0 ", 8}};
    struct str s = str_head(bytes, START_LINE_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(WITHIN); i++)
        if (str_starts(s, WITHIN[i]))
            return true;
    if (!str_starts(s, STR("INVITE ")))
        return false;
    s = str_skip(s, 7);
    if (str_istarts(s, STR("urn:service:sos")))
        return true;
    if (str_istarts(s, STR("sip:")) || str_istarts(s, STR("tel:")))
        return help_number(str_skip(s, 4));
    return str_istarts(s, STR("sips:")) && help_number(str_skip(s, 5));
}
