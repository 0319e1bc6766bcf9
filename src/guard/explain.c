/* The shield's memory as JSON, for people. */
#include "guard/guard_int.h"

#define TOP_MAX 64u

static void firing_put(const struct slot *s, struct out *o)
{
    OUT_LIT(o, "[");
    uint32_t told = 0;
    for (unsigned i = 0, n = 0; i < guard_rows_n; i++) {
        uint8_t d = guard_rows[i].detector;
        if (!(s->firing >> i & 1) || told >> d & 1)
            continue;
        told |= 1u << d;
        if (n++)
            out_ch(o, ',');
        out_json_str(o, str_c(detector_name((enum detector)d)));
    }
    OUT_LIT(o, "]");
}

static void person_put(const struct guard *g, const struct slot *s, uint32_t tick, struct out *o)
{
    static const char *const PROOFS[] = {"claimed", "proven", "registered", "user"};
    int32_t left = (int32_t)(s->asked_until - tick);
    out_ch(o, '{');
    out_json_kstr(o, STR("proof"), str_c(PROOFS[s->proof & 3]));
    out_json_ku64(o, STR("score"), slot_score(g, s, tick));
    out_json_ku64(o, STR("idle_s"), (tick - s->at) / TICKS_A_SECOND);
    out_json_key(o, STR("fired"));
    firing_put(s, o);
    if (s->n_fired) {
        out_json_kstr(o, STR("last"), str_c(detector_name((enum detector)s->detector)));
        out_json_ku64(o, STR("level"), s->level);
        out_json_kstr(o, STR("reason"), reason_info((enum reason)s->reason)->name);
    }
    if (s->evidence)
        out_json_ku64(o, STR("evidence"), s->evidence);
    if (s->asked && left > 0) {
        out_json_kstr(o, STR("asked"), str_c(treat_name((enum treat)s->asked)));
        out_json_ku64(o, STR("asked_left_s"), (uint32_t)left / TICKS_A_SECOND);
    }
    out_ch(o, '}');
}

static void head_put(const struct guard *g, enum entity e, const struct slot *s, uint32_t tick,
                     struct out *o)
{
    out_json_kstr(o, STR("entity"), str_c(entity_name(e)));
    if (s->source.family) {
        char text[ADDR_TEXT_MAX];
        struct out a = out_of(text, sizeof text);
        addr_put_ip(&a, &s->source);
        out_json_kstr(o, STR("address"), out_str(&a));
    }
    if (s->who_n)
        out_json_kstr(o, STR("who"), str_of(s->who, s->who_n));
    if (e == ENTITY_DEVICE)
        out_json_kstr(o, STR("known_by"),
                      device_own(s->hash) ? STR("instance") : STR("address and model"));
    if (e == ENTITY_SOURCE)
        out_json_kstr(o, STR("tier"),
                      known_has(&g->known, s->hash | 1, tick) ? STR("registered") : STR("unknown"));
}

/* Another person of an entity; the first begins it. */
static void next_put(const struct guard *g, enum entity e, const struct slot *s, uint32_t tick,
                     bool first, struct out *o)
{
    if (first) {
        out_ch(o, '{');
        head_put(g, e, s, tick, o);
        out_json_key(o, STR("persons"));
        out_ch(o, '[');
    } else {
        out_ch(o, ',');
    }
    person_put(g, s, tick, o);
}

/* Its persons at all sources. */
static bool device_put(const struct guard *g, uint64_t hash, uint32_t tick, struct out *o)
{
    const struct table *t = &g->devices;
    unsigned n = 0;
    for (uint32_t i = 0; i < t->sets * WAYS; i++) {
        const struct slot *s = t->tags[i] ? table_at(t, i) : NULL;
        if (!s || s->hash != hash || n == TOP_MAX)
            continue;
        next_put(g, ENTITY_DEVICE, s, tick, n++ == 0, o);
    }
    if (n)
        OUT_LIT(o, "]}");
    return n > 0;
}

bool guard_explain(const struct guard *g, enum entity e, uint64_t hash, struct now now,
                   struct out *o)
{
    const enum proof SOURCE[] = {PROOF_PROVEN, PROOF_CLAIMED},
                     PARTY[] = {PROOF_USER, PROOF_CLAIMED};
    uint32_t tick = tick_of(now.mono);
    unsigned n = 0;
    if (e == ENTITY_DEVICE)
        return device_put(g, hash, tick, o);
    if (e != ENTITY_SOURCE && e != ENTITY_AOR && e != ENTITY_NUMBER)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        enum proof p = e == ENTITY_SOURCE ? SOURCE[i] : PARTY[i];
        const struct slot *s = table_get(guard_table(g, e), person_key(hash, p, 0));
        if (!s)
            continue;
        next_put(g, e, s, tick, n++ == 0, o);
    }
    if (n)
        OUT_LIT(o, "]}");
    return n > 0;
}

struct best {
    const struct slot *s;
    uint32_t score;
    enum entity e;
};

static unsigned best_add(struct best *b, unsigned n, unsigned cap, struct best x)
{
    unsigned at = n < cap ? n : cap;
    while (at > 0 && b[at - 1].score < x.score)
        at--;
    if (at == cap)
        return n;
    unsigned keep = MIN(n, cap - 1);
    memmove(b + at + 1, b + at, (keep - at) * sizeof *b);
    b[at] = x;
    return MIN(n + 1, cap);
}

static void best_put(const struct guard *g, const struct best *b, unsigned n, uint32_t tick,
                     struct out *o)
{
    for (unsigned i = 0; i < n; i++) {
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        head_put(g, b[i].e, b[i].s, tick, o);
        out_json_key(o, STR("person"));
        person_put(g, b[i].s, tick, o);
        out_ch(o, '}');
    }
}

void guard_devices(const struct guard *g, uint64_t source, uint64_t aor, unsigned n, struct now now,
                   struct out *o)
{
    const struct table *t = &g->devices;
    struct best b[TOP_MAX];
    uint32_t tick = tick_of(now.mono);
    unsigned have = 0;
    n = MIN(n, TOP_MAX);
    for (uint32_t i = 0; n && i < t->sets * WAYS; i++) {
        const struct slot *s = t->tags[i] ? table_at(t, i) : NULL;
        if (s && ((aor && s->aor == aor) || (source && guard_hash(g, &s->source) == source)))
            have = best_add(b, have, n, (struct best){s, slot_score(g, s, tick), ENTITY_DEVICE});
    }
    best_put(g, b, have, tick, o);
}

void guard_top(const struct guard *g, unsigned n, struct now now, struct out *o)
{
    static const enum entity ALL[] = {ENTITY_SOURCE, ENTITY_AOR, ENTITY_DEVICE, ENTITY_NUMBER};
    struct best b[TOP_MAX];
    uint32_t tick = tick_of(now.mono);
    unsigned have = 0;
    n = MIN(n, TOP_MAX);
    for (unsigned k = 0; n && k < ARRAY_LEN(ALL); k++) {
        const struct table *t = guard_table(g, ALL[k]);
        for (uint32_t i = 0; i < t->sets * WAYS; i++) {
            const struct slot *s = t->tags[i] ? table_at(t, i) : NULL;
            uint32_t score = s ? slot_score(g, s, tick) : 0;
            if (score)
                have = best_add(b, have, n, (struct best){s, score, ALL[k]});
        }
    }
    best_put(g, b, have, tick, o);
}
