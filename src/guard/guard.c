/* Layout, and an observation's way in. */
#include "guard/guard_int.h"

static void shape(struct guard *g)
{
    g->sources = (struct table){.n_sets = SETS_SOURCE, .n_gauges = GAUGES_SOURCE};
    g->aors = (struct table){
        .n_sets = SETS_AOR, .n_gauges = GAUGES_AOR, .extra = sizeof(struct aor_extra)};
    g->devices = (struct table){.n_sets = SETS_DEVICE, .n_gauges = GAUGES_DEVICE};
    g->numbers = (struct table){.n_sets = SETS_NUMBER, .n_gauges = GAUGES_NUMBER};
}

size_t guard_bytes(const struct guard_cfg *cfg)
{
    struct guard g;
    shape(&g);
    return sizeof(struct guard) + table_bytes(&g.sources, cfg->sources) +
           table_bytes(&g.aors, cfg->parties) + table_bytes(&g.devices, cfg->parties) +
           table_bytes(&g.numbers, cfg->parties) + buckets_bytes(cfg->sources * 2) +
           buckets_bytes(cfg->parties * 2) + buckets_bytes(1) + known_bytes(cfg->sources);
}

struct guard *guard_init(void *mem, const struct guard_cfg *cfg, struct now now)
{
    struct guard *g = mem;
    void *p = g + 1;
    g->cfg = *cfg;
    g->cfg.engines = MAX(cfg->engines, 1);
    g->now = now;
    shape(g);
    p = table_init(&g->sources, p, cfg->sources);
    p = table_init(&g->aors, p, cfg->parties);
    p = table_init(&g->devices, p, cfg->parties);
    p = table_init(&g->numbers, p, cfg->parties);
    p = buckets_init(&g->before, p, cfg->sources * 2);
    p = buckets_init(&g->after, p, cfg->parties * 2);
    p = buckets_init(&g->asks, p, 1);
    p = known_init(&g->known, p, cfg->sources);
    CHECK((size_t)((uint8_t *)p - (uint8_t *)mem) == guard_bytes(cfg));
    for (unsigned i = 0; i < guard_rows_n; i++)
        for (unsigned k = 0; k < OBS_KIND_COUNT; k++)
            if (guard_rows[i].kinds >> k & 1)
                g->by_kind[k][g->by_kind_n[k]++] = (uint8_t)i;
    return g;
}

void guard_set_policy(struct guard *g, const struct guard_policy *p)
{
    g->cfg.policy = p;
}

void guard_set_bans(struct guard *g, const struct ban_board *bans, uint32_t cap)
{
    g->cfg.bans = bans;
    g->cfg.bans_cap = cap;
}

struct addr guard_source(const struct addr *a)
{
    struct addr s = *a;
    s.port = 0;
    s.pad = 0;
    if (s.family == ADDR_V6)
        memset(s.ip + 8, 0, 8);
    return s;
}

struct addr guard_net56(const struct addr *a)
{
    struct addr s = guard_source(a);
    if (s.family == ADDR_V6)
        s.ip[7] = 0;
    return s;
}

uint64_t guard_hash56(const struct guard *g, const struct addr *a)
{
    struct addr net = guard_net56(a);
    net.port = 56;
    return addr_hash(&g->cfg.key, &net);
}

uint64_t guard_hash(const struct guard *g, const struct addr *a)
{
    struct addr s = guard_source(a);
    return addr_hash(&g->cfg.key, &s);
}

uint8_t guard_owner(const struct guard *g, uint64_t hash)
{
    return (uint8_t)(mix64(hash) % g->cfg.engines);
}

const char *tier_name(enum tier t)
{
    return t == TIER_TRUNK ? "trunk" : t == TIER_REGISTERED ? "registered" : "unknown";
}

void guard_observe(struct guard *g, const struct obs *o, bool forwarded, struct now now,
                   struct guard_out *ret_o)
{
    ret_o->n_events = ret_o->n_to = 0;
    g->now = now;
    /* Who calls for help is no suspect, whatever else the request looks like. */
    if (obs_valid(o, sizeof *o) != OK || o->flags & OBS_EMERGENCY)
        return;
    struct judging j = {.g = g,
                        .o = o,
                        .out = ret_o,
                        .now = now,
                        .tick = tick_of(now.mono),
                        .forwarded = forwarded};
    if (o->source.family) {
        j.source_hash = guard_hash(g, &o->source);
        j.known = known_has(&g->known, j.source_hash | 1, j.tick);
    }
    j.mine[ENTITY_SOURCE] = guard_owner(g, j.source_hash) == g->cfg.engine;
    j.mine[ENTITY_ALL] = j.mine[ENTITY_SOURCE];
    j.mine[ENTITY_AOR] = guard_owner(g, o->aor) == g->cfg.engine;
    j.mine[ENTITY_DEVICE] = guard_owner(g, o->device) == g->cfg.engine;
    j.mine[ENTITY_NUMBER] = guard_owner(g, o->number) == g->cfg.engine;
    judge_rows(&j);
}

static uint32_t used(const struct table *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->sets * WAYS; i++)
        n += t->tags[i] != 0;
    return n;
}

void guard_usage(const struct guard *g, struct guard_usage *ret_u)
{
    *ret_u = (struct guard_usage){
        .sources = used(&g->sources),
        .aors = used(&g->aors),
        .devices = used(&g->devices),
        .numbers = used(&g->numbers),
        .evicted = g->sources.evicted + g->aors.evicted + g->devices.evicted + g->numbers.evicted,
        .refused = g->sources.refused + g->aors.refused + g->devices.refused + g->numbers.refused,
    };
}
