/* For tests of the shield only, after base/test.h: engines with a clock of their own, things that
 * people do, and what came of it. */
#ifndef GUARD_SCENE_H
#define GUARD_SCENE_H
#include "guard/guard_int.h"

#define SCENE_ENGINES 4u
struct scene {
    struct guard_policy policy;
    struct guard *g[SCENE_ENGINES];
    unsigned engines;
    struct now now;
    /* what came of all observations since scene_clear */
    unsigned fired[DET_COUNT], asked[DET_COUNT], by_scope[BAN_NUMBER + 1];
    struct ban last;
    struct guard_event event;
    unsigned forwards;
};

static inline void scene_open(struct scene *sc, unsigned engines, uint32_t slots)
{
    memset(sc, 0, sizeof *sc);
    guard_policy_default(&sc->policy);
    sc->engines = engines;
    sc->now = (struct now){{INT64_C(5000000000)}, {INT64_C(1800000000000000)}};
    for (unsigned i = 0; i < engines; i++) {
        struct guard_cfg cfg = {.engine = (uint8_t)i,
                                .engines = (uint8_t)engines,
                                .sources = slots,
                                .parties = slots,
                                .key = {1, 2},
                                .policy = &sc->policy};
        void *mem = calloc(1, guard_bytes(&cfg));
        assert_non_null(mem);
        sc->g[i] = guard_init(mem, &cfg, sc->now);
    }
}

static inline void scene_close(struct scene *sc)
{
    for (unsigned i = 0; i < sc->engines; i++)
        free(sc->g[i]);
}

static inline void scene_clear(struct scene *sc)
{
    memset(sc->fired, 0, sizeof sc->fired);
    memset(sc->asked, 0, sizeof sc->asked);
    memset(sc->by_scope, 0, sizeof sc->by_scope);
    memset(&sc->last, 0, sizeof sc->last);
}

static inline void scene_wait(struct scene *sc, int64_t ms)
{
    sc->now.mono.us += ms * 1000;
    sc->now.wall.us += ms * 1000;
}

static inline void scene_note(struct scene *sc, const struct guard_out *out)
{
    for (unsigned i = 0; i < out->n_events; i++) {
        const struct guard_event *e = &out->events[i];
        assert_true(e->detector < DET_COUNT && e->treat < TREAT_COUNT);
        sc->event = *e;
        sc->fired[e->detector]++;
        if (!e->ban.scope)
            continue;
        sc->asked[e->detector]++;
        sc->by_scope[e->ban.scope]++;
        sc->last = e->ban;
    }
}

/* It arrives at that engine, and goes on to the others that must hear of it. */
static inline void scene_at(struct scene *sc, unsigned engine, const struct obs *o)
{
    struct guard_out out, far;
    guard_observe(sc->g[engine], o, false, sc->now, &out);
    scene_note(sc, &out);
    for (unsigned i = 0; i < out.n_to; i++) {
        assert_int_not_equal(out.to[i], engine);
        guard_observe(sc->g[out.to[i]], o, true, sc->now, &far);
        assert_int_equal(far.n_to, 0);
        scene_note(sc, &far);
        sc->forwards++;
    }
}

static inline void scene_do(struct scene *sc, const struct obs *o)
{
    scene_at(sc, (unsigned)(o->source.ip[3] + o->source.ip[2]) % sc->engines, o);
}

static inline struct addr ip4(uint32_t n)
{
    return (struct addr){
        .family = ADDR_V4,
        .port = 5060,
        .ip = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static inline uint64_t name_of(uint32_t n) /* as a keyed hash of a name is */
{
    return mix64(mix64(UINT64_C(0xabcdef12345) + n)) | 1;
}

#define OFFICE   0xc6336401u /* 198.51.100.1 */
#define ATTACKER 0xcb007101u /* 203.0.113.1 */

static inline struct obs request(uint32_t source, enum sip_method m, enum reason why,
                                 unsigned flags)
{
    return (struct obs){.kind = OBS_REQUEST,
                        .method = (uint8_t)m,
                        .reason = (uint16_t)why,
                        .code = reason_info(why)->code,
                        .flags = (uint16_t)flags,
                        .n = 1,
                        .source = ip4(source),
                        .agent = 77};
}

static inline struct obs below(uint32_t source, enum reason why, uint32_t n)
{
    return (struct obs){.kind = OBS_BELOW, .reason = (uint16_t)why, .n = n, .source = ip4(source)};
}

/* The engines learn it by the walk over each other's boards. */
static inline void scene_known(struct scene *sc, uint32_t source)
{
    struct addr a = ip4(source);
    for (unsigned i = 0; i < sc->engines; i++)
        guard_known(sc->g[i], &a, instant_add(sc->now.mono, DUR_S(86400)));
}

static inline void scene_register(struct scene *sc, uint32_t source, uint32_t aor, uint16_t country,
                                  uint64_t device)
{
    struct obs o = request(source, SIP_REGISTER, REASON_NONE, OBS_PROVEN | OBS_USER | OBS_NEW);
    o.kind = OBS_REGISTERED;
    o.aor = name_of(aor);
    o.country = country;
    o.device = device;
    scene_known(sc, source);
    scene_do(sc, &o);
}

static inline void scene_guess(struct scene *sc, uint32_t source, uint32_t aor)
{
    struct obs o = request(source, SIP_REGISTER, REASON_auth_failed, OBS_PROVEN | OBS_GUESS);
    o.aor = name_of(aor);
    scene_do(sc, &o);
}

static inline void scene_call(struct scene *sc, uint32_t source, uint32_t aor, uint32_t number,
                              uint32_t seconds, bool answered)
{
    struct obs o = request(source, SIP_INVITE, REASON_NONE, OBS_PROVEN | OBS_USER);
    o.kind = OBS_CALL;
    o.aor = name_of(aor);
    o.number = name_of(number);
    o.seconds = seconds;
    o.code = answered ? 200 : 487;
    if (answered)
        o.flags |= OBS_ANSWERED;
    scene_do(sc, &o);
}
#endif
