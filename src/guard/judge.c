/* One observation against the rows that look at its kind. */
#include "guard/guard_int.h"

#define SALT_PROVEN   UINT64_C(0xa0761d6478bd642f)
#define SALT_CLAIMED  UINT64_C(0xe7037ed1a0b428db)
#define SALT_USER     UINT64_C(0x8ebc6af09c88c6e3)
#define USERS_ASSUMED 8u /* behind a source that is known, but not since when */
#define LOCK_FACTOR   12u
#define TALK_S        30u
#define USER_FACTOR   2u /* a user is one; an office is many */
/* So many guess one user's password: further ones have no second try. */
#define SPREAD_SOURCES 8u
#define SPREAD_S       (12 * 3600u)
#define MUTE_TIMES     4u /* challenged so often within a minute, and never an answer */
#define EXCUSE_S       (6 * 3600u)
#define MUTE_S         60u

/* -- persons -- */

uint64_t person_key(uint64_t hash, enum proof proof, uint64_t aor)
{
    uint64_t salt = proof == PROOF_CLAIMED ? SALT_CLAIMED
                    : proof == PROOF_USER  ? mix64(aor ^ SALT_USER)
                                           : SALT_PROVEN;
    uint64_t key = mix64(hash ^ salt);
    return key ? key : 1;
}

static bool by_user(const struct obs *o)
{
    return o->flags & OBS_USER || o->kind == OBS_REGISTERED;
}

static struct slot *source_slot(struct judging *j)
{
    const struct obs *o = j->o;
    enum proof p = o->flags & OBS_USER && o->aor && o->kind != OBS_REGISTERED ? PROOF_USER
                   : !(o->flags & OBS_PROVEN)                                 ? PROOF_CLAIMED
                   : j->known                                                 ? PROOF_KNOWN
                                                                              : PROOF_PROVEN;
    struct slot *s = table_take(&j->g->sources, person_key(j->source_hash, p, o->aor), p,
                                half_life(j->g), j->tick);
    if (!s)
        return NULL;
    s->proof = (uint8_t)p;
    s->hash = j->source_hash;
    s->aor = p == PROOF_USER ? o->aor : 0;
    return s;
}

static struct slot *party_slot(struct judging *j, struct table *t, uint64_t hash)
{
    enum proof p = by_user(j->o)              ? PROOF_USER
                   : j->o->flags & OBS_PROVEN ? PROOF_PROVEN
                                              : PROOF_CLAIMED;
    uint64_t key = person_key(hash, p == PROOF_USER ? PROOF_USER : PROOF_CLAIMED, 0);
    struct slot *s = table_take(t, key, p, half_life(j->g), j->tick);
    if (!s)
        return NULL;
    s->proof = MAX(s->proof, (uint8_t)p);
    s->hash = hash;
    return s;
}

/* What users did with it is one person; what came in its name without that, one at each source. */
static struct slot *device_slot(struct judging *j)
{
    const struct obs *o = j->o;
    enum proof p = by_user(o) ? PROOF_USER : o->flags & OBS_PROVEN ? PROOF_PROVEN : PROOF_CLAIMED;
    uint64_t where = p == PROOF_USER ? 0 : mix64(j->source_hash);
    struct slot *s = table_take(&j->g->devices, person_key(o->device ^ where, p, 0), p,
                                half_life(j->g), j->tick);
    if (!s)
        return NULL;
    s->hash = o->device;
    s->aor = o->aor;
    return s;
}

struct slot *judge_slot(struct judging *j, enum entity e)
{
    const struct obs *o = j->o;
    if (j->slot[e] || j->missed[e])
        return j->slot[e];
    struct slot *s = e == ENTITY_AOR      ? party_slot(j, &j->g->aors, o->aor)
                     : e == ENTITY_DEVICE ? device_slot(j)
                     : e == ENTITY_NUMBER ? party_slot(j, &j->g->numbers, o->number)
                                          : source_slot(j);
    j->missed[e] = !s;
    j->slot[e] = s;
    if (!s)
        return NULL;
    s->source = guard_source(&o->source);
    s->who_n = (uint8_t)MIN((size_t)o->who_n, sizeof s->who);
    memcpy(s->who, o->who, s->who_n);
    slot_add(j->g, s, 0, j->tick);
    return s;
}

/* -- thresholds -- */

static uint32_t window_of(const struct judging *j, const struct guard_row *r)
{
    uint32_t s = r->second ? 0 : j->g->cfg.policy->detectors[r->detector].window_s;
    return MAX(ticks_of(s ? s : r->window_s), 1u);
}

static const struct guard_row *row_of(enum detector d)
{
    const struct guard_row *r = guard_rows;
    while (r->detector != d)
        r++;
    return r;
}

/* What the policy says of a detector is said of its first row; the second keeps its distance. */
static uint32_t told_threshold(const struct judging *j, const struct guard_row *r)
{
    uint64_t t = j->g->cfg.policy->detectors[r->detector].threshold;
    if (!t)
        return r->threshold;
    const struct guard_row *first = row_of((enum detector)r->detector);
    return (uint32_t)MIN(MAX(t * r->threshold / first->threshold, UINT64_C(1)), UINT64_C(1000000));
}

/* 0: not judged. */
static uint32_t threshold_of(struct judging *j, const struct guard_row *r, struct slot *s)
{
    uint32_t t = told_threshold(j, r);
    if (r->entity == ENTITY_ALL)
        return j->known ? 0 : (t + j->g->cfg.engines - 1u) / j->g->cfg.engines;
    if (r->entity == ENTITY_DEVICE)
        return s->proof == PROOF_USER ? t * r->known : t;
    if (r->entity != ENTITY_SOURCE || (!j->known && s->proof != PROOF_USER))
        return t;
    if (s->proof == PROOF_USER)
        return t * MIN(r->known, USER_FACTOR);
    if (r->detector != DET_guess_many)
        return t * r->known;
    /* An office: many more users must fail than are registered there. */
    uint32_t users = MAX(set_count(slot_set(s, SET_USERS)), USERS_ASSUMED);
    t = t + 4 + 2 * users;
    return t > SET_FULL ? 0 : t;
}

static uint32_t weight_of(const struct judging *j, const struct guard_row *r)
{
    uint32_t w = j->g->cfg.policy->detectors[r->detector].weight;
    return w ? w : r->weight;
}

/* -- measures -- */

/* In sixteenths. */
static uint64_t amount(const struct guard_row *r, const struct obs *o)
{
    if (r->measure == M_HOSTILE)
        return (uint64_t)o->n * reason_info((enum reason)o->reason)->hostile * GAUGE_ONE;
    bool first = !(o->flags & OBS_MISSING) &&
                 (o->reason == REASON_auth_required || o->reason == REASON_auth_stale ||
                  o->reason == REASON_auth_nonce_forged);
    /* A phone's own name, and a PBX that proves itself anew for each call, are no sweep. */
    if (r->measure == M_SWEEP && first && (o->method == SIP_REGISTER || o->method == SIP_INVITE))
        return o->n;
    if (r->measure == M_SWEEP && first && o->method != SIP_OPTIONS)
        return (uint64_t)o->n * 4;
    return (uint64_t)o->n * GAUGE_ONE;
}

static void count(struct judging *j, const struct guard_row *r, struct slot *s, uint32_t threshold)
{
    uint64_t bit = UINT64_C(1) << (r - guard_rows);
    uint32_t window = window_of(j, r), t16 = threshold * GAUGE_ONE;
    struct gauge *g = slot_gauge(guard_table(j->g, (enum entity)r->entity), s, r->index);
    if (gauge_add(g, 0, t16, window, j->tick) < t16 / 2)
        s->firing &= ~bit;
    uint32_t v = gauge_add(g, amount(r, j->o), t16, window, j->tick);
    if (v < t16)
        return;
    /* The next firing takes a quarter more; a burst is one firing. */
    g->v = MIN(v, t16) - MAX(t16 / 4, 1u);
    bool first = !(s->firing & bit);
    uint32_t w = weight_of(j, r);
    s->firing |= bit;
    judge_fire(j, s,
               &(struct firing){.row = r,
                                .entity = (enum entity)r->entity,
                                .level = v / GAUGE_ONE,
                                .first = first,
                                .points = first ? w : (w + 1) / 2});
}

static uint64_t item(const struct judging *j, const struct guard_row *r)
{
    const struct obs *o = j->o;
    switch (r->measure) {
    case M_NAMES:
        return mix64(o->aor ^ mix64(o->number));
    case M_TARGETS:
        return mix64(o->aor ^ mix64(o->number ^ mix64(o->agent ^ o->method)));
    case M_AORS:
        return o->aor ? mix64(o->aor) : 0;
    case M_NUMBERS:
        return o->number ? mix64(o->number) : 0;
    case M_CALLERS:
        return mix64(o->aor ? o->aor : j->source_hash);
    default:
        return mix64(j->source_hash);
    }
}

/* Ratios that turn a count into a crime. */
static bool holds(struct judging *j, const struct guard_row *r, struct slot *s)
{
    if (r->entity != ENTITY_AOR)
        return true;
    const struct aor_extra *x = slot_extra(&j->g->aors, s);
    return r->detector == DET_wangiri ? x->talks * 2u < x->calls : x->talks * 5u < x->calls;
}

static void distinct(struct judging *j, const struct guard_row *r, struct slot *s,
                     uint32_t threshold)
{
    uint64_t bit = UINT64_C(1) << (r - guard_rows);
    struct set *set = slot_set(s, r->index);
    uint64_t it = item(j, r);
    if (!it)
        return;
    uint32_t n = set_add(set, it, window_of(j, r), j->tick);
    if (n < threshold / 2) {
        s->firing &= ~bit;
        set->fired = 0;
    }
    uint32_t step = set->fired ? set->fired + MAX(threshold / 4, 1u) : threshold;
    if (n < step || !holds(j, r, s))
        return;
    bool first = !(s->firing & bit);
    uint32_t w = weight_of(j, r);
    s->firing |= bit;
    set->fired = (uint16_t)n;
    judge_fire(j, s,
               &(struct firing){.row = r,
                                .entity = (enum entity)r->entity,
                                .level = n,
                                .first = first,
                                .points = first ? w : (w + 1) / 2});
}

/* Its source has proved that it is real, before this engine: that is why mute is judged where it
 * arrives. */
static bool answered(const struct judging *j)
{
    return table_get(&j->g->sources, person_key(j->source_hash, PROOF_PROVEN, 0)) != NULL;
}

/* Challenged again and again without ever answering: no phone does that for long. */
static bool mute(struct judging *j)
{
    struct slot *s = judge_slot(j, ENTITY_SOURCE);
    return s &&
           gauge_add(slot_gauge(&j->g->sources, s, GAUGE_MUTE), (uint64_t)j->o->n * GAUGE_ONE,
                     MUTE_TIMES * GAUGE_ONE, ticks_of(MUTE_S), j->tick) >= MUTE_TIMES * GAUGE_ONE;
}

/* Many together: while it fires, each further one of a stranger is a verdict on him. */
static void wide(struct judging *j, const struct guard_row *r)
{
    uint32_t threshold = threshold_of(j, r, NULL), window = window_of(j, r);
    if (!threshold || (r->measure == M_MUTE && !mute(j)))
        return;
    uint32_t n = bigset_add(&j->g->big[r->index], item(j, r), window, j->tick);
    bool was = (int32_t)(j->g->big_until[r->index] - j->tick) > 0;
    if (n < (was ? (threshold + 1) / 2 : threshold))
        return;
    struct slot *s = judge_slot(j, ENTITY_SOURCE);
    j->g->big_until[r->index] = j->tick + window;
    struct firing f = {.row = r, .entity = ENTITY_ALL, .level = n, .first = !was};
    if (!was)
        judge_fire(j, NULL, &f);
    if (!s)
        return;
    uint64_t bit = UINT64_C(1) << (r - guard_rows);
    f.entity = ENTITY_SOURCE;
    f.first = !(s->firing & bit);
    f.points = weight_of(j, r);
    s->firing |= bit;
    judge_fire(j, s, &f);
}

static void each(struct judging *j, const struct guard_row *r, struct slot *s)
{
    uint64_t bit = UINT64_C(1) << (r - guard_rows);
    uint32_t w = weight_of(j, r);
    if (r->detector == DET_rule || r->detector == DET_feed)
        w = j->o->weight;
    if (r->measure == M_ONCE) {
        struct gauge *g = slot_gauge(&j->g->sources, s, r->index);
        if (g->v && j->tick - g->at < window_of(j, r))
            return;
        *g = (struct gauge){j->tick, 1};
    }
    bool first = !(s->firing & bit) || r->detector == DET_feed;
    s->firing |= bit;
    judge_fire(j, s,
               &(struct firing){.row = r,
                                .entity = ENTITY_SOURCE,
                                .level = j->o->value,
                                .first = first && r->detector != DET_rule,
                                .points = w});
}

/* -- detectors of their own -- */

static uint32_t hitter_tag(const struct judging *j)
{
    uint64_t key =
        person_key(j->source_hash, j->o->flags & OBS_PROVEN ? PROOF_PROVEN : PROOF_CLAIMED, 0);
    return (uint32_t)(key >> 17) | 1;
}

/* The entry of this source; NULL, and all others a little less, if there is none free. */
static struct hitter *hitter_of(struct judging *j, struct aor_extra *x, uint32_t t16,
                                uint32_t window)
{
    uint32_t tag = hitter_tag(j);
    struct hitter *room = NULL;
    for (unsigned i = 0; i < HITTERS; i++) {
        struct hitter *h = &x->hitters[i];
        if (h->tag == tag)
            return h;
        bool standing = (int32_t)(h->until - j->tick) > 0;
        if (!h->tag || (!gauge_add(&h->g, 0, t16, window, j->tick) && !standing))
            room = h;
    }
    if (room) {
        *room =
            (struct hitter){.tag = tag, .g = {j->tick, 0}, .until = j->tick, .excused = j->tick};
        return room;
    }
    for (unsigned i = 0; i < HITTERS; i++)
        x->hitters[i].g.v -= MIN(x->hitters[i].g.v, GAUGE_ONE);
    return NULL;
}

/* Wrong passwords for one user. The source that tries is kept from this user alone; only when many
 * sources try is the user locked, as that hurts him as well. */
static void guess_user(struct judging *j, const struct guard_row *r, struct slot *s)
{
    struct aor_extra *x = slot_extra(&j->g->aors, s);
    uint32_t t = threshold_of(j, r, s), t16 = t * GAUGE_ONE, window = window_of(j, r);
    struct hitter *h = hitter_of(j, x, t16, window);
    struct firing f = {.row = r, .entity = ENTITY_AOR, .first = true};
    if (h && (int32_t)(h->until - j->tick) > 0)
        return;
    bool spread = j->o->flags & OBS_PROVEN && !j->known &&
                  !j->g->cfg.policy->detectors[DET_guess_wide].off &&
                  set_add(slot_set(s, SET_GUESSERS), mix64(j->source_hash), ticks_of(SPREAD_S),
                          j->tick) >= MAX(SPREAD_SOURCES, t);
    bool enough = h && gauge_add(&h->g, (uint64_t)j->o->n * GAUGE_ONE, t16, window, j->tick) >= t16;
    if (enough || spread) {
        f.level = spread ? set_count(slot_set(s, SET_GUESSERS)) : h->g.v / GAUGE_ONE;
        f.row = spread && !enough ? row_of(DET_guess_wide) : r;
        f.scope = BAN_PAIR;
        f.treat = r->treat;
        f.forgeable = !(j->o->flags & OBS_PROVEN);
        if (h)
            h->g = (struct gauge){j->tick, 0};
        if (h)
            h->until = j->tick + ticks_of(ban_seconds(j->g->cfg.policy, 1, f.forgeable));
        judge_fire(j, s, &f);
    }
    if (!(j->o->flags & OBS_PROVEN))
        return;
    uint32_t lock = MIN(t, 100000u) * LOCK_FACTOR * GAUGE_ONE;
    struct gauge *all = slot_gauge(&j->g->aors, s, r->index);
    if (gauge_add(all, (uint64_t)j->o->n * GAUGE_ONE, lock, window * 2, j->tick) < lock)
        return;
    f = (struct firing){.row = r,
                        .entity = ENTITY_AOR,
                        .level = all->v / GAUGE_ONE,
                        .first = true,
                        .treat = TREAT_LOCK};
    all->v = 0;
    judge_fire(j, s, &f);
}

static void hijack(struct judging *j, const struct guard_row *r, struct slot *s)
{
    struct aor_extra *x = slot_extra(&j->g->aors, s);
    const struct obs *o = j->o;
    uint64_t device = o->device ? o->device : o->agent, bit = UINT64_C(1) << (mix64(device) & 63);
    bool new_device = device && x->devices && !(x->devices & bit);
    unsigned at = 0;
    while (at < COUNTRIES - 1 && x->countries[at] != o->country)
        at++;
    bool new_country = o->country && x->countries[0] && x->countries[at] != o->country;
    if (device)
        x->devices |= bit;
    if (o->country) {
        memmove(x->countries + 1, x->countries, at * sizeof x->countries[0]);
        x->countries[0] = o->country;
    }
    if (!new_device || !new_country)
        return;
    judge_fire(j, s,
               &(struct firing){.row = r,
                                .entity = ENTITY_AOR,
                                .level = 1,
                                .first = true,
                                .points = weight_of(j, r),
                                .treat = r->treat});
}

/* -- what is remembered without being judged -- */

/* A password that was right takes back what was wrong before it; but seldom, as a phone's refreshes
 * do not excuse who guesses beside it. */
static void registered(struct judging *j)
{
    const struct obs *o = j->o;
    struct slot *s;
    if (j->mine[ENTITY_SOURCE] && o->aor && (s = judge_slot(j, ENTITY_SOURCE)))
        (void)set_add(slot_set(s, SET_USERS), mix64(o->aor), ticks_of(7200), j->tick);
    if (j->mine[ENTITY_DEVICE] && device_own(o->device))
        (void)judge_slot(j, ENTITY_DEVICE); /* a user's from now on */
    if (!j->mine[ENTITY_AOR] || !o->aor ||
        !(s = table_get(&j->g->aors, person_key(o->aor, PROOF_CLAIMED, 0))))
        return;
    struct aor_extra *x = slot_extra(&j->g->aors, s);
    for (unsigned i = 0; i < HITTERS; i++) {
        struct hitter *h = &x->hitters[i];
        if (h->tag != hitter_tag(j) || !h->g.v || (int32_t)(h->excused - j->tick) > 0)
            continue;
        h->g.v = 0;
        h->excused = j->tick + ticks_of(EXCUSE_S);
    }
}

static void called(struct judging *j)
{
    struct slot *s;
    if (!j->mine[ENTITY_AOR] || !j->o->aor || !(s = judge_slot(j, ENTITY_AOR)))
        return;
    struct aor_extra *x = slot_extra(&j->g->aors, s);
    for (unsigned i = 0; i < 16 && j->tick - x->halved_at >= ticks_of(3600); i++) {
        bool far = j->tick - x->halved_at >= ticks_of(16 * 3600);
        x->halved_at = far ? j->tick : x->halved_at + ticks_of(3600);
        x->calls = far ? 0 : x->calls / 2;
        x->talks = far ? 0 : x->talks / 2;
    }
    x->calls = (uint16_t)MIN(x->calls + 1u, 60000u);
    if (j->o->flags & OBS_ANSWERED && j->o->seconds >= TALK_S)
        x->talks = (uint16_t)MIN(x->talks + 1u, 60000u);
}

/* -- all of it -- */

static bool fits(const struct guard_row *r, const struct obs *o)
{
    if (r->methods && !(r->methods >> o->method & 1))
        return false;
    if ((o->flags & r->need) != r->need || o->flags & r->none)
        return false;
    if ((r->entity == ENTITY_AOR && !o->aor) || (r->entity == ENTITY_NUMBER && !o->number) ||
        (r->entity == ENTITY_DEVICE && !o->device) ||
        ((r->entity == ENTITY_SOURCE || r->entity == ENTITY_ALL) && !o->source.family))
        return false;
    return !r->fits || r->fits(o);
}

static void send_to(struct judging *j, enum entity e)
{
    const struct obs *o = j->o;
    uint64_t hash = e == ENTITY_AOR      ? o->aor
                    : e == ENTITY_DEVICE ? o->device
                    : e == ENTITY_NUMBER ? o->number
                                         : j->source_hash;
    uint8_t engine = guard_owner(j->g, hash);
    if (j->forwarded || j->mine[e])
        return;
    for (unsigned i = 0; i < j->out->n_to; i++)
        if (j->out->to[i] == engine)
            return;
    j->out->to[j->out->n_to++] = engine;
}

/* Whether it says anything of whom the row judges. A device that is not known by itself is all
 * phones of its model at a registered address. What was refused as a device's or user's is that
 * one's, and not held against those who share its address. */
static bool means(const struct judging *j, const struct guard_row *r)
{
    if (!j->known)
        return true;
    if (r->entity == ENTITY_DEVICE)
        return device_own(j->o->device);
    return r->entity != ENTITY_SOURCE || r->local || j->o->reason != REASON_shield_party;
}

static void row(struct judging *j, const struct guard_row *r)
{
    if (r->entity == ENTITY_ALL) {
        wide(j, r);
        return;
    }
    if (!r->known && j->known)
        return;
    struct slot *s = judge_slot(j, (enum entity)r->entity);
    uint32_t threshold = s ? threshold_of(j, r, s) : 0;
    if (!threshold)
        return;
    switch ((enum measure)r->measure) {
    case M_COUNT:
    case M_SWEEP:
    case M_HOSTILE:
        count(j, r, s, threshold);
        return;
    case M_NAMES:
    case M_TARGETS:
    case M_AORS:
    case M_NUMBERS:
    case M_CALLERS:
    case M_SOURCES:
    case M_MUTE:
        distinct(j, r, s, threshold);
        return;
    case M_EACH:
    case M_ONCE:
        each(j, r, s);
        return;
    case M_OWN:
        if (r->detector == DET_hijack)
            hijack(j, r, s);
        else
            guess_user(j, r, s);
        return;
    }
}

void judge_rows(struct judging *j)
{
    const struct obs *o = j->o;
    if (o->kind == OBS_REGISTERED) {
        send_to(j, ENTITY_SOURCE);
        if (o->aor)
            send_to(j, ENTITY_AOR);
        if (device_own(o->device))
            send_to(j, ENTITY_DEVICE);
        registered(j);
    }
    if (o->kind == OBS_CALL)
        called(j);
    for (unsigned i = 0; i < j->g->by_kind_n[o->kind]; i++) {
        const struct guard_row *r = &guard_rows[j->g->by_kind[o->kind][i]];
        if (j->g->cfg.policy->detectors[r->detector].off || !fits(r, o) || !means(j, r) ||
            (r->measure == M_MUTE && answered(j)))
            continue;
        if (r->local ? !j->forwarded : j->mine[r->entity])
            row(j, r);
        else if (!r->local)
            send_to(j, (enum entity)r->entity);
    }
}
