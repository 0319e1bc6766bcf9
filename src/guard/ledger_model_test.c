/* Random histories of several engines against a slow model that keeps every spending as a line of
 * its own; and, by name, what other products' counters got wrong. */
#include "base/test.h"
#include "guard/ledger_int.h"
#include <stdlib.h>

#define SECOND  INT64_C(1000000)
#define T0      (INT64_C(1769904000) * SECOND - 7200 * SECOND) /* two hours before a month ends */
#define ENGINES 3
#define CALLS   24 /* that an engine has at once, at most */
#define NAMES   6
#define KEYS    4 /* of a call: identity, role, trunk, system */
#define STEPS   4000
#define SEEDS   12

static const struct sipkey K = {3, 4};

/* -- the model -- */

struct spent { /* what was spent of one key in one shard, minute by minute of writing */
    uint64_t key;
    uint8_t kind, shard;
    uint32_t seconds;
    int64_t micro;
    int64_t minute;
};
struct call {
    bool up, answered;
    struct ledger_key v[KEYS];
    struct ledger_hold h;
    uint32_t talked;  /* seconds told to the ledger */
    uint32_t total_s; /* reserved and spent, as the model has it */
    int64_t spent_micro;
    int64_t start_us; /* of the answer */
};
struct world {
    struct ledger l[ENGINES];
    void *mem[ENGINES];
    size_t bytes;
    struct call call[ENGINES][CALLS];
    struct spent *book;
    size_t n, cap;
    int64_t now;
    int64_t latest; /* the ledger's time does not go back */
    uint64_t seed;
    struct caps caps[KEYS];
    struct rate rate[3];
};

static uint32_t chance(struct world *w, uint32_t n)
{
    w->seed ^= w->seed << 13, w->seed ^= w->seed >> 7, w->seed ^= w->seed << 17;
    return (uint32_t)(w->seed >> 33) % n;
}

static struct wall now(const struct world *w)
{
    return (struct wall){w->now};
}

static void book(struct world *w, unsigned shard, const struct ledger_hold *h, uint32_t seconds,
                 int64_t micro)
{
    for (unsigned i = 0; i < h->n && (seconds || micro); i++) {
        if (w->n == w->cap) {
            w->cap = w->cap ? w->cap * 2 : 1024;
            w->book = realloc(w->book, w->cap * sizeof *w->book);
            assert_non_null(w->book);
        }
        w->book[w->n++] = (struct spent){h->key[i], h->kind[i], (uint8_t)shard,
                                         seconds,   micro,      w->latest / (60 * SECOND)};
    }
}

static bool holds(const struct ledger_hold *h, uint8_t kind, uint64_t key)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->kind[i] == kind && h->key[i] == key)
            return true;
    return false;
}

static struct ledger_sum model_sum(const struct world *w, uint8_t kind, uint64_t key)
{
    struct ledger_sum s = {0};
    struct ledger_clock c = ledger_clock_of(NULL, (struct wall){w->latest});
    for (unsigned e = 0; e < ENGINES; e++)
        for (unsigned i = 0; i < CALLS; i++) {
            const struct call *k = &w->call[e][i];
            if (!k->up || !holds(&k->h, kind, key))
                continue;
            s.calls++;
            for (unsigned t = 0; t < SPAN_COUNT; t++) {
                s.seconds[t] += k->total_s - k->talked;
                s.micro[t] += rate_price(&k->h.rate, k->total_s) - k->spent_micro;
            }
        }
    for (size_t i = 0; i < w->n; i++)
        for (unsigned t = 0; t < SPAN_COUNT; t++)
            if (w->book[i].key == key && w->book[i].kind == kind &&
                w->book[i].minute >= c.start[t]) {
                s.seconds[t] += w->book[i].seconds;
                s.micro[t] += w->book[i].micro;
            }
    return s;
}

static void agree(const struct world *w, uint8_t kind, uint64_t key)
{
    struct ledger_sum m = model_sum(w, kind, key);
    for (unsigned e = 0; e < ENGINES; e++) {
        struct ledger_sum s = ledger_sum(&w->l[e], (enum ledger_kind)kind, key, now(w));
        assert_int_equal(s.calls, m.calls);
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            assert_int_equal(s.seconds[t], m.seconds[t]);
            assert_int_equal(s.micro[t], m.micro[t]);
        }
    }
}

static void under_caps(const struct world *w, const struct ledger_key *k)
{
    struct ledger_sum s = model_sum(w, k->kind, k->key);
    assert_true(!k->caps->calls || s.calls <= k->caps->calls);
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        assert_true(!k->caps->seconds[t] || s.seconds[t] <= k->caps->seconds[t]);
        assert_true(!k->caps->micro[t] || s.micro[t] <= k->caps->micro[t]);
    }
}

/* -- what happens -- */

static void keys_of(struct world *w, unsigned who, struct ledger_key v[KEYS])
{
    static const enum ledger_kind KIND[KEYS] = {LEDGER_IDENTITY, LEDGER_ROLE, LEDGER_TRUNK,
                                                LEDGER_SYSTEM};
    const unsigned pick[KEYS] = {who, who % 2, who % 3, 0};
    for (unsigned i = 0; i < KEYS; i++) {
        char name[8] = {(char)('a' + pick[i])};
        v[i] = (struct ledger_key){ledger_key_of(&K, KIND[i], str_c(name)), &w->caps[i],
                                   (uint8_t)KIND[i]};
    }
}

static void begin(struct world *w, unsigned e, struct call *k)
{
    struct ledger_refusal why;
    *k = (struct call){0};
    keys_of(w, chance(w, NAMES), k->v);
    enum reason r =
        ledger_reserve(&w->l[e], k->v, KEYS, &w->rate[chance(w, 3)], now(w), &k->h, &why);
    k->up = r == REASON_NONE;
    if (k->up) {
        k->total_s = k->h.reserved_s;
        assert_true(k->total_s > 0 && k->total_s <= LEDGER_SLICE_S);
        assert_int_equal(k->h.reserved_micro, rate_price(&k->h.rate, k->total_s));
    } else {
        assert_int_equal(k->h.n, 0);
        assert_true(why.used > why.cap); /* a refusal can always be told (opensips#1897) */
    }
}

static uint32_t seconds_of(const struct world *w, const struct call *k)
{
    int64_t s = (w->now - k->start_us) / SECOND;
    s = MAX(s, (int64_t)k->talked);
    return (uint32_t)MIN(s, (int64_t)k->total_s); /* it would have been cut */
}

static void talk(struct world *w, unsigned e, struct call *k, uint32_t s)
{
    if (s <= k->talked)
        return;
    int64_t cost = rate_price(&k->h.rate, s);
    book(w, e, &k->h, s - k->talked, cost - k->spent_micro);
    k->talked = s;
    k->spent_micro = cost;
}

static void end(struct world *w, unsigned e, struct call *k)
{
    uint32_t s = k->answered ? seconds_of(w, k) : 0;
    struct ledger_hold was = k->h;
    talk(w, e, k, s);
    int64_t cost = ledger_release(&w->l[e], &k->h, s, now(w));
    assert_int_equal(cost, s ? rate_price(&was.rate, s) : 0);
    k->up = false;
    if (chance(w, 3) == 0) /* and once more, as both sides hang up */
        assert_int_equal(ledger_release(&w->l[e], &k->h, s, now(w)), 0);
}

static void run(struct world *w, unsigned e, struct call *k)
{
    uint32_t next = 0;
    if (!k->answered) {
        k->answered = true;
        k->start_us = w->now;
    }
    uint32_t s = seconds_of(w, k);
    talk(w, e, k, s);
    enum reason r = ledger_run(&w->l[e], k->v, KEYS, &k->h, s, now(w), &next);
    uint32_t total = k->h.spent_s + k->h.reserved_s;
    assert_true(total >= k->total_s && total <= MAX(k->total_s, s + LEDGER_SLICE_S));
    assert_true((r == REASON_NONE) == (total >= s + LEDGER_SLICE_S));
    assert_true(r == REASON_NONE ? next > s && next < total : next == total);
    k->total_s = total;
    if (r != REASON_NONE && next <= s)
        end(w, e, k);
}

static void transfer(struct world *w, unsigned e, struct call *k)
{
    struct ledger_key v[KEYS];
    keys_of(w, chance(w, NAMES), v);
    if (ledger_move(&w->l[e], &k->h, v, KEYS, now(w)) == REASON_NONE)
        memcpy(k->v, v, sizeof v);
}

static void crash(struct world *w, unsigned e)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct call *k = &w->call[e][i];
        if (!k->up)
            continue;
        book(w, e, &k->h, k->total_s - k->talked,
             rate_price(&k->h.rate, k->total_s) - k->spent_micro);
        *k = (struct call){0};
    }
    ledger_adopt(w->mem[e], now(w));
}

/* Everything stops: what the shards say goes to a file and from there into the first of new ones.
 */
static void restart(struct world *w)
{
    static struct ledger_seed seed[4096];
    size_t n = 0;
    for (unsigned e = 0; e < ENGINES; e++)
        crash(w, e);
    for (unsigned e = 0; e < ENGINES; e++) {
        uint32_t it = 0, calls;
        while (n < ARRAY_LEN(seed) &&
               ledger_walk(w->mem[e], w->bytes, &it, &seed[n], &calls, now(w))) {
            assert_int_equal(calls, 0);
            n++;
        }
    }
    for (unsigned e = 0; e < ENGINES; e++) {
        memset(w->mem[e], 0, w->bytes);
        ledger_begin(w->mem[e], 256, &K);
    }
    for (size_t i = 0; i < n; i++)
        assert_ok(ledger_plant(&w->l[chance(w, ENGINES)], &seed[i], now(w)));
}

static void step(struct world *w, bool back)
{
    unsigned e = chance(w, ENGINES), what = chance(w, 100);
    struct call *k = &w->call[e][chance(w, CALLS)];
    static const int64_t JUMP[] = {1, 7, 44, 61, 900, 3599, 3600, 86400, 40 * 86400};
    if (what < 45 && !k->up)
        begin(w, e, k); /* fork: other calls of the same keys do so at the same time */
    else if (what < 75 && k->up)
        run(w, e, k);
    else if (what < 88 && k->up)
        end(w, e, k); /* CANCEL, busy, 3xx, timeout, BYE */
    else if (what < 91 && k->up)
        transfer(w, e, k);
    else if (what == 91 && chance(w, 4) == 0)
        crash(w, e);
    else if (what == 92 && chance(w, 8) == 0 && w->now == w->latest)
        restart(w);
    else if (what >= 93) {
        unsigned far = chance(w, 60);
        w->now += JUMP[far ? chance(w, 5) : chance(w, ARRAY_LEN(JUMP))] * SECOND;
        if (back && chance(w, 20) == 0) {
            w->now -= (int64_t)chance(w, 4000) * SECOND;
        }
        w->latest = MAX(w->latest, w->now);
        for (e = 0; e < ENGINES; e++) { /* each has something to do now and then */
            struct ledger_refusal none;
            struct ledger_hold h;
            (void)ledger_reserve(&w->l[e], NULL, 0, &w->rate[0], now(w), &h, &none);
        }
    }
}

static void up(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->now = w->latest = T0;
    w->bytes = ledger_bytes(256);
    for (unsigned e = 0; e < ENGINES; e++) {
        w->mem[e] = aligned_alloc(64, (w->bytes + 63) / 64 * 64);
        assert_non_null(w->mem[e]);
        memset(w->mem[e], 0, w->bytes);
        ledger_begin(w->mem[e], 256, &K);
    }
    for (unsigned e = 0; e < ENGINES; e++) {
        w->l[e] = (struct ledger){.own = w->mem[e], .n = ENGINES};
        for (unsigned i = 0; i < ENGINES; i++) {
            w->l[e].shard[i] = w->mem[i];
            w->l[e].bytes[i] = w->bytes;
        }
    }
    for (unsigned i = 0; i < KEYS; i++) {
        struct caps *c = &w->caps[i];
        bool wide = i > 0;
        c->calls = (uint16_t)(chance(w, 3) ? (wide ? 12 : 3) : 0);
        c->call_s = chance(w, 2) ? 900 : 0;
        c->call_micro = chance(w, 2) ? 4000 : 0;
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            c->seconds[t] = chance(w, 2) ? (wide ? 9000u : 1500u) * (t + 1) : 0;
            c->micro[t] = chance(w, 2) ? (wide ? 30000 : 6000) * (int64_t)(t + 1) : 0;
        }
    }
    w->rate[0] = (struct rate){.minute_micro = 61, .minimum_s = 1, .increment_s = 1};
    w->rate[1] =
        (struct rate){.setup_micro = 20, .minute_micro = 600, .minimum_s = 60, .increment_s = 60};
    w->rate[2] = (struct rate){.minimum_s = 30, .increment_s = 6};
}

static void histories(bool back)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        up(&w, seed + back * 1000u);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&w, back);
            struct ledger_key v[KEYS];
            keys_of(&w, i % NAMES, v);
            for (unsigned n = 0; n < KEYS; n++) {
                agree(&w, v[n].kind, v[n].key);
                under_caps(&w, &v[n]);
            }
        }
        for (unsigned e = 0; e < ENGINES; e++)
            for (unsigned i = 0; i < CALLS; i++)
                if (w.call[e][i].up)
                    end(&w, e, &w.call[e][i]);
        struct ledger_key v[KEYS];
        for (unsigned who = 0; who < NAMES; who++) {
            keys_of(&w, who, v);
            for (unsigned n = 0; n < KEYS; n++) {
                agree(&w, v[n].kind, v[n].key);
                assert_int_equal(ledger_sum(&w.l[0], v[n].kind, v[n].key, now(&w)).calls, 0);
            }
        }
        for (unsigned e = 0; e < ENGINES; e++)
            free(w.mem[e]);
        free(w.book);
    }
}

static void sums_agree_whatever_happens(void **state)
{
    (void)state;
    histories(false);
}

static void clocks_that_step_back_give_nothing(void **state)
{
    (void)state;
    histories(true);
}

/* -- by name -- */

/* Calls that end without a BYE (cancelled, busy) never left the count of running ones. */
static void opensips_949(void **state)
{
    (void)state;
    static struct world w;
    up(&w, 949);
    w.caps[0] = w.caps[1] = w.caps[2] = w.caps[3] = (struct caps){.calls = 2};
    for (int i = 0; i < 1000; i++) {
        struct call *k = &w.call[i % ENGINES][0];
        begin(&w, (unsigned)(i % ENGINES), k);
        assert_true(k->up);
        assert_int_equal(ledger_release(&w.l[i % ENGINES], &k->h, 0, now(&w)), 0);
    }
    struct ledger_key v[KEYS];
    keys_of(&w, 0, v);
    assert_int_equal(ledger_sum(&w.l[0], LEDGER_SYSTEM, v[3].key, now(&w)).calls, 0);
    for (unsigned e = 0; e < ENGINES; e++)
        free(w.mem[e]);
}

/* The count fell below zero and was then four thousand million. */
static void opensips_2079(void **state)
{
    (void)state;
    static struct world w;
    up(&w, 2079);
    struct ledger_key v[KEYS];
    struct ledger_hold h, copy;
    struct ledger_refusal r;
    keys_of(&w, 0, v);
    assert_int_equal(ledger_reserve(&w.l[0], v, KEYS, &w.rate[0], now(&w), &h, &r), REASON_NONE);
    copy = h;
    (void)ledger_release(&w.l[0], &h, 10, now(&w));
    (void)ledger_release(&w.l[0], &h, 10, now(&w));
    struct ledger_sum s = ledger_sum(&w.l[1], LEDGER_IDENTITY, v[0].key, now(&w));
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.seconds[SPAN_DAY], 10);
    (void)ledger_release(&w.l[0], &copy, 10, now(&w)); /* even a hold that was kept by mistake */
    s = ledger_sum(&w.l[1], LEDGER_IDENTITY, v[0].key, now(&w));
    assert_int_equal(s.calls, 0);
    assert_true(s.seconds[SPAN_DAY] <= 20);
    ledger_adopt(w.mem[0], now(&w)); /* its shard was adopted while a hold was still about */
    assert_int_equal(ledger_reserve(&w.l[0], v, KEYS, &w.rate[0], now(&w), &h, &r), REASON_NONE);
    ledger_adopt(w.mem[0], now(&w));
    (void)ledger_release(&w.l[0], &h, 0, now(&w));
    assert_int_equal(ledger_sum(&w.l[1], LEDGER_IDENTITY, v[0].key, now(&w)).calls, 0);
    for (unsigned e = 0; e < ENGINES; e++)
        free(w.mem[e]);
}

/* Totals did not begin anew when their time was over. */
static void opensips_2332(void **state)
{
    (void)state;
    static struct world w;
    up(&w, 2332);
    struct ledger_key v[KEYS];
    struct ledger_hold h;
    struct ledger_refusal r;
    w.caps[0] = w.caps[1] = w.caps[2] = w.caps[3] = (struct caps){.micro = {0, 61, 0}};
    keys_of(&w, 0, v);
    for (int day = 0; day < 5; day++) {
        assert_int_equal(ledger_reserve(&w.l[0], v, KEYS, &w.rate[0], now(&w), &h, &r),
                         REASON_NONE);
        (void)ledger_release(&w.l[0], &h, 60, now(&w));
        assert_int_equal(ledger_reserve(&w.l[1], v, KEYS, &w.rate[0], now(&w), &h, &r),
                         REASON_fraud_money);
        w.now += 86400 * SECOND;
    }
    for (unsigned e = 0; e < ENGINES; e++)
        free(w.mem[e]);
}

/* A time of 0, and lengths of 0, ended the program by a division. */
static void opensips_2712(void **state)
{
    (void)state;
    static struct world w;
    static const int64_t AT[] = {0, 1, -5 * SECOND, INT64_MAX, INT64_MIN};
    struct rate none = {0};
    for (size_t i = 0; i < ARRAY_LEN(AT); i++) {
        up(&w, 2712);
        struct ledger_key v[KEYS];
        struct ledger_hold h;
        struct ledger_refusal r;
        uint32_t next;
        w.now = AT[i];
        keys_of(&w, 0, v);
        assert_int_equal(ledger_reserve(&w.l[0], v, KEYS, &none, now(&w), &h, &r), REASON_NONE);
        (void)ledger_run(&w.l[0], v, KEYS, &h, 5, now(&w), &next);
        assert_int_equal(ledger_release(&w.l[0], &h, 5, now(&w)), 0);
        assert_int_equal(ledger_sum(&w.l[1], LEDGER_SYSTEM, v[3].key, now(&w)).seconds[0], 5);
        for (unsigned e = 0; e < ENGINES; e++)
            free(w.mem[e]);
    }
}

/* Every user's and every number's record stayed for ever. */
static void opensips_3411(void **state)
{
    (void)state;
    static struct world w;
    up(&w, 3411);
    struct ledger_hold h;
    struct ledger_refusal r;
    unsigned full = 0;
    for (uint64_t i = 1; i <= 100000; i++) {
        struct ledger_key k = {ledger_key_of(&K, LEDGER_PREFIX, str_of((char *)&i, sizeof i)), NULL,
                               LEDGER_PREFIX};
        full += ledger_reserve(&w.l[0], &k, 1, &w.rate[0], now(&w), &h, &r) != REASON_NONE;
        (void)ledger_release(&w.l[0], &h, 0, now(&w));
        w.now += SECOND; /* sixty live for a minute */
    }
    assert_int_equal(full, 0);
    assert_true(ledger_rows_used(w.mem[0]) <= 256);
    for (unsigned e = 0; e < ENGINES; e++)
        free(w.mem[e]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_agree_whatever_happens),
        cmocka_unit_test(clocks_that_step_back_give_nothing),
        cmocka_unit_test(opensips_949),
        cmocka_unit_test(opensips_2079),
        cmocka_unit_test(opensips_2332),
        cmocka_unit_test(opensips_2712),
        cmocka_unit_test(opensips_3411),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
