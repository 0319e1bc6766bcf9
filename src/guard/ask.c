/* What is done about somebody when a detector fires: the ladder of the policy, what stands already,
 * and what may not be asked at all. */
#include "guard/guard_int.h"

/* Forged addresses must not make the board, the monitor and the store work without end; nor a
 * million real ones. A second: bans that are forgeable, alerts of the forgeable, alerts of others.
 */
#define WIDER_AT 8u /* /64 banned within about an hour */
#define WIDER_S  3600u
enum { SHARE_BANS = 1, SHARE_FORGED, SHARE_ALERTS };
static bool share(struct judging *j, unsigned which)
{
    static const struct {
        uint32_t cost_us, burst;
    } SHARES[] = {
        [SHARE_BANS] = {5000, 400}, [SHARE_FORGED] = {100000, 50}, [SHARE_ALERTS] = {10000, 500}};
    return buckets_take(&j->g->asks, which, SHARES[which].cost_us, SHARES[which].burst, j->tick);
}

static enum treat step_of(const struct guard_policy *p, uint32_t score)
{
    enum treat t = TREAT_LOG;
    for (unsigned i = 0; i < MIN(p->n_steps, GUARD_STEPS); i++)
        if (score >= p->steps[i].score && p->steps[i].treat < TREAT_COUNT && p->steps[i].treat > t)
            t = (enum treat)p->steps[i].treat;
    return t;
}

static bool forgeable(const struct slot *s, const struct firing *f, const struct obs *o)
{
    if (f->scope == BAN_PAIR && f->entity == ENTITY_AOR)
        return f->forgeable;
    if (f->entity == ENTITY_SOURCE)
        return s->proof == PROOF_CLAIMED;
    if (f->entity == ENTITY_DEVICE)
        return s->proof == PROOF_CLAIMED;
    return f->row->detector == DET_guess_user ? !(o->flags & OBS_PROVEN) : s->proof != PROOF_USER;
}

static enum ban_scope scope_of(const struct judging *j, const struct slot *s,
                               const struct firing *f)
{
    if (f->scope)
        return (enum ban_scope)f->scope;
    if (f->entity == ENTITY_AOR)
        return BAN_AOR;
    if (f->entity == ENTITY_DEVICE)
        return BAN_DEVICE;
    if (f->entity == ENTITY_NUMBER)
        return BAN_NUMBER;
    bool pair = s->proof == PROOF_USER || (j->known && f->row->pair);
    return pair && j->o->aor ? BAN_PAIR : BAN_SOURCE;
}

static struct guard_event *event(struct judging *j, const struct slot *s, const struct firing *f)
{
    if (j->out->n_events == GUARD_EVENTS)
        return NULL;
    struct guard_event *e = &j->out->events[j->out->n_events++];
    memset(e, 0, sizeof *e);
    e->detector = f->row->detector;
    e->entity = (uint8_t)f->entity;
    e->dry = j->g->cfg.policy->dry_run;
    e->score = (uint16_t)(s ? slot_score(j->g, s, j->tick) : 0);
    e->level = (uint16_t)MIN(f->level, 65535u);
    return e;
}

static struct prefix net_of(const struct addr *source)
{
    return (struct prefix){guard_source(source), source->family == ADDR_V6 ? 64 : 32};
}

static void ban_fill(struct judging *j, struct guard_event *e, enum ban_scope scope, bool forged)
{
    const struct obs *o = j->o;
    struct ban *b = &e->ban;
    uint32_t s = ban_seconds(j->g->cfg.policy, 1, forged);
    b->scope = (uint8_t)scope;
    b->treat = e->treat;
    b->by = o->kind == OBS_RULE ? BY_RULE : o->kind == OBS_FEED ? BY_FEED : BY_DETECTOR;
    b->feed = o->kind == OBS_FEED ? (uint8_t)o->value : 0;
    b->detector = e->detector;
    b->dry = e->dry;
    b->reason = o->reason;
    b->score = e->score;
    b->forgeable = forged;
    b->times = 1;
    if (scope == BAN_SOURCE || scope == BAN_PAIR)
        b->net = net_of(&o->source);
    if (scope == BAN_PAIR || scope == BAN_AOR)
        b->key = o->aor;
    if (scope == BAN_DEVICE)
        b->key = o->device;
    if (scope == BAN_NUMBER)
        b->key = o->number;
    b->evidence = o->evidence;
    b->since = j->now.wall;
    b->until = (struct wall){j->now.wall.us + DUR_S(MAX(s, 1u)).us};
    b->who_n = (uint8_t)MIN((size_t)o->who_n, sizeof b->who);
    memcpy(b->who, o->who, b->who_n);
    struct str why = str_c(detector_name((enum detector)e->detector));
    b->why_n = (uint8_t)MIN(why.n, sizeof b->why);
    memcpy(b->why, why.p, b->why_n);
}

/* Somebody else may say its name: no user's evidence, and not from where the device is. */
static bool framed(const struct judging *j, bool forged)
{
    struct addr a = guard_source(&j->o->source);
    const struct slot *u;
    if (j->o->flags & OBS_USER)
        return false;
    u = table_get(&j->g->devices, person_key(j->o->device, PROOF_USER, 0));
    return u && (forged || !addr_eq_ip(&u->source, &a));
}

/* Nothing is asked against the exempt, nor on evidence that anybody could have forged against
 * somebody who is registered. */
static bool may_ask(struct judging *j, enum ban_scope scope, enum treat t, bool forged)
{
    struct prefix net = net_of(&j->o->source);
    bool source = scope == BAN_SOURCE || scope == BAN_PAIR || scope == BAN_DEVICE;
    if (source &&
        (j->o->flags & OBS_PEER || !j->o->source.family || ban_exempt(j->g->cfg.policy, &net)))
        return false;
    if (scope == BAN_DEVICE && framed(j, forged))
        return false;
    /* A phone of an office that asks its caller for a password: it is told, and never answered. */
    if (scope == BAN_SOURCE && j->known && j->o->kind == OBS_RESPONSE)
        return false;
    if (!forged)
        return true;
    if ((scope == BAN_SOURCE || scope == BAN_DEVICE) && t < TREAT_DROP)
        return false; /* a late answer to what may be forged is an answer too many */
    return !(source && j->known) && share(j, SHARE_BANS);
}

static bool stands(const struct slot *s, enum treat t, uint32_t tick)
{
    return s->asked >= t && (int32_t)(s->asked_until - tick) > 0;
}

/* What the ladder or the detector itself wants done. */
static enum treat treat_of(const struct judging *j, const struct slot *s, const struct firing *f,
                           enum ban_scope scope)
{
    const struct guard_policy *p = j->g->cfg.policy;
    enum treat told = (enum treat)p->detectors[f->row->detector].treat;
    enum treat t = step_of(p, slot_score(j->g, s, j->tick));
    if (f->treat == TREAT_LOCK)
        t = TREAT_LOCK;
    else if (told || f->treat)
        t = told ? told : (enum treat)f->treat;
    else if (f->entity == ENTITY_NUMBER)
        t = TREAT_LOG; /* what is done against a number hits who is called: only when told */
    return f->entity == ENTITY_AOR && scope == BAN_AOR && t == TREAT_BAN ? TREAT_LOCK : t;
}

/* Who has many /64 to come from loses the /56 that they lie in, unless somebody is registered
 * there. */
static void ask_wider(struct judging *j, const struct firing *f, const struct guard_event *e)
{
    struct guard *g = j->g;
    struct addr net = guard_net56(&j->o->source);
    uint64_t hash = guard_hash56(g, &net);
    if (e->ban.scope != BAN_SOURCE || e->ban.treat < TREAT_BAN || e->ban.forgeable ||
        j->o->source.family != ADDR_V6 || known_has(&g->known, hash | 1, j->tick))
        return;
    struct slot *s = table_take(&g->sources, person_key(hash, PROOF_PROVEN, 0), PROOF_PROVEN,
                                half_life(g), j->tick);
    if (!s)
        return;
    s->hash = hash;
    s->source = net;
    slot_add(g, s, 0, j->tick);
    uint32_t n = set_add(slot_set(s, SET_NAMES), mix64(j->source_hash), ticks_of(WIDER_S), j->tick);
    struct prefix p = {net, 56};
    if (n < WIDER_AT || stands(s, TREAT_BAN, j->tick) || ban_exempt(g->cfg.policy, &p))
        return;
    struct guard_event *w = event(j, s, f);
    if (!w)
        return;
    w->treat = e->treat;
    w->level = (uint16_t)n;
    w->ban = e->ban;
    w->ban.net = p;
    s->asked = TREAT_BAN;
    s->asked_until = j->tick + ticks_of((uint32_t)((w->ban.until.us - w->ban.since.us) / 1000000));
}

void judge_fire(struct judging *j, struct slot *s, const struct firing *f)
{
    struct guard_event *e;
    if (!s) {
        if (f->first)
            (void)event(j, NULL, f);
        return;
    }
    slot_add(j->g, s, f->points, j->tick);
    s->detector = f->row->detector;
    s->reason = j->o->reason;
    s->level = (uint16_t)MIN(f->level, 65535u);
    s->evidence = j->o->evidence ? j->o->evidence : s->evidence;
    s->n_fired = (uint8_t)MIN(s->n_fired + 1u, 255u);
    if (f->entity == ENTITY_DEVICE && !device_own(j->o->device))
        return; /* its address is dealt with */
    enum ban_scope scope = scope_of(j, s, f);
    bool forged = forgeable(s, f, j->o);
    enum treat t = treat_of(j, s, f, scope);
    if (forged && (scope == BAN_SOURCE || scope == BAN_DEVICE) && t == TREAT_REFUSE)
        t = TREAT_DROP;
    bool ask =
        t > TREAT_WEIGH && (f->scope || !stands(s, t, j->tick)) && may_ask(j, scope, t, forged);
    /* Whoever forges a registered address without end is not the one who is there. */
    bool nobody = forged && j->known && f->row->local;
    if (!ask && (!f->first || nobody || !share(j, forged ? SHARE_FORGED : SHARE_ALERTS)))
        return;
    e = event(j, s, f);
    if (!e || !ask)
        return;
    e->treat = (uint8_t)t;
    ban_fill(j, e, scope, forged);
    if (f->scope)
        return;
    s->asked = (uint8_t)t;
    s->asked_until = j->tick + ticks_of((uint32_t)((e->ban.until.us - e->ban.since.us) / 1000000));
    ask_wider(j, f, e);
}
