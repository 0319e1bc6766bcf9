/* What the judge of behaviour finds in a year of a simulated organisation, and what it takes for
 * fraud that is none. Frauds are tried on copies of the state, each against a person of that year.
 * usage: fraud [SEEDS [FIRST]]    rows of tab-separated fields for tests/fraud/table.py */
#include "tests/fraud/org.h"
#include <stdio.h>
#include <stdlib.h>

#define DAY_US  INT64_C(86400000000)
#define LIVE    4096u
#define TRIES   3u  /* of each fraud and intensity, a year */
#define SETTLED 40u /* days until the first fraud */

static const struct sipkey KEY = {3, 4};

struct live {
    int64_t at_us; /* next: a slice of the ledger, or its end */
    int64_t began_us;
    struct call_of_org c;
    struct ledger_hold hold;
    bool on;
};
struct world {
    struct fraud *f;
    size_t bytes;
    struct ledger l;
    struct caps day, off;
    struct live live[LIVE];
    uint32_t n_live;
    bool capped, judged;
    int64_t locked_us[PEOPLE]; /* 0: not */
    /* what came of it */
    int64_t loss_micro, loss_day[YEAR + 40], first_us, found_us;
    uint32_t locks, refusals, fraud_refused, cut, calls;
    uint32_t by[SIGN_COUNT];
};

static uint64_t identity(uint32_t who)
{
    return 1000 + who;
}

static struct rate rate_of(const struct call_of_org *c)
{
    return (struct rate){.minute_micro = c->to.minute_micro, .minimum_s = 60, .increment_s = 60};
}

static struct fraud_verdict tell(struct world *w, const struct call_of_org *c, enum fraud_what what,
                                 int64_t at_us, uint32_t seconds, int64_t micro)
{
    struct fraud_verdict v = {0};
    struct fraud_event e = {.at = {at_us},
                            .identity = identity(c->user),
                            .trunk = 1,
                            .micro = micro,
                            .seconds = seconds,
                            .code = seconds ? 200 : 480,
                            .country = c->to.country,
                            .source_country = c->source,
                            .what = (uint8_t)what,
                            .kind = c->to.kind,
                            .off_hours = c->off_hours};
    memcpy(e.number, c->to.e164, sizeof e.number);
    if (w->judged)
        fraud_step(w->f, &e, &v);
    return v;
}

static void told(const struct call_of_org *c, const struct fraud_verdict *v)
{
    if (!getenv("FRAUD_TELL") || c->fraud)
        return;
    fprintf(stderr, "false lock: user %u to %s score %u signs", c->user, c->to.e164, v->score);
    for (unsigned i = 0; i < SIGN_COUNT; i++)
        if (v->signs >> i & 1)
            fprintf(stderr, " %s", fraud_sign_name((enum fraud_sign)i).p);
    fprintf(stderr, "\n");
}

static void end(struct world *w, struct live *x, int64_t at_us)
{
    int64_t us = at_us - x->began_us;
    uint32_t s = (uint32_t)MAX((us + 999999) / 1000000, 0);
    struct rate r = rate_of(&x->c);
    x->on = false;
    int64_t cost =
        w->capped ? ledger_release(&w->l, &x->hold, s, (struct wall){at_us}) : rate_price(&r, s);
    if (x->c.fraud) {
        w->loss_micro += cost;
        int64_t day = at_us / DAY_US % (int64_t)ARRAY_LEN(w->loss_day);
        w->loss_day[day] += cost;
    }
    struct fraud_verdict v = tell(w, &x->c, FRAUD_ENDED, at_us, s, cost);
    while (w->n_live && !w->live[w->n_live - 1].on)
        w->n_live--;
    if (v.act >= FRAUD_LOCK && !w->locked_us[x->c.user]) {
        w->locked_us[x->c.user] = at_us;
        w->locks++;
        told(&x->c, &v);
    }
}

static void found(struct world *w, const struct call_of_org *c, const struct fraud_verdict *v,
                  bool lock)
{
    if (!c->fraud && !lock)
        return;
    if (!w->found_us)
        w->found_us = c->at_us;
    for (unsigned i = 0; i < SIGN_COUNT; i++)
        w->by[i] += v->signs >> i & 1;
}

static void cut_all(struct world *w, uint32_t user, int64_t at_us)
{
    for (uint32_t i = 0; i < w->n_live; i++)
        if (w->live[i].on && w->live[i].c.user == user) {
            end(w, &w->live[i], at_us);
            w->cut++;
        }
}

/* The next slice or end of whatever comes first, up to that time. */
static void pass(struct world *w, int64_t until_us)
{
    for (;;) {
        struct live *x = NULL;
        for (uint32_t i = 0; i < w->n_live; i++)
            if (w->live[i].on && (!x || w->live[i].at_us < x->at_us))
                x = &w->live[i];
        if (!x || x->at_us > until_us)
            return;
        int64_t whole = x->began_us + x->c.seconds * INT64_C(1000000);
        uint32_t s = (uint32_t)((x->at_us - x->began_us) / 1000000), next = UINT32_MAX;
        uint32_t user = x->c.user;
        enum reason why = REASON_NONE;
        struct ledger_key k = {identity(user), x->c.off_hours ? &w->off : &w->day, LEDGER_IDENTITY};
        if (w->capped && x->at_us < whole)
            why = ledger_run(&w->l, &k, 1, &x->hold, s, (struct wall){x->at_us}, &next);
        if (x->at_us >= whole || (why != REASON_NONE && next <= s)) {
            bool locked = w->locked_us[user] != 0;
            int64_t at_us = x->at_us;
            end(w, x, at_us);
            if (!locked && w->locked_us[user])
                cut_all(w, user, at_us);
            continue;
        }
        x->at_us = next == UINT32_MAX
                       ? whole
                       : MIN(whole, x->began_us + MAX(next, s + 1) * INT64_C(1000000));
    }
}

static void call(struct world *w, const struct call_of_org *c)
{
    struct ledger_refusal no;
    struct rate r = rate_of(c);
    struct ledger_hold hold = {0};
    if (w->locked_us[c->user]) {
        w->fraud_refused += c->fraud;
        return;
    }
    w->calls++;
    struct fraud_verdict v = tell(w, c, FRAUD_ATTEMPT, c->at_us, 0, r.minute_micro);
    if (v.act >= FRAUD_REFUSE) {
        w->refusals++;
        w->fraud_refused += c->fraud;
        found(w, c, &v, false);
        if (v.act >= FRAUD_LOCK) {
            w->locks++;
            w->locked_us[c->user] = c->at_us;
            found(w, c, &v, true);
            told(c, &v);
        }
        if (v.act >= FRAUD_CUT)
            cut_all(w, c->user, c->at_us);
        return;
    }
    struct ledger_key k = {identity(c->user), c->off_hours ? &w->off : &w->day, LEDGER_IDENTITY};
    if (w->capped &&
        ledger_reserve(&w->l, &k, 1, &r, (struct wall){c->at_us}, &hold, &no) != REASON_NONE) {
        w->fraud_refused += c->fraud;
        return;
    }
    if (!c->seconds) {
        (void)ledger_release(&w->l, &hold, 0, (struct wall){c->at_us});
        (void)tell(w, c, FRAUD_ENDED, c->at_us + 20000000, 0, 0);
        return;
    }
    (void)tell(w, c, FRAUD_ANSWERED, c->at_us, 0, 0);
    uint32_t i = 0;
    while (i < LIVE && w->live[i].on)
        i++;
    if (i == LIVE)
        abort();
    w->n_live = MAX(w->n_live, i + 1);
    w->live[i] =
        (struct live){.at_us = c->at_us, .began_us = c->at_us, .c = *c, .hold = hold, .on = true};
}

static int by_time(const void *a, const void *b)
{
    const struct call_of_org *x = a, *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void run(struct world *w, struct call_of_org *v, size_t n)
{
    qsort(v, n, sizeof *v, by_time);
    for (size_t i = 0; i < n; i++) {
        pass(w, v[i].at_us);
        if (v[i].fraud && !w->first_us && v[i].what == FRAUD_ATTEMPT)
            w->first_us = v[i].at_us;
        if (v[i].what == FRAUD_ATTEMPT) {
            call(w, &v[i]);
            continue;
        }
        struct fraud_verdict x = tell(w, &v[i], v[i].what, v[i].at_us, 0, 0);
        if (x.act == FRAUD_LOCK && !w->locked_us[v[i].user]) {
            w->locked_us[v[i].user] = v[i].at_us;
            w->locks++;
            cut_all(w, v[i].user, v[i].at_us);
        }
    }
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct fraud_policy *p = calloc(1, sizeof *p);
    if (!w || !p)
        abort();
    fraud_policy_default(p);
    w->bytes = fraud_bytes(2 * PEOPLE);
    w->f = calloc(1, w->bytes);
    w->f = w->f ? fraud_init(w->f, 2 * PEOPLE, p, &KEY) : NULL;
    w->l.own = calloc(1, ledger_bytes(2048));
    if (!w->f || !w->l.own)
        abort();
    ledger_begin(w->l.own, 2048, &KEY);
    w->l.shard[0] = w->l.own;
    w->l.bytes[0] = ledger_bytes(2048);
    w->l.n = 1;
    caps_default(&w->day, &w->off);
    w->judged = true;
    free(p);
    return w;
}

static void world_free(struct world *w)
{
    free(w->f);
    free(w->l.own);
    free(w);
}

/* -- a year without fraud, and frauds on copies of it -- */

struct result {
    uint32_t tries, found, refused, cut;
    int64_t loss, loss_caps, loss_none, worst_day; /* micro */
    uint64_t minutes;
    uint32_t minutes_most;
    uint32_t by[SIGN_COUNT];
};
static struct call_of_org calls[CALLS], crime[CALLS];

static size_t incident_calls(const struct org *g, uint64_t seed, enum crime c, unsigned i,
                             uint32_t day, uint32_t who, struct rnd *r)
{
    uint32_t days;
    size_t n = crime_calls(g, r, c, i, day, who, crime, &days);
    for (uint32_t d = day; d < MIN(day + days, YEAR) && c != WANGIRI; d++)
        n = org_day(g, seed, d, who, crime, n); /* the victim works on */
    return n;
}

static void once(const struct world *w, const struct org *g, uint64_t seed, enum crime c,
                 unsigned i, uint32_t day, uint32_t who, bool capped, bool judged,
                 struct result *res)
{
    struct world *x = world_new();
    struct rnd r = {seed * 31 + day * 7 + c * 3 + i};
    memcpy(x->f, w->f, w->bytes);
    x->capped = capped;
    x->judged = judged;
    run(x, crime, incident_calls(g, seed, c, i, day, who, &r));
    pass(x, INT64_MAX);
    if (capped) {
        res->loss_caps += x->loss_micro;
        for (unsigned d = 0; d < ARRAY_LEN(x->loss_day); d++)
            res->worst_day = MAX(res->worst_day, x->loss_day[d]);
    } else if (!judged) {
        res->loss_none += x->loss_micro;
    } else {
        bool is = c == WANGIRI ? x->fraud_refused > 0 : x->locked_us[who] != 0;
        int64_t at = c == WANGIRI ? x->found_us : x->locked_us[who];
        res->tries++;
        res->found += is;
        res->loss += x->loss_micro;
        res->refused += x->fraud_refused;
        res->cut += x->cut;
        uint32_t m = is ? (uint32_t)(MAX(at - x->first_us, 0) / 60000000) : 0;
        res->minutes += m;
        res->minutes_most = MAX(res->minutes_most, m);
        for (unsigned s = 0; s < SIGN_COUNT; s++)
            res->by[s] += x->by[s] != 0;
        if (getenv("FRAUD_TELL") && !is)
            fprintf(stderr, "not found: %s %u, day %u, user %u, worth %lld\n", crime_name(c), i,
                    day, who, (long long)x->loss_micro);
    }
    world_free(x);
}

static void crimes(const struct world *w, const struct org *g, uint64_t seed, uint32_t day,
                   struct result (*res)[3])
{
    struct rnd r = {seed * 977 + day};
    for (unsigned c = 0; c < CRIMES; c++)
        for (unsigned i = 0; i < 3; i++) {
            uint32_t who = rnd_below(&r, 160);
            once(w, g, seed, (enum crime)c, i, day, who, false, true, &res[c][i]);
            once(w, g, seed, (enum crime)c, i, day, who, false, false, &res[c][i]);
            once(w, g, seed, (enum crime)c, i, day, who, true, true, &res[c][i]);
        }
}

struct year {
    uint64_t locks, refusals, calls, months10;
};

static void year(uint64_t seed, struct result (*res)[3], struct year *y)
{
    struct org *g = calloc(1, sizeof *g);
    struct world *w = world_new();
    struct rnd r = {seed};
    bool try[YEAR] = {false};
    if (!g)
        abort();
    org_make(g, seed);
    for (unsigned i = 0; i < TRIES; i++)
        try[SETTLED + rnd_below(&r, YEAR - SETTLED - 20)] = true;
    for (uint32_t day = 0; day < YEAR; day++) {
        size_t n = 0;
        if (try[day])
            crimes(w, g, seed, day, res);
        for (uint32_t who = 0; who < PEOPLE; who++) {
            n = org_day(g, seed, day, who, calls, n);
            y->months10 += day >= g->p[who].hired && day % 3 == 0;
            if (w->locked_us[who]) { /* the next morning somebody has looked */
                fraud_release(w->f, identity(who));
                w->locked_us[who] = 0;
            }
        }
        run(w, calls, n);
    }
    pass(w, INT64_MAX);
    y->locks += w->locks;
    y->refusals += w->refusals;
    y->calls += w->calls;
    world_free(w);
    free(g);
}

int main(int argc, char **argv)
{
    static struct result res[CRIMES][3];
    static const char *const HOW[3] = {"lowest", "middle", "high"};
    unsigned long seeds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2;
    unsigned long first =
        argc > 2 ? strtoul(argv[2], NULL, 10) : 3001; /* judging; tuning: from 1 */
    struct year y = {0};
    for (unsigned long s = first; s < first + seeds; s++)
        year(s, res, &y);
    printf("year\t%lu\t%llu\t%llu\t%llu\t%llu\n", seeds, (unsigned long long)y.calls,
           (unsigned long long)y.months10 / 10, (unsigned long long)y.locks,
           (unsigned long long)y.refusals);
    for (unsigned c = 0; c < CRIMES; c++)
        for (unsigned i = 0; i < 3; i++) {
            const struct result *x = &res[c][i];
            printf("%s\t%s\t%u\t%u\t%llu\t%u\t%.2f\t%.2f\t%.2f\t%.2f\t", crime_name((enum crime)c),
                   HOW[i], x->tries, x->found,
                   (unsigned long long)(x->found ? x->minutes / x->found : 0), x->minutes_most,
                   (double)x->loss_none / 1e6 / x->tries, (double)x->loss / 1e6 / x->tries,
                   (double)x->loss_caps / 1e6 / x->tries, (double)x->worst_day / 1e6);
            for (unsigned s = 0, n = 0; s < SIGN_COUNT; s++)
                if (x->by[s] * 2 > x->found && x->found)
                    printf("%s%s", n++ ? ", " : "", fraud_sign_name((enum fraud_sign)s).p);
            printf("\n");
        }
    return 0;
}
