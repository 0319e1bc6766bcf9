/* One to four engines of the shield, and people who do things as the input says: 12 bytes each.
 * Whatever they do: nobody exempt and no peer is asked for, evidence that can be forged asks only
 * for brief bans and never against the registered, a dry run asks for nothing that is not marked,
 * nothing is told that is out of bounds, and what is explained is whole. */
#include "base/cur.h"
#include "guard/guard.h"
#include "wire/sip/msg.h"
#include <stdlib.h>
#include <string.h>

#define ENGINES_MAX 4u
#define SOURCES     24u
#define HOUR_US     INT64_C(3600000000)

struct world {
    struct guard_policy policy;
    struct guard *g[ENGINES_MAX];
    unsigned engines;
    struct now now;
    struct instant known[SOURCES]; /* until then somebody is registered there */
};
static void *memory[ENGINES_MAX];

static struct addr source_of(unsigned i)
{
    if (i % 3 == 2)
        return (struct addr){
            .family = ADDR_V6, .port = 5060, .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, (uint8_t)i, 9}};
    return (struct addr){.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, (uint8_t)i}};
}

static uint64_t name_of(unsigned i)
{
    return i ? i * UINT64_C(0x9e3779b97f4a7c15) : 0;
}

static void open_world(struct world *w, unsigned shape)
{
    memset(w, 0, sizeof *w);
    guard_policy_default(&w->policy);
    w->policy.dry_run = shape & 1;
    w->engines = 1 + (shape >> 1) % ENGINES_MAX;
    w->now = (struct now){{HOUR_US}, {HOUR_US * 400000}};
    if (shape & 8) {
        w->policy.n_exempt = 1;
        w->policy.exempt[0] = (struct prefix){source_of(1), 32};
        w->policy.exempt[0].a.port = 0;
    }
    if (shape & 16)
        w->policy.detectors[shape % DET_COUNT].treat = TREAT_KICK;
    if (shape & 32)
        w->policy.half_life_s = 0;
    for (unsigned i = 0; i < w->engines; i++) {
        struct guard_cfg cfg = {.engine = (uint8_t)i,
                                .engines = (uint8_t)w->engines,
                                .sources = 40, /* fewer than come */
                                .parties = 20,
                                .key = {1, 2},
                                .policy = &w->policy};
        if (!memory[i])
            memory[i] = malloc(guard_bytes(&cfg));
        CHECK(memory[i]);
        memset(memory[i], 0, guard_bytes(&cfg));
        w->g[i] = guard_init(memory[i], &cfg, w->now);
    }
}

static bool registered(const struct world *w, const struct addr *a)
{
    for (unsigned i = 0; i < SOURCES; i++) {
        struct addr s = source_of(i), x = guard_source(&s), y = guard_source(a);
        if (addr_eq(&x, &y))
            return w->known[i].us > w->now.mono.us + 20000;
    }
    return false;
}

/* A whole /56: on certain evidence only, and nobody is registered in it. */
static void judge_wider(const struct world *w, const struct ban *b)
{
    CHECK(b->scope == BAN_SOURCE && b->net.a.family == ADDR_V6 && !b->forgeable);
    for (unsigned i = 0; i < SOURCES; i++) {
        struct addr s = source_of(i);
        CHECK(!prefix_has(&b->net, &s) || !registered(w, &s));
    }
}

static void judge_ban(const struct world *w, const struct guard_event *e, const struct obs *o)
{
    const struct ban *b = &e->ban;
    CHECK(ban_valid(b, sizeof *b) == OK);
    CHECK(b->treat == e->treat && b->treat > TREAT_WEIGH && b->detector == e->detector);
    CHECK(b->dry == w->policy.dry_run && e->dry == w->policy.dry_run && b->times == 1);
    CHECK(b->since.us == w->now.wall.us && b->until.us > b->since.us);
    int64_t s = (b->until.us - b->since.us) / 1000000;
    CHECK(s <= (b->forgeable ? w->policy.spoof_s : w->policy.ban_s));
    CHECK(b->scope == BAN_SOURCE || b->key);
    CHECK(!(o->flags & OBS_EMERGENCY));
    if (b->scope != BAN_SOURCE && b->scope != BAN_PAIR)
        return;
    CHECK(!(o->flags & OBS_PEER) && !ban_exempt(&w->policy, &b->net));
    CHECK(prefix_has(&b->net, &o->source));
    if (b->net.bits == 56)
        judge_wider(w, b);
    else
        CHECK(b->net.bits == (o->source.family == ADDR_V6 ? 64 : 32));
    CHECK(o->flags & (OBS_PROVEN | OBS_USER) || b->forgeable);
    CHECK(!b->forgeable || !registered(w, &o->source));
}

static void judge(const struct world *w, const struct guard_out *out, const struct obs *o,
                  bool forwarded)
{
    CHECK(out->n_events <= GUARD_EVENTS && out->n_to < ENTITY_COUNT);
    CHECK(!forwarded || out->n_to == 0);
    for (unsigned i = 0; i < out->n_events; i++) {
        const struct guard_event *e = &out->events[i];
        CHECK(e->detector < DET_COUNT && e->entity < ENTITY_COUNT && e->treat < TREAT_COUNT);
        CHECK(e->score <= 1000 && (e->ban.scope || e->treat == TREAT_LOG));
        if (e->ban.scope)
            judge_ban(w, e, o);
    }
}

static void observe(struct world *w, unsigned at, const struct obs *o)
{
    struct guard_out out, far;
    guard_observe(w->g[at], o, false, w->now, &out);
    judge(w, &out, o, false);
    for (unsigned i = 0; i < out.n_to; i++) {
        CHECK(out.to[i] < w->engines && out.to[i] != at);
        guard_observe(w->g[out.to[i]], o, true, w->now, &far);
        judge(w, &far, o, true);
    }
}

static void people(const struct world *w, unsigned i)
{
    static char text[20000];
    struct addr a = source_of(i % SOURCES);
    const struct guard *g = w->g[i % w->engines];
    for (unsigned e = 0; e < ENTITY_COUNT; e++) {
        struct out o = out_of(text, sizeof text);
        bool some =
            guard_explain(g, (enum entity)e,
                          e == ENTITY_SOURCE ? guard_hash(g, &a) : name_of(i % 16), w->now, &o);
        CHECK(!o.full && some == (o.n > 0));
        CHECK(!some || (text[0] == '{' && text[o.n - 1] == '}'));
    }
    struct out o = out_of(text, sizeof text);
    guard_top(g, i, w->now, &o);
    CHECK(o.n == 0 || (text[0] == '{' && (o.full || text[o.n - 1] == '}')));
}

static void before(struct world *w, unsigned source, struct str bytes)
{
    struct addr a = source_of(source % SOURCES);
    struct ban_view v;
    struct guard *g = w->g[source % w->engines];
    enum reason why = guard_before(g, &a, false, bytes, w->now, &v);
    CHECK(why == REASON_NONE || why == REASON_shield_rate);
    CHECK(guard_before(g, &a, true, bytes, w->now, &v) == REASON_NONE);
    why = guard_after(g, name_of(source % 16), name_of(source % 5), w->now.mono);
    CHECK(why == REASON_NONE || why == REASON_shield_rate_user);
}

static void known(struct world *w, unsigned source, unsigned minutes)
{
    unsigned i = source % SOURCES;
    struct addr a = source_of(i);
    struct instant until = instant_add(w->now.mono, DUR_S(60 * minutes));
    for (unsigned e = 0; e < w->engines; e++)
        guard_known(w->g[e], &a, until);
    w->known[i].us = MAX(w->known[i].us, until.us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct world w;
    if (n < 13)
        return 0;
    open_world(&w, data[0]);
    for (size_t at = 1; at + 12 <= n; at += 12) {
        const uint8_t *b = data + at;
        struct obs o = {.kind = b[0] & 7,
                        .method = b[1] & 15,
                        .flags = (uint16_t)((b[2] | b[3] << 8) & 1023),
                        .reason = (uint16_t)((unsigned)b[4] * REASON_COUNT / 256),
                        .code = (uint16_t)(400 + b[5] % 8),
                        .weight = b[6],
                        .n = 1u << b[7] % 20,
                        .value = b[8],
                        .seconds = b[8],
                        .country = (uint16_t)(b[9] % 4),
                        .source = source_of(b[10] % (SOURCES + 200u)),
                        .aor = name_of(b[9] % 16),
                        .number = name_of(b[8] % 64),
                        .device = name_of(b[5] % 8),
                        .agent = name_of(b[6] % 4)};
        w.now.mono.us += (int64_t)(1u << b[11] % 32);
        w.now.wall.us += (int64_t)(1u << b[11] % 32);
        if (b[7] >= 250)
            known(&w, b[10], b[8]);
        else if (b[7] >= 245)
            people(&w, b[10]);
        else if (b[7] >= 230)
            before(&w, b[10], str_of((const char *)b, 12));
        for (unsigned k = 0; k < 1 + b[7] % 5u * 4; k++) /* some things come often */
            observe(&w, b[7] % w.engines, &o);
    }
    return 0;
}
