#include "base/test.h"
#include "guard/ledger_int.h"
#include <stdlib.h>

#define SECOND INT64_C(1000000)
#define T0     (INT64_C(1767225600) * SECOND) /* 2026-01-01 00:00 UTC */

static const struct sipkey K = {1, 2};
static struct rate penny = {.minute_micro = 60, .minimum_s = 1, .increment_s = 1}; /* 1 a second */

struct rig {
    struct ledger l[2]; /* two engines' views of the same shards */
    void *mem[2];
};

static void rig_up(struct rig *g, uint32_t rows)
{
    size_t n = ledger_bytes(rows);
    memset(g, 0, sizeof *g);
    for (int i = 0; i < 2; i++) {
        g->mem[i] = aligned_alloc(64, (n + 63) / 64 * 64);
        assert_non_null(g->mem[i]);
        memset(g->mem[i], 0, n);
        ledger_begin(g->mem[i], rows, &K);
        assert_ok(ledger_valid(g->mem[i], n));
    }
    for (int e = 0; e < 2; e++) {
        g->l[e].own = g->mem[e];
        g->l[e].n = 2;
        for (int i = 0; i < 2; i++) {
            g->l[e].shard[i] = g->mem[i];
            g->l[e].bytes[i] = n;
        }
    }
}

static void rig_down(struct rig *g)
{
    free(g->mem[0]);
    free(g->mem[1]);
}

static struct wall at(int64_t s)
{
    return (struct wall){T0 + s * SECOND};
}

static struct ledger_key key(const char *name, const struct caps *c)
{
    return (struct ledger_key){ledger_key_of(&K, LEDGER_IDENTITY, str_c(name)), c, LEDGER_IDENTITY};
}

static enum reason reserve(struct ledger *l, const struct ledger_key *k, int64_t s,
                           struct ledger_hold *h)
{
    struct ledger_refusal r;
    return ledger_reserve(l, k, 1, &penny, at(s), h, &r);
}

static struct ledger_sum sum(const struct ledger *l, const struct ledger_key *k, int64_t s)
{
    return ledger_sum(l, (enum ledger_kind)k->kind, k->key, at(s));
}

static void life_of_a_call(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct ledger_key k = key("alice", NULL);
    struct ledger_hold h;
    uint32_t next = 0;
    assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
    struct ledger_sum s = sum(&g.l[1], &k, 0);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.attempts_min, 1);
    assert_int_equal(s.seconds[SPAN_DAY], 60);
    assert_int_equal(s.micro[SPAN_MONTH], 60);
    assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, 0, at(10), &next), REASON_NONE);
    assert_int_equal(next, 45);
    assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, 45, at(55), &next), REASON_NONE);
    assert_int_equal(next, 90);
    s = sum(&g.l[0], &k, 55);
    assert_int_equal(s.seconds[SPAN_HOUR], 105);
    assert_int_equal(s.micro[SPAN_HOUR], 105);
    assert_int_equal(ledger_release(&g.l[0], &h, 50, at(60)), 50);
    assert_int_equal(ledger_release(&g.l[0], &h, 50, at(60)), 0);
    s = sum(&g.l[1], &k, 60);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.attempts_min, 0); /* another minute */
    assert_int_equal(s.seconds[SPAN_DAY], 50);
    assert_int_equal(s.micro[SPAN_DAY], 50);
    /* never answered: nothing stays */
    assert_int_equal(reserve(&g.l[1], &k, 60, &h), REASON_NONE);
    assert_int_equal(sum(&g.l[0], &k, 60).micro[SPAN_DAY], 110);
    assert_int_equal(ledger_release(&g.l[1], &h, 0, at(70)), 0);
    assert_int_equal(sum(&g.l[0], &k, 70).micro[SPAN_DAY], 50);
    rig_down(&g);
}

static void each_cap(void **state)
{
    (void)state;
    static const struct {
        struct caps c;
        enum reason why;
        int let_in; /* calls, one after the other, all held */
    } ROWS[] = {
        {{.calls = 2}, REASON_fraud_calls, 2},
        {{.attempts_min = 3}, REASON_fraud_attempts, 3},
        {{.seconds = {60, 0, 0}}, REASON_fraud_minutes, 1},
        {{.seconds = {0, 61, 0}}, REASON_fraud_minutes, 2}, /* the second gets one second */
        {{.seconds = {0, 0, 120}}, REASON_fraud_minutes, 2},
        {{.micro = {60, 0, 0}}, REASON_fraud_money, 1},
        {{.micro = {0, 61, 0}}, REASON_fraud_money, 2},
        {{.micro = {0, 0, 119}}, REASON_fraud_money, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct rig g;
        rig_up(&g, 64);
        struct ledger_key k = key("alice", &ROWS[i].c);
        struct ledger_hold h[4] = {0};
        for (int n = 0; n < ROWS[i].let_in; n++)
            assert_int_equal(reserve(&g.l[n & 1], &k, 0, &h[n]), REASON_NONE);
        struct ledger_sum was = sum(&g.l[0], &k, 0);
        struct ledger_refusal r;
        assert_int_equal(ledger_reserve(&g.l[0], &k, 1, &penny, at(0), &h[3], &r), ROWS[i].why);
        assert_int_equal(r.kind, LEDGER_IDENTITY);
        assert_true(r.key == k.key && r.used > r.cap && r.cap > 0);
        assert_int_equal(h[3].n, 0);
        struct ledger_sum now = sum(&g.l[0], &k, 0);
        assert_int_equal(now.calls, was.calls);
        assert_memory_equal(now.seconds, was.seconds, sizeof was.seconds);
        assert_memory_equal(now.micro, was.micro, sizeof was.micro);
        rig_down(&g);
    }
}

static void dearest_call(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct caps c = {.call_micro = 4};
    struct ledger_key k = key("alice", &c);
    struct ledger_hold h;
    struct ledger_refusal r;
    struct rate dear = {.setup_micro = 5, .minimum_s = 60, .increment_s = 60};
    assert_int_equal(ledger_reserve(&g.l[0], &k, 1, &dear, at(0), &h, &r), REASON_fraud_call_money);
    c.call_micro = 5;
    assert_int_equal(ledger_reserve(&g.l[0], &k, 1, &dear, at(0), &h, &r), REASON_NONE);
    (void)ledger_release(&g.l[0], &h, 0, at(0));
    rig_down(&g);
}

/* A call is cut at the second at which its cap is reached, not before and not after. */
static void cut_at_the_cap(void **state)
{
    (void)state;
    static const struct {
        struct caps c;
        enum reason why;
    } ROWS[] = {{{.micro = {0, 130, 0}}, REASON_fraud_money},
                {{.seconds = {130, 0, 0}}, REASON_fraud_minutes},
                {{.call_s = 130}, REASON_fraud_minutes},
                {{.call_micro = 130}, REASON_fraud_call_money}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct rig g;
        rig_up(&g, 64);
        struct ledger_key k = key("alice", &ROWS[i].c);
        struct ledger_hold h;
        uint32_t next = 0, seconds = 0;
        assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
        enum reason why = REASON_NONE;
        for (int turn = 0; turn < 10 && why == REASON_NONE; turn++) {
            why = ledger_run(&g.l[0], &k, 1, &h, seconds, at(seconds), &next);
            assert_true(next > seconds);
            if (why == REASON_NONE)
                seconds = next;
        }
        assert_int_equal(why, ROWS[i].why);
        assert_int_equal(next, 130);
        assert_int_equal(h.left_s, 130);
        assert_true(seconds <= 115); /* time to warn */
        assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, 130, at(130), &next), ROWS[i].why);
        assert_int_equal(next, 130);
        assert_int_equal(ledger_release(&g.l[0], &h, 130, at(130)), 130);
        assert_int_equal(sum(&g.l[1], &k, 130).micro[SPAN_DAY], 130);
        rig_down(&g);
    }
}

/* What is held at set-up is not asked for again when the call is answered; what others take
 * meanwhile ends it to the second all the same. Other keys, or a dearer way, are looked at. */
static void answered_with_what_is_held(void **state)
{
    (void)state;
    struct caps c = {.micro = {0, 130, 0}}, brief = {.call_s = 100}, wide = {.micro = {0, 1000, 0}};
    struct rig g;
    rig_up(&g, 64);
    struct ledger_key k = key("alice", &c), other = key("bob", &brief), rich = key("carol", &wide);
    struct ledger_hold h, second;
    uint32_t next = 0;
    assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
    assert_int_equal(h.left_s, 130);
    assert_int_equal(reserve(&g.l[1], &k, 5, &second), REASON_NONE);
    assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, 0, at(10), &next), REASON_NONE);
    assert_int_equal(next, LEDGER_SLICE_S - 15);
    assert_int_equal(sum(&g.l[0], &k, 10).micro[SPAN_DAY], 120);
    assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, next, at(10 + next), &next),
                     REASON_fraud_money);
    assert_int_equal(next, 70);
    assert_int_equal(h.left_s, 70);
    (void)ledger_release(&g.l[0], &h, 0, at(60));
    assert_int_equal(ledger_move(&g.l[1], &second, &other, 1, at(61)), REASON_NONE);
    assert_int_equal(ledger_run(&g.l[1], &other, 1, &second, 0, at(62), &next), REASON_NONE);
    assert_int_equal(second.left_s, 100);
    (void)ledger_release(&g.l[1], &second, 0, at(63));
    assert_int_equal(reserve(&g.l[0], &rich, 64, &h), REASON_NONE);
    h.rate.minute_micro = 120; /* the next trunk is dearer */
    assert_int_equal(ledger_run(&g.l[0], &rich, 1, &h, 0, at(65), &next), REASON_NONE);
    assert_int_equal(sum(&g.l[0], &rich, 65).micro[SPAN_DAY], 120);
    (void)ledger_release(&g.l[0], &h, 0, at(66));
    rig_down(&g);
}

static void windows_roll(void **state)
{
    (void)state;
    static const struct {
        int64_t s;
        int hour, day, month;
    } ROWS[] = {
        {3599, 1, 1, 1},  {3600, 0, 1, 1},           {86399, 0, 1, 1},
        {86400, 0, 0, 1}, {31 * 86400 - 1, 0, 0, 1}, {31 * 86400, 0, 0, 0},
    };
    struct rig g;
    rig_up(&g, 64);
    struct ledger_key k = key("alice", NULL);
    struct ledger_hold h;
    assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
    assert_int_equal(ledger_release(&g.l[0], &h, 30, at(30)), 30);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct ledger_sum s = sum(&g.l[1], &k, ROWS[i].s);
        assert_int_equal(s.micro[SPAN_HOUR], 30 * ROWS[i].hour);
        assert_int_equal(s.micro[SPAN_DAY], 30 * ROWS[i].day);
        assert_int_equal(s.micro[SPAN_MONTH], 30 * ROWS[i].month);
        assert_int_equal(s.seconds[SPAN_MONTH], 30 * ROWS[i].month);
    }
    rig_down(&g);
    /* months have their own lengths, leap years theirs */
    static const struct {
        int64_t unix_s, month_s;
    } MONTHS[] = {{1772323199, 1769904000}, /* 2026-02-28 23:59:59 */
                  {1772323200, 1772323200}, /* 2026-03-01 */
                  {1709251199, 1706745600}, /* 2024-02-29 23:59:59 */
                  {1709251200, 1709251200}, /* 2024-03-01 */
                  {4107542400, 4107542400}, /* 2100-03-01, no leap year */
                  {4107542399, 4105123200}, {951868799, 949363200}, {59, 0}};
    for (size_t i = 0; i < ARRAY_LEN(MONTHS); i++) {
        struct ledger_clock c = ledger_clock_of(NULL, (struct wall){MONTHS[i].unix_s * SECOND});
        assert_int_equal(c.start[SPAN_MONTH], MONTHS[i].month_s / 60);
    }
}

static void refused_attempts_use_up_nothing_shared(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct caps one = {.attempts_min = 1}, all = {.attempts_min = 5};
    struct ledger_key v[2] = {key("alice", &one), {77, &all, LEDGER_SYSTEM}};
    struct ledger_hold h;
    struct ledger_refusal r;
    for (int i = 0; i < 50; i++) {
        (void)ledger_reserve(&g.l[0], v, 2, &penny, at(0), &h, &r);
        (void)ledger_release(&g.l[0], &h, 0, at(0));
    }
    assert_int_equal(sum(&g.l[0], &v[0], 0).attempts_min, 50);
    assert_int_equal(sum(&g.l[0], &v[1], 0).attempts_min, 1);
    rig_down(&g);
}

static void crash_counts_as_spent(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct ledger_key k = key("alice", NULL);
    struct ledger_hold h;
    uint32_t next;
    assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
    assert_int_equal(ledger_run(&g.l[0], &k, 1, &h, 45, at(45), &next), REASON_NONE);
    ledger_adopt(g.mem[0], at(50));
    struct ledger_sum s = sum(&g.l[1], &k, 50);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.micro[SPAN_HOUR], 105);
    assert_int_equal(s.seconds[SPAN_MONTH], 105);
    ledger_adopt(g.mem[0], at(51));
    assert_int_equal(sum(&g.l[1], &k, 51).micro[SPAN_HOUR], 105);
    rig_down(&g);
}

static void transfer_moves_the_call(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct caps one = {.calls = 1};
    struct ledger_key a[2] = {key("alice", NULL), {5, NULL, LEDGER_SYSTEM}},
                      b[2] = {key("bob", &one), {5, NULL, LEDGER_SYSTEM}};
    struct ledger_hold h, other;
    struct ledger_refusal r;
    uint32_t next;
    assert_int_equal(ledger_reserve(&g.l[0], a, 2, &penny, at(0), &h, &r), REASON_NONE);
    assert_int_equal(ledger_run(&g.l[0], a, 2, &h, 20, at(20), &next), REASON_NONE);
    assert_int_equal(reserve(&g.l[1], &b[0], 20, &other), REASON_NONE);
    /* bob has his one call: nothing moves */
    assert_int_equal(ledger_move(&g.l[0], &h, b, 2, at(20)), REASON_fraud_calls);
    assert_int_equal(sum(&g.l[0], &a[0], 20).calls, 1);
    assert_int_equal(sum(&g.l[0], &b[0], 20).calls, 1);
    assert_int_equal(sum(&g.l[0], &a[1], 20).calls, 1);
    assert_int_equal(sum(&g.l[0], &a[1], 20).micro[0], 80);
    (void)ledger_release(&g.l[1], &other, 0, at(20));
    assert_int_equal(ledger_move(&g.l[0], &h, b, 2, at(20)), REASON_NONE);
    assert_int_equal(sum(&g.l[0], &a[0], 20).calls, 0);
    assert_int_equal(sum(&g.l[0], &a[0], 20).micro[0], 20); /* spent stays */
    assert_int_equal(sum(&g.l[0], &b[0], 20).calls, 1);
    assert_int_equal(sum(&g.l[0], &b[0], 20).micro[0], 60);
    assert_int_equal(sum(&g.l[0], &a[1], 20).calls, 1);
    assert_int_equal(sum(&g.l[0], &a[1], 20).micro[0], 80);
    assert_int_equal(ledger_release(&g.l[0], &h, 50, at(50)), 50);
    assert_int_equal(sum(&g.l[0], &a[0], 50).micro[0], 20);
    assert_int_equal(sum(&g.l[0], &b[0], 50).micro[0], 30);
    assert_int_equal(sum(&g.l[0], &a[1], 50).micro[0], 50);
    assert_int_equal(sum(&g.l[0], &a[1], 50).calls, 0);
    rig_down(&g);
}

static void full_and_evicted(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 16);
    struct ledger_hold h[64];
    int in = 0;
    for (uint64_t i = 1; i <= 64; i++) {
        struct ledger_key k = {i * 7919, NULL, LEDGER_IDENTITY};
        in += reserve(&g.l[0], &k, 0, &h[i - 1]) == REASON_NONE;
    }
    assert_int_equal(in, 16);
    assert_int_equal(ledger_rows_used(g.mem[0]), 16);
    struct ledger_key more = {999, NULL, LEDGER_IDENTITY};
    struct ledger_hold x;
    assert_int_equal(reserve(&g.l[0], &more, 30, &x), REASON_capacity_ledger);
    for (int i = 0; i < 64; i++) /* half are answered */
        (void)ledger_release(&g.l[0], &h[i], i % 2 ? 10 : 0, at(30));
    assert_int_equal(reserve(&g.l[0], &more, 30, &x), REASON_capacity_ledger); /* attempts live */
    int later = 0;
    for (uint64_t i = 1; i <= 64; i++) {
        struct ledger_key k = {i * 104729, NULL, LEDGER_DEVICE};
        later += reserve(&g.l[0], &k, 60, &x) == REASON_NONE;
    }
    assert_true(later > 0 && later < 16); /* what was spent this month keeps its place */
    int kept = 0;
    for (uint64_t i = 1; i <= 64; i++)
        kept += ledger_sum(&g.l[1], LEDGER_IDENTITY, i * 7919, at(60)).micro[SPAN_MONTH] == 10;
    assert_int_equal(kept + later, 16);
    rig_down(&g);
}

/* Rows enough for a load of 5/8: none is refused. */
static void hundred_thousand(void **state)
{
    (void)state;
    enum { N = 200000 };
    uint32_t rows = N / 5 * 8;
    struct rig g;
    rig_up(&g, rows);
    for (uint64_t i = 0; i < N; i++) {
        char name[24];
        int n = snprintf(name, sizeof name, "u%llu@example.com", (unsigned long long)i / 2);
        struct ledger_seed seed = {.kind = i % 2 ? LEDGER_DEVICE : LEDGER_IDENTITY,
                                   .micro = {1, 1, 1}};
        seed.key = ledger_key_of(&K, seed.kind, str_of(name, (size_t)n));
        assert_ok(ledger_plant(&g.l[0], &seed, at(0)));
    }
    assert_int_equal(ledger_rows_used(g.mem[0]), N);
    size_t each = ledger_bytes(rows) / (N / 2);
    print_message("an identity with its device: %zu bytes of a shard\n", each);
    assert_true(each <= 256);
    rig_down(&g);
}

static void what_others_write_is_not_believed(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct ledger_key k = key("alice", NULL);
    struct ledger_hold h;
    assert_int_equal(reserve(&g.l[1], &k, 0, &h), REASON_NONE);
    assert_int_equal(reserve(&g.l[0], &k, 0, &h), REASON_NONE);
    struct ledger_shard *bad = g.mem[1];
    bad->buckets = UINT32_MAX; /* readers know the size */
    uint32_t i = ledger_find(bad, 8, k.kind, k.key);
    assert_true(i != ROW_NONE);
    ledger_row_at(bad, i)->reserved_micro = -1000000;
    ledger_row_at(bad, i)->micro[0] = INT64_MIN;
    ledger_row_at(bad, i)->calls = UINT32_MAX;
    struct ledger_sum s = sum(&g.l[0], &k, 0);
    assert_int_equal(s.micro[0], 60); /* no credit */
    assert_int_equal(s.calls, UINT32_MAX);
    memset(g.mem[1], 0xff, ledger_bytes(64));
    s = sum(&g.l[0], &k, 0);
    assert_int_equal(s.calls, 1);
    assert_err(ledger_valid(g.mem[1], ledger_bytes(64)), ERR_SYNTAX);
    rig_down(&g);
}

static void planted_and_walked(void **state)
{
    (void)state;
    struct rig g;
    rig_up(&g, 64);
    struct ledger_seed seed = {.key = 7,
                               .kind = LEDGER_ROLE,
                               .seconds = {1, 2, 3},
                               .micro = {4, 5, 6}},
                       got;
    assert_ok(ledger_plant(&g.l[0], &seed, at(0)));
    uint32_t it = 0, calls = 9;
    assert_true(ledger_next(g.mem[0], &it, &got, &calls, at(1)));
    assert_int_equal(calls, 0);
    assert_true(got.key == 7 && got.kind == LEDGER_ROLE && got.micro[2] == 6 &&
                got.seconds[0] == 1);
    assert_false(ledger_next(g.mem[0], &it, &got, &calls, at(1)));
    it = 0;
    assert_true(ledger_next(g.mem[0], &it, &got, &calls, at(3600)));
    assert_true(got.micro[0] == 0 && got.micro[1] == 5);
    seed.kind = LEDGER_KINDS;
    assert_err(ledger_plant(&g.l[0], &seed, at(0)), ERR_RANGE);
    assert_true(ledger_same_window(SPAN_HOUR, at(0), at(3599)));
    assert_false(ledger_same_window(SPAN_HOUR, at(0), at(3600)));
    assert_true(ledger_same_window(SPAN_MONTH, at(0), at(30 * 86400)));
    assert_false(ledger_same_window(SPAN_MONTH, at(0), at(31 * 86400)));
    rig_down(&g);
}

static void defaults(void **state)
{
    (void)state;
    struct caps c, off;
    caps_default(&c, &off);
    assert_int_equal(c.calls, 2);
    assert_true(c.micro[SPAN_DAY] > 0 && c.micro[SPAN_DAY] <= 20000000);
    assert_true(off.micro[SPAN_DAY] > 0 && off.micro[SPAN_DAY] < c.micro[SPAN_DAY]);
    assert_true(off.micro[SPAN_HOUR] <= off.micro[SPAN_DAY] && c.call_micro <= c.micro[SPAN_DAY]);
    assert_true(ledger_key_of(&K, LEDGER_ROLE, STR("a")) !=
                ledger_key_of(&K, LEDGER_TRUNK, STR("a")));
    assert_true(ledger_key_of(&K, LEDGER_ROLE, STR("A")) ==
                ledger_key_of(&K, LEDGER_ROLE, STR("a")));
}

/* 20,000 people with a device each at home in one of up to eight engines, and every second one with
 * calls in another besides: all have room, in 512 bytes each. */
static void shares(void **state)
{
    enum { PEOPLE = 20000 };
    static const struct ledger_clock c;
    (void)state;
    assert_true(ledger_share(0, 1) >= 1024);
    assert_true(ledger_share(UINT32_MAX, 1) <= 1u << 22);
    for (uint32_t n = 1; n <= 8; n *= 2) {
        uint32_t rows = ledger_share(PEOPLE, n), spare = ledger_share(0, n), full = 0;
        size_t bytes = ledger_bytes(rows);
        struct ledger_shard *s = aligned_alloc(64, (bytes + 63) / 64 * 64);
        assert_non_null(s);
        memset(s, 0, bytes);
        ledger_begin(s, rows, &K);
        for (uint32_t i = 0; i < PEOPLE * 2; i++)
            if (i / 2 % n == 0 || (n > 1 && i / 2 % n == 1 && i / 2 / n % 2))
                full += ledger_take(s, LEDGER_IDENTITY, 1000 + i * 7919u, &c) == ROW_NONE;
        assert_int_equal(full, 0);
        assert_true((bytes - ledger_bytes(spare)) * n / PEOPLE <= 400);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_call),
        cmocka_unit_test(each_cap),
        cmocka_unit_test(dearest_call),
        cmocka_unit_test(cut_at_the_cap),
        cmocka_unit_test(answered_with_what_is_held),
        cmocka_unit_test(windows_roll),
        cmocka_unit_test(refused_attempts_use_up_nothing_shared),
        cmocka_unit_test(crash_counts_as_spent),
        cmocka_unit_test(transfer_moves_the_call),
        cmocka_unit_test(full_and_evicted),
        cmocka_unit_test(hundred_thousand),
        cmocka_unit_test(what_others_write_is_not_believed),
        cmocka_unit_test(planted_and_walked),
        cmocka_unit_test(defaults),
        cmocka_unit_test(shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
