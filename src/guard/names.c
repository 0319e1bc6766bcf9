#include "guard/policy.h"

const char *entity_name(enum entity e)
{
    static const char *const NAMES[ENTITY_COUNT] = {"source", "aor", "device", "number", "all"};
    return e < ENTITY_COUNT ? NAMES[e] : "none";
}

static const char *const TREATS[TREAT_COUNT] = {"log",  "weigh", "challenge", "tarpit", "refuse",
                                                "drop", "lock",  "ban",       "kick"};

const char *treat_name(enum treat t)
{
    return t < TREAT_COUNT ? TREATS[t] : "none";
}

enum treat treat_by_name(struct str s)
{
    unsigned t = 0;
    while (t < TREAT_COUNT && !str_eq(s, str_c(TREATS[t])))
        t++;
    return (enum treat)t;
}

static const struct {
    const char *name, *text;
    enum entity entity;
} DETECTORS[DET_COUNT] = {
#define D(name, entity, text) {#name, text, ENTITY_##entity},
#include "guard/detectors.def"
#undef D
};

const char *detector_name(enum detector d)
{
    return d < DET_COUNT ? DETECTORS[d].name : "none";
}

const char *detector_text(enum detector d)
{
    return d < DET_COUNT ? DETECTORS[d].text : "";
}

enum entity detector_entity(enum detector d)
{
    return d < DET_COUNT ? DETECTORS[d].entity : ENTITY_COUNT;
}

enum detector detector_by_name(struct str s)
{
    unsigned d = 0;
    while (d < DET_COUNT && !str_eq(s, str_c(DETECTORS[d].name)))
        d++;
    return (enum detector)d;
}

void guard_policy_default(struct guard_policy *p)
{
    static const struct guard_step STEPS[] = {{20, TREAT_LOG},
                                              {40, TREAT_CHALLENGE},
                                              {60, TREAT_TARPIT},
                                              {80, TREAT_REFUSE},
                                              {100, TREAT_BAN}};
    memset(p, 0, sizeof *p);
    memcpy(p->steps, STEPS, sizeof STEPS);
    p->n_steps = ARRAY_LEN(STEPS);
    p->half_life_s = 600;
    p->ban_s = 3600;
    p->ban_max_s = 7 * 86400;
    p->spoof_s = 60;
    p->escalate_s = 86400;
    p->source_rate = 100;
    p->known_rate = 1000;
    p->aor_rate = 600;
    p->device_rate = 3000; /* phones that do not name themselves are one device an address */
    p->trunk_rate = 600000;
    p->tarpit_ms = 2000;
}
