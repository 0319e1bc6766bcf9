/* The signs: each a question of constant cost to the row of an identity. A sign scores at steps (at
 * once, at the double, at four times), not at every call, so that many calls of one cause count as
 * one cause. What is odd is learned only when people have really talked. */
#include "guard/fraud_int.h"

#define YOUNG_DAYS   10u /* days with calls until hours are known */
#define TALK_S       20u /* from then on it was a conversation */
#define SHORT_S      10u
#define COLD_US      (7 * DAY_US)
#define NEW_DAYS     30u /* a country is new to somebody for so long */
#define NEW_STEP_S   2400u
#define AGAIN_S      300u /* long talks, on one more day, where at most so many here ever talked */
#define AGAIN_KNOWN  4u
#define MINUTE_US    (HOUR_US / 60)
#define OPEN_MINUTES 480u

struct at {
    struct fraud *f;
    struct row *r;
    const struct fraud_event *e;
    int64_t now, began;
    uint32_t hour, day, prefix;
    uint32_t known; /* identities that have talked to that country */
    struct str number;
    bool dear;
    struct fraud_points *x;
};

static void add(struct at *a, enum fraud_sign s, uint32_t percent)
{
    const struct fraud_policy *p = &a->f->p;
    bool cold = a->now - a->began < COLD_US &&
                (s == SIGN_DESTINATION || s == SIGN_FAN_OUT || s == SIGN_SPEND || s == SIGN_LEVEL);
    percent = cold ? percent * 3 / 5 : percent; /* everything is new to us */
    if (p->off_signs >> s & 1 || !percent)
        return;
    uint32_t w = p->weight[s] ? p->weight[s] : fraud_weight_default(s);
    a->x->heat += w * percent * 16 / 100;
    a->x->signs = (uint16_t)(a->x->signs | 1u << s);
}

/* For this call only. */
static void add_once(struct at *a, enum fraud_sign s, uint32_t percent)
{
    uint32_t heat = a->x->heat;
    add(a, s, percent);
    a->x->once += (a->x->heat - heat) / 16;
    a->x->heat = heat;
}

static void roll(struct usual *u, uint32_t span)
{
    if (u->span == span)
        return;
    if (u->now) {
        uint32_t v = MIN(u->now, UINT32_MAX / 32) * 16;
        u->mean = v > u->mean ? u->mean + (v - u->mean) / 8 : u->mean - (u->mean - v) / 8;
        u->peak = MAX(v, u->peak - u->peak / 64);
    }
    u->span = span;
    u->now = 0;
}

/* Counts n and scores when it is far more than usual; told: steps told in this span. */
static void level(struct at *a, struct usual *u, uint32_t *told, uint32_t span, uint32_t n,
                  uint32_t floor, enum fraud_sign s)
{
    if (u->span != span)
        *told = 0;
    roll(u, span);
    u->now = MIN(u->now + n, UINT32_MAX / 64);
    uint64_t limit = MAX((uint64_t)floor + u->mean / 8, (uint64_t)u->peak / 11 + floor / 2);
    if (*told < 6 && u->now >= limit << *told) {
        add(a, s, 100);
        ++*told;
    }
}

static bool number_new(struct at *a)
{
    uint64_t h = siphash(&a->f->k, a->number);
    uint64_t bit = UINT64_C(1) << (h & 63), *w = &a->r->numbers[h >> 6 & 3];
    bool fresh = !(*w & bit);
    *w |= bit;
    return fresh;
}

/* Share of bits set, in percent of what so many different numbers would set. */
static uint32_t distinct(const struct row *r)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < 4; i++)
        n += (uint32_t)__builtin_popcountll(r->numbers[i]);
    return n;
}

static struct country_seen *country_of(struct row *r, uint16_t country)
{
    for (unsigned i = 0; i < COUNTRIES && country; i++)
        if (r->countries[i].country == country)
            return &r->countries[i];
    return NULL;
}

static bool prefix_known(const struct row *r, uint32_t prefix)
{
    for (unsigned i = 0; i < PREFIXES; i++)
        if (r->prefixes[i] == prefix)
            return true;
    return false;
}

static void put32(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED); /* others add it up */
}

/* The own shard's part. */
static struct of_prefix *system_prefix(struct at *a)
{
    struct of_prefix *s = &fraud_own(a->f)->all.prefix[a->prefix % SYSTEM_SLOTS];
    if (s->prefix != a->prefix || s->day != a->day) {
        if (s->prefix != a->prefix && s->day == a->day && s->seconds > 1200)
            return NULL;      /* one that matters today keeps its place */
        put32(&s->prefix, 0); /* nobody adds up what is half written */
        put32(&s->seconds, 0);
        put32(&s->baits, 0);
        put32(&s->day, a->day);
        __atomic_store_n(&s->prefix, a->prefix, __ATOMIC_RELEASE);
    }
    return s;
}

/* --- a call is asked for --- */

static void hour(struct at *a)
{
    struct row *r = a->r;
    uint32_t slot = a->hour / 2 % SLOTS;
    uint8_t *s = r->slot, near = MAX(s[(slot + 1) % SLOTS], s[(slot + SLOTS - 1) % SLOTS]);
    bool odd = r->days < YOUNG_DAYS ? a->e->off_hours : s[slot] < 2 && near < 2;
    uint32_t days = 0; /* at that time on any day of the week */
    for (unsigned i = 0; i < 7; i++)
        days += s[i * 12 + slot % 12];
    if (odd && r->odd_day != a->day) {
        r->odd_day = a->day;
        add(a, SIGN_HOUR, (a->dear ? 100u : 30u) / (days > 3 ? 3 : 1));
    }
    if (r->slot_day[slot] != (uint16_t)a->day && s[slot] < UINT8_MAX) {
        r->slot_day[slot] = (uint16_t)a->day;
        s[slot]++;
    }
    if (r->day != a->day) {
        r->day = a->day;
        r->days++;
    }
}

static void range(struct at *a)
{
    uint32_t w = fraud_range_weight(a->f, a->number);
    const struct country_seen *c = country_of(a->r, a->e->country);
    bool habit = prefix_known(a->r, a->prefix) && (!c || a->day - c->day > 14);
    if (!w && (a->e->kind == CLASS_PREMIUM || a->e->kind == CLASS_SATELLITE ||
               a->e->kind == CLASS_UNKNOWN))
        w = 80;
    if (a->known >= 4)
        w /= 2; /* the house does business there */
    add(a, SIGN_RANGE, habit ? w / 6 : w);
}

static void destination(struct at *a)
{
    struct row *r = a->r;
    bool known = a->e->country && country_of(r, a->e->country);
    if (r->new_day != a->day) {
        r->new_day = a->day;
        r->new_n = 0;
    }
    if (r->last_new == a->prefix) /* the same once more */
        return;
    if (!known && a->e->country) {
        r->last_new = a->prefix;
        r->new_n++;
        uint32_t share = a->known == 0 ? 100 : a->known < 3 ? 60 : a->known < 10 ? 30 : 15;
        if (a->e->source_country == a->e->country)
            share /= 2; /* of a traveller, to where they are */
        add(a, SIGN_DESTINATION, share);
    } else if (!prefix_known(r, a->prefix)) {
        r->last_new = a->prefix;
        add(a, SIGN_DESTINATION, a->known >= 2 ? 0 : 20);
    }
}

static void fan_out(struct at *a)
{
    struct row *r = a->r;
    if (r->fan_hour != a->hour) {
        r->fan_n = a->hour - r->fan_hour == 1 ? r->fan_n / 2 : 0;
        r->fan_told = 0;
        r->fan_hour = a->hour;
    }
    if (!prefix_known(r, a->prefix) && r->last_new == a->prefix)
        r->fan_n += a->known >= 4 ? 1 : 3;
    uint32_t usual = 9 + r->dear.peak / 10;
    if (r->fan_told < 5 && r->fan_n >= usual << r->fan_told) {
        r->fan_told++;
        add(a, SIGN_FAN_OUT, 100);
    }
}

static void call_back(struct at *a)
{
    const struct of_prefix s = fraud_prefix(a->f, a->prefix);
    bool mine = false, all = a->day - s.day <= 2 && s.baits >= 3;
    for (unsigned i = 0; i < BAITS; i++)
        mine |= a->r->bait[i] == a->prefix && a->now - a->r->bait_us[i] < 7 * DAY_US;
    if (!mine && !all)
        return;
    if (prefix_known(a->r, a->prefix))
        return;
    uint32_t w = fraud_range_weight(a->f, a->number);
    bool strange = a->e->country ? !country_of(a->r, a->e->country) && a->known < 2 : true;
    if (w || all)
        add_once(a, SIGN_CALL_BACK, 100);
    else if (strange)
        add_once(a, SIGN_CALL_BACK, 40);
}

static void sim_box(struct at *a)
{
    struct row *r = a->r;
    bool mobile = a->e->kind == CLASS_MOBILE || a->e->kind == CLASS_INTERNATIONAL;
    if (r->mobile.span != a->hour)
        memset(r->numbers, 0, sizeof r->numbers);
    bool fresh = number_new(a);
    if (!mobile || !fresh)
        return;
    uint32_t told = r->mobile_told;
    struct fraud_points was = *a->x;
    level(a, &r->mobile, &r->mobile_told, a->hour, 1, 12, SIGN_SIM_BOX);
    level(a, &r->mobile_d, &r->mobile_day_told, a->day, 1, 60, SIGN_SIM_BOX);
    /* many different numbers, hardly any twice */
    if (r->mobile_told > told && distinct(r) * 10 < r->calls.now * 7 && r->calls.now < 200)
        *a->x = was;
}

static void forwarded(struct at *a)
{
    struct row *r = a->r;
    if (!r->forward || r->forward != a->prefix || a->now - r->forward_us > 2 * DAY_US)
        return;
    if (++r->forward_n == 3 || r->forward_n == 6 || r->forward_n == 12)
        add(a, SIGN_FORWARD, 100);
}

/* Calls whose end nobody tells (their engine died) are over some time. */
static void concurrent(struct at *a)
{
    struct row *r = a->r;
    if ((uint32_t)(a->now / MINUTE_US) - r->open_min > OPEN_MINUTES)
        r->open = r->open_dear = 0;
    if (r->open_dear >= 3 && a->dear && (r->open_dear & (r->open_dear - 1)) == 0)
        add(a, SIGN_PUMPING, 50);
}

static void place(struct at *a)
{
    struct row *r = a->r;
    uint16_t c = a->e->source_country;
    unsigned at = 0;
    if (!c)
        return;
    for (unsigned i = 0; i < PLACES; i++) {
        if (r->place[i] == c) {
            at = i;
            break;
        }
        if (r->place_day[i] < r->place_day[at])
            at = i;
    }
    bool fresh = r->place[at] != c || r->place_days[at] < 2;
    bool soon = r->at_place && r->at_place != c && a->now - r->place_us < 2 * HOUR_US;
    if (fresh && soon && r->two_told != c) {
        r->two_told = c;
        add(a, SIGN_TWO_PLACES, 100);
    } else if (fresh && r->at_place && r->at_place != c && r->two_told != c) {
        r->two_told = c;
        add(a, SIGN_TWO_PLACES, 20);
    }
    if (r->place[at] != c) {
        r->place[at] = c;
        r->place_days[at] = 0;
        r->place_day[at] = 0;
    }
    if (r->place_day[at] != (uint16_t)a->day) {
        r->place_day[at] = (uint16_t)a->day;
        r->place_days[at] = (uint8_t)MIN(r->place_days[at] + 1, 250);
    }
    r->at_place = c;
    r->place_us = a->now;
}

static void attempt(struct at *a)
{
    struct row *r = a->r;
    place(a);
    hour(a);
    sim_box(a);
    level(a, &r->calls, &r->level_told, a->hour, 1, 14, SIGN_LEVEL);
    if (!a->dear)
        return;
    level(a, &r->dear, &r->dear_told, a->hour, 1, 5, SIGN_LEVEL);
    call_back(a);
    if (!(a->x->signs >> SIGN_CALL_BACK & 1)) {
        range(a);
        destination(a);
        fan_out(a);
    } else if (fraud_range_weight(a->f, a->number)) {
        add_once(a, SIGN_RANGE, 100);
    }
    forwarded(a);
    concurrent(a);
}

/* --- what became of it --- */

static void learn(struct at *a)
{
    struct row *r = a->r;
    uint16_t day = (uint16_t)a->day;
    uint32_t at = fraud_country_at(a->e->country);
    struct country_seen *c = country_of(r, a->e->country);
    if (!c && a->e->country) {
        c = &r->countries[0];
        for (unsigned i = 1; i < COUNTRIES; i++)
            if (r->countries[i].last < c->last)
                c = &r->countries[i];
        *c = (struct country_seen){.country = a->e->country, .day = day};
        uint16_t *known = at == UINT32_MAX ? NULL : &fraud_own(a->f)->all.known[at];
        if (known && *known < UINT16_MAX) {
            __atomic_store_n(known, (uint16_t)(*known + 1), __ATOMIC_RELAXED);
            a->known++;
        }
    }
    if (c) {
        if (c->last && c->last != day && a->day - c->day < NEW_DAYS && a->e->seconds > AGAIN_S &&
            a->known <= AGAIN_KNOWN)
            add(a, SIGN_PUMPING, 40);
        c->last = day;
        c->seconds = MIN(c->seconds + a->e->seconds, UINT32_MAX / 2);
        /* much talk to where hardly anybody here called before */
        uint32_t share = at == UINT32_MAX ? 0 : a->known <= 5 ? 100 : a->known <= 8 ? 60 : 0;
        if (a->day - c->day < NEW_DAYS && c->told < 40 &&
            c->seconds >= NEW_STEP_S * (c->told + 1u)) {
            c->told = (uint16_t)(c->seconds / NEW_STEP_S);
            add(a, SIGN_PUMPING, share);
        }
    }
    if (!prefix_known(r, a->prefix)) {
        r->prefixes[r->next_prefix] = a->prefix;
        r->next_prefix = (uint8_t)((r->next_prefix + 1) % PREFIXES);
    }
}

static void pumping(struct at *a)
{
    struct row *r = a->r;
    struct hot *h = &r->hot[0];
    uint16_t day = (uint16_t)a->day;
    for (unsigned i = 0; i < RANGES_HOT; i++) {
        struct hot *v = &r->hot[i];
        if (v->prefix == a->prefix && v->day == day) {
            h = v;
            break;
        }
        if (v->day != day || (h->day == day && v->seconds < h->seconds))
            h = v;
    }
    if (h->prefix != a->prefix || h->day != day)
        *h = (struct hot){.prefix = a->prefix, .day = day};
    h->seconds = MIN(h->seconds + a->e->seconds, UINT32_MAX / 2);
    struct of_prefix *s = system_prefix(a);
    uint32_t before = 0, after = 0;
    if (s) {
        before = fraud_prefix(a->f, a->prefix).seconds;
        put32(&s->seconds, MIN(s->seconds + a->e->seconds, UINT32_MAX / 64));
        after = fraud_prefix(a->f, a->prefix).seconds;
    }
    const struct country_seen *c = country_of(r, a->e->country);
    uint32_t step = c && a->day - c->day > 14 ? 4 * 3600 : 5400;
    if (h->told < 5 && h->seconds >= (step << h->told)) {
        h->told++;
        add(a, SIGN_PUMPING, 100);
    } else if (before / 36000 != after / 36000 && before) {
        add(a, SIGN_PUMPING, 60); /* ten hours by all together */
    }
}

static void short_calls(struct at *a)
{
    struct row *r = a->r;
    bool is = a->e->seconds <= SHORT_S && a->e->code != 486 && a->e->code != 487;
    r->runs = is ? (uint16_t)MIN(r->runs + 1, 10000) : 0;
    if (a->dear)
        r->runs_dear = is ? (uint16_t)MIN(r->runs_dear + 1, 10000) : 0;
    if (r->runs && (r->runs == 12 || r->runs % 24 == 0))
        add(a, SIGN_SHORT_CALLS, 100);
    if (is && a->dear && (r->runs_dear == 5 || r->runs_dear % 10 == 0) && r->runs_dear)
        add(a, SIGN_SHORT_CALLS, 100);
}

/* The share of short calls of a trunk, fast against slow; it only makes others graver. */
static void trunk(struct at *a)
{
    struct of_all *all = &fraud_own(a->f)->all;
    struct trunk_row *t = &all->trunks[a->e->trunk % ARRAY_LEN(all->trunks)];
    if (!a->e->trunk)
        return;
    if (t->key != a->e->trunk)
        *t = (struct trunk_row){.key = a->e->trunk};
    uint32_t v = a->e->seconds <= SHORT_S ? 65535 : 0;
    t->fast = t->fast - t->fast / 32 + v / 32;
    t->slow = t->slow - t->slow / 1024 + v / 1024;
    t->n = MIN(t->n + 1, 1000000);
    if (t->n > 2000 && t->fast > 2 * t->slow + 16384 && a->x->signs)
        add(a, SIGN_SIM_BOX, 30);
}

/* Money of the hour and of the day; a long talk to where one always calls says less. */
static void spend(struct at *a, uint32_t milli)
{
    struct row *r = a->r;
    struct fraud_points was = *a->x;
    const struct country_seen *c = country_of(r, a->e->country);
    bool usual = c && a->day - c->day > 14;
    level(a, &r->spend_h, &r->spend_told, a->hour, milli, 20000, SIGN_SPEND);
    level(a, &r->spend_d, &r->spend_day_told, a->day, milli, 40000, SIGN_SPEND);
    if (a->x->heat == was.heat)
        return;
    *a->x = was;
    add(a, SIGN_SPEND, usual ? 50 : 100);
}

static void ended(struct at *a)
{
    struct row *r = a->r;
    bool talked = a->e->seconds > 0;
    int64_t cost = MAX(a->e->micro, 0) / (MONEY_UNIT / 1000);
    uint32_t milli = (uint32_t)MIN(cost, 1000000000);
    if (talked && r->open)
        r->open--;
    if (talked && a->dear && r->open_dear)
        r->open_dear--;
    short_calls(a);
    trunk(a);
    if (milli)
        spend(a, milli);
    if (!a->dear || a->e->seconds < TALK_S)
        return;
    pumping(a);
    learn(a);
}

static void inbound(struct at *a)
{
    struct row *r = a->r;
    uint32_t w = fraud_range_weight(a->f, a->number);
    const struct country_seen *c = country_of(r, a->e->country);
    if (!a->dear || (c && !w) || prefix_known(r, a->prefix))
        return;
    struct of_prefix *s = system_prefix(a);
    bool again = r->bait[(r->next_bait + BAITS - 1) % BAITS] == a->prefix;
    if (s && !again)
        put32(&s->baits, MIN(s->baits + 1, UINT32_MAX / 64));
    if (!again) {
        r->bait[r->next_bait] = a->prefix;
        r->bait_us[r->next_bait] = a->now;
        r->next_bait = (uint8_t)((r->next_bait + 1) % BAITS);
    }
}

static void forward_set(struct at *a)
{
    struct row *r = a->r;
    if (!a->dear || prefix_known(r, a->prefix) || r->forward == a->prefix)
        return;
    r->forward = a->prefix;
    r->forward_us = a->now;
    r->forward_n = 0;
    add(a, SIGN_FORWARD, fraud_range_weight(a->f, a->number) ? 80 : 25);
}

void fraud_signs(struct fraud *f, struct row *r, const struct fraud_event *e, int64_t now,
                 struct fraud_points *ret_x)
{
    size_t n = 0;
    while (n < sizeof e->number && e->number[n])
        n++;
    struct at a = {.f = f,
                   .r = r,
                   .e = e,
                   .now = now,
                   .began = fraud_began(f),
                   .known = fraud_known(f, e->country),
                   .hour = (uint32_t)(now / HOUR_US),
                   .day = (uint32_t)(now / DAY_US),
                   .number = str_of(e->number, n),
                   .x = ret_x};
    for (size_t i = 0, took = 0; i < n && took < 6; i++)
        if (ascii_digit(e->number[i])) {
            a.prefix = a.prefix * 10 + (uint32_t)(e->number[i] - '0');
            took++;
        }
    a.dear = e->kind == CLASS_INTERNATIONAL || e->kind == CLASS_PREMIUM ||
             e->kind == CLASS_SATELLITE || e->kind == CLASS_UNKNOWN;
    switch ((enum fraud_what)e->what) {
    case FRAUD_ATTEMPT:
        attempt(&a);
        break;
    case FRAUD_ANSWERED:
        r->open_min = (uint32_t)(now / MINUTE_US);
        r->open = (uint8_t)MIN(r->open + 1, 250);
        r->open_dear = (uint8_t)MIN(r->open_dear + a.dear, 250);
        break;
    case FRAUD_ENDED:
        ended(&a);
        break;
    case FRAUD_REGISTERED:
        place(&a);
        break;
    case FRAUD_FORWARDED:
        forward_set(&a);
        break;
    case FRAUD_INBOUND:
        inbound(&a);
        break;
    }
}
