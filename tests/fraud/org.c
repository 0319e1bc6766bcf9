#include "tests/fraud/org.h"
#include <math.h>
#include <stdio.h>

#define DAY_US  INT64_C(86400000000)
#define HOUR_US INT64_C(3600000000)

static const uint16_t HOME[3] = {CC('D', 'E'), CC('F', 'R'), CC('U', 'S')};
static const struct {
    uint16_t country;
    const char *fixed, *mobile;
    uint32_t minute_micro;
} LANDS[] = {
    {CC('D', 'E'), "4930", "49151", 40000},
    {CC('F', 'R'), "331", "336", 50000},
    {CC('U', 'S'), "1212", "1917", 30000},
    {CC('G', 'B'), "4420", "447", 60000},
    {CC('A', 'T'), "431", "43664", 90000},
    {CC('C', 'H'), "4144", "4179", 120000},
    {CC('I', 'T'), "3902", "39347", 80000},
    {CC('E', 'S'), "3491", "346", 80000},
    {CC('N', 'L'), "3120", "316", 70000},
    {CC('P', 'L'), "4822", "48501", 90000},
    {CC('S', 'E'), "468", "4670", 70000},
    {CC('C', 'Z'), "4202", "420602", 90000},
    {CC('T', 'R'), "90212", "90532", 180000},
    {CC('I', 'N'), "9122", "9198", 150000},
    {CC('C', 'N'), "8621", "86138", 120000},
    {CC('B', 'R'), "5511", "55119", 160000},
    {CC('J', 'P'), "813", "8190", 140000},
    {CC('A', 'E'), "9714", "97150", 220000},
    {CC('M', 'X'), "5255", "52155", 130000},
    {CC('Z', 'A'), "2711", "2782", 190000},
    /* from here on nobody does business */
    {CC('L', 'V'), "37167", "3712", 300000},
    {CC('A', 'L'), "3554", "35569", 600000},
    {CC('T', 'N'), "21671", "2169", 700000},
    {CC('P', 'K'), "9221", "92300", 250000},
    {CC('B', 'Y'), "37517", "37529", 600000},
    {CC('M', 'M'), "951", "959", 500000},
    {CC('S', 'L'), "23222", "23276", 900000},
    {CC('S', 'O'), "2521", "25261", 900000},
    {CC('C', 'U'), "537", "535", 1100000},
    {CC('K', 'I'), "68675", "68673", 1500000},
    {CC('G', 'M'), "2204", "2207", 800000},
    {CC('V', 'U'), "67822", "67877", 1200000},
};
#define BUSINESS 20u
#define STRANGE  6u /* of those not in the built-in list, from BUSINESS on */

uint32_t rnd_below(struct rnd *r, uint32_t n)
{
    r->s += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = r->s;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

bool rnd_share(struct rnd *r, uint32_t percent)
{
    return rnd_below(r, 100) < percent;
}

uint32_t rnd_exp(struct rnd *r, uint32_t mean)
{
    double u = ((double)rnd_below(r, 1000000) + 1) / 1000001;
    return (uint32_t)(-log(u) * mean);
}

static size_t land(uint16_t country)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(LANDS) && LANDS[i].country != country)
        i++;
    return i;
}

struct number_of_org number_in(struct rnd *r, uint16_t country, uint16_t home, bool mobile)
{
    size_t i = land(country);
    struct number_of_org n = {.country = country};
    (void)snprintf(n.e164, sizeof n.e164, "+%s%06u", mobile ? LANDS[i].mobile : LANDS[i].fixed,
                   rnd_below(r, 1000000));
    n.kind = country != home ? CLASS_INTERNATIONAL : mobile ? CLASS_MOBILE : CLASS_NATIONAL;
    n.minute_micro = country != home ? LANDS[i].minute_micro * (mobile ? 2 : 1)
                     : mobile        ? 80000
                                     : 15000;
    return n;
}

static void person(struct org *g, uint32_t i)
{
    struct person *p = &g->p[i];
    struct rnd *r = &g->r;
    uint32_t w = rnd_below(r, 100);
    p->site = (uint8_t)(i % 3);
    p->work = w < 60 ? OFFICE : w < 75 ? SALES : w < 88 ? SUPPORT : w < 95 ? NIGHT : CHIEF;
    p->hired = (uint16_t)(i < 165 ? 0 : rnd_below(r, 330)); /* growth, and new ones */
    for (unsigned k = 0; k < 3; k++)
        p->leave[k] = (uint16_t)rnd_below(r, YEAR);
    p->rate = (p->work == SUPPORT ? 250
               : p->work == SALES ? 140
               : p->work == NIGHT ? 100
                                  : 60) +
              rnd_below(r, 60);
    for (unsigned k = 0; k < ARRAY_LEN(p->markets); k++)
        p->markets[k] = LANDS[rnd_below(r, BUSINESS)].country;
    uint32_t abroad = p->work == SALES ? 45 : p->work == CHIEF ? 30 : 8;
    for (unsigned k = 0; k < CONTACTS; k++) {
        bool out = rnd_share(r, abroad);
        p->contacts[k] = number_in(r, out ? p->markets[rnd_below(r, 3)] : HOME[p->site],
                                   HOME[p->site], rnd_share(r, 40));
    }
    p->abroad_from = (uint16_t)rnd_below(r, YEAR);
    p->abroad = LANDS[rnd_below(r, BUSINESS)].country;
}

void org_make(struct org *g, uint64_t seed)
{
    *g = (struct org){.r = {seed * 7919 + 17}, .began_us = INT64_C(1735689600000000)};
    for (uint32_t i = 0; i < PEOPLE; i++)
        person(g, i);
    for (unsigned i = 0; i < 12; i++)
        g->holiday[rnd_below(&g->r, YEAR)] = true;
    for (unsigned d = 355; d < YEAR; d++)
        g->holiday[d] = true;
    g->conference = (uint16_t)(60 + rnd_below(&g->r, 250));
}

static bool away(const struct person *p, uint32_t day)
{
    for (unsigned k = 0; k < 3; k++)
        if (day >= p->leave[k] && day < p->leave[k] + (k ? 5u : 14u))
            return true;
    return false;
}

/* Where they call from: on travel and at the conference abroad. */
static uint16_t source_on(const struct org *g, const struct person *p, uint32_t who, uint32_t day)
{
    bool travels = p->work == SALES || p->work == CHIEF;
    if (travels && who % 2 && day >= g->conference && day < g->conference + 5u)
        return CC('E', 'S');
    if (travels && (day + who) % 40 < 3)
        return p->markets[who % 4];
    if (day >= p->abroad_from && day < p->abroad_from + 4u)
        return p->abroad;
    return HOME[p->site];
}

static struct number_of_org whom(const struct person *p, struct rnd *r, uint32_t day,
                                 uint16_t source)
{
    uint16_t home = HOME[p->site];
    uint32_t w = rnd_below(r, 1000);
    if (p->work == SUPPORT && w < 800)
        return number_in(r, home, home, rnd_share(r, 60)); /* customers, each another one */
    if (source != home && w < 300)
        return number_in(r, source, home, rnd_share(r, 50));
    if (w < 850)
        return p->contacts[rnd_below(r, 8 + rnd_below(r, CONTACTS - 8))];
    /* a customer where nobody called before, for some weeks */
    if (p->work == SALES && p->rate % 8 == 0 && day >= p->leave[2] + 20u &&
        day < p->leave[2] + 41u && rnd_share(r, 60))
        return number_in(r, LANDS[BUSINESS + p->rate / 8 % STRANGE].country, home, w % 2);
    uint32_t abroad = p->work == SALES ? 40 : p->work == CHIEF ? 25 : 4;
    if (!rnd_share(r, abroad))
        return number_in(r, home, home, rnd_share(r, 45));
    /* a customer in a market of the person, later in the year in new ones; seldom anywhere */
    if (rnd_share(r, 94))
        return number_in(r, p->markets[rnd_below(r, 2 + day / 183)], home, rnd_share(r, 40));
    size_t span = rnd_share(r, 90) ? BUSINESS : ARRAY_LEN(LANDS);
    return number_in(r, LANDS[rnd_below(r, (uint32_t)span)].country, home, rnd_share(r, 40));
}

static uint32_t minute_of(const struct person *p, struct rnd *r, const struct org *g)
{
    static const int zone[3] = {60, 60, -300};
    uint32_t m;
    (void)g;
    if (p->work == NIGHT)
        m = (21 * 60 + rnd_below(r, 9 * 60)) % 1440;
    else if (rnd_share(r, 96))
        m = 8 * 60 + (rnd_below(r, 300) + rnd_below(r, 300));
    else
        m = 18 * 60 + rnd_below(r, 240);
    return (uint32_t)((int)m + 1440 - zone[p->site]) % 1440;
}

size_t org_day(const struct org *g, uint64_t seed, uint32_t day, uint32_t who,
               struct call_of_org *v, size_t n)
{
    const struct person *p = &g->p[who];
    struct rnd rr = {seed * 1000003 + day * 4099 + who * 131 + 5}, *r = &rr;
    uint32_t week = day % 7, rate = p->rate;
    (void)rnd_below(r, 7);
    if (day < p->hired || away(p, day))
        return n;
    if (week >= 5 || g->holiday[day])
        rate = p->work == SUPPORT || p->work == NIGHT ? rate / 3 : rnd_share(r, 4) ? 20 : 0;
    rate = rate * (100 + day * 20 / YEAR) / 100; /* growth */
    if (rnd_share(r, 2))
        rate *= 3; /* a busy day */
    uint32_t calls = (rate * (50 + rnd_below(r, 100)) / 100 + rnd_below(r, 10)) / 10;
    uint16_t source = source_on(g, p, who, day);
    int64_t base = g->began_us + day * DAY_US;
    if (calls)
        v[n++] = (struct call_of_org){
            .at_us = base + 6 * HOUR_US, .user = who, .source = source, .what = FRAUD_REGISTERED};
    for (uint32_t i = 0; i < calls && n < CALLS - 2; i++) {
        struct call_of_org c = {.user = who, .source = source, .what = FRAUD_ATTEMPT};
        uint32_t m = minute_of(p, r, g);
        c.at_us = base + m * INT64_C(60000000) + rnd_below(r, 60000000);
        c.to = whom(p, r, day, source);
        c.seconds = rnd_share(r, 72) ? 8 + rnd_exp(r, p->work == SUPPORT ? 260 : 200) : 0;
        if (rnd_share(r, 1))
            c.seconds = 2400 + rnd_below(r, 3600); /* a conference call */
        c.off_hours = week >= 5 || g->holiday[day] || m < 6 * 60 || m > 20 * 60;
        if (p->work != NIGHT || n % 7)
            v[n++] = c;
        if (rnd_share(r, 2) && c.to.kind == CLASS_INTERNATIONAL) /* they call as well */
            v[n++] = (struct call_of_org){.at_us = c.at_us - 60000000,
                                          .user = who,
                                          .to = c.to,
                                          .what = FRAUD_INBOUND,
                                          .source = source};
    }
    return n;
}

/* --- frauds --- */

const char *crime_name(enum crime c)
{
    static const char *const NAMES[CRIMES] = {
        "stolen credentials, at night", "IRSF, slow", "IRSF, fast", "Wangiri",
        "pumping through forwards",     "SIM box",    "insider"};
    return NAMES[c];
}

struct plan {
    uint32_t days, an_hour, hours, from_hour, seconds; /* an_hour: calls in tenths */
};

static struct number_of_org target(struct rnd *r, uint16_t country, uint16_t home)
{
    struct number_of_org n = number_in(r, country, home, true);
    return n;
}

static size_t spread(struct call_of_org *v, size_t n, const struct call_of_org *one,
                     const struct plan *p, struct rnd *r, int64_t base, const uint16_t *lands,
                     unsigned n_lands, uint16_t home)
{
    for (uint32_t d = 0; d < p->days; d++) {
        uint32_t calls = MAX(p->an_hour * p->hours / 10, 1u);
        for (uint32_t i = 0; i < calls && n < CALLS; i++) {
            struct call_of_org c = *one;
            c.at_us = base + d * DAY_US + p->from_hour * HOUR_US +
                      (int64_t)rnd_below(r, p->hours * 3600) * 1000000;
            if (n_lands)
                c.to = target(r, lands[rnd_below(r, n_lands)], home);
            else
                c.to = number_in(r, home, home, true);
            c.seconds = rnd_share(r, 92) ? p->seconds / 2 + rnd_below(r, p->seconds) : 0;
            v[n++] = c;
        }
    }
    return n;
}

static size_t wangiri(const struct org *g, struct rnd *r, unsigned intensity, int64_t base,
                      uint16_t country, struct call_of_org *v)
{
    static const uint32_t baits[3] = {12, 50, 160};
    size_t n = 0;
    char block[20];
    struct number_of_org first = number_in(r, country, HOME[0], true);
    memcpy(block, first.e164, sizeof block);
    for (uint32_t i = 0; i < baits[intensity]; i++) {
        uint32_t who = rnd_below(r, PEOPLE);
        struct call_of_org c = {.user = who,
                                .source = HOME[g->p[who].site],
                                .to = first,
                                .what = FRAUD_INBOUND,
                                .fraud = true};
        c.to.e164[strlen(block) - 1] = (char)('0' + rnd_below(r, 10));
        c.at_us = base + 9 * HOUR_US + (int64_t)rnd_below(r, 7200) * 1000000;
        v[n++] = c;
        if (!rnd_share(r, 18) && i > 2)
            continue;
        c.what = FRAUD_ATTEMPT;
        c.at_us += (int64_t)(120 + rnd_below(r, 7200)) * 1000000;
        c.seconds = 60 + rnd_below(r, 240);
        v[n++] = c;
    }
    return n;
}

size_t crime_calls(const struct org *g, struct rnd *r, enum crime c, unsigned intensity,
                   uint32_t day, uint32_t who, struct call_of_org *v, uint32_t *ret_days)
{
    static const struct plan PLANS[CRIMES][3] = {
        [STOLEN] = {{5, 4, 5, 0, 400}, {3, 100, 4, 0, 500}, {1, 600, 5, 0, 900}},
        [IRSF_SLOW] = {{10, 1, 10, 8, 600}, {7, 4, 10, 8, 900}, {5, 10, 12, 8, 900}},
        [IRSF_FAST] = {{1, 60, 4, 12, 600}, {1, 300, 4, 10, 600}, {1, 2000, 3, 20, 600}},
        [PUMPING] = {{4, 10, 5, 17, 1500}, {2, 60, 6, 17, 1800}, {1, 300, 6, 19, 2400}},
        [SIM_BOX] = {{5, 120, 10, 7, 100}, {3, 350, 12, 7, 100}, {2, 1000, 14, 6, 100}},
        [INSIDER] = {{15, 1, 10, 8, 900}, {10, 4, 8, 8, 1800}, {5, 12, 8, 8, 2400}},
    };
    const struct person *p = &g->p[who];
    uint16_t home = HOME[p->site], lands[3];
    int64_t base = g->began_us + day * DAY_US;
    for (unsigned i = 0; i < 3; i++) /* of those where nobody calls; half of them in no list */
        lands[i] = LANDS[BUSINESS + rnd_below(r, ARRAY_LEN(LANDS) - BUSINESS)].country;
    *ret_days = PLANS[c][intensity].days;
    if (c == WANGIRI) {
        *ret_days = 1;
        return wangiri(g, r, intensity, base, lands[0], v);
    }
    struct call_of_org one = {.user = who,
                              .source = home,
                              .what = FRAUD_ATTEMPT,
                              .fraud = true,
                              .off_hours = PLANS[c][intensity].from_hour < 6 ||
                                           PLANS[c][intensity].from_hour >= 19};
    size_t n = 0;
    if (c == STOLEN) {
        one.source = LANDS[BUSINESS + rnd_below(r, STRANGE)].country;
        v[n] = one;
        v[n].what = FRAUD_REGISTERED;
        v[n++].at_us = base;
    }
    if (c == PUMPING) {
        v[n] = one;
        v[n].what = FRAUD_FORWARDED;
        v[n].to = target(r, lands[0], home);
        v[n++].at_us = base + 16 * HOUR_US;
    }
    unsigned n_lands = c == SIM_BOX ? 0 : c == STOLEN ? 3 : 1;
    return spread(v, n, &one, &PLANS[c][intensity], r, base, lands, n_lands, home);
}
