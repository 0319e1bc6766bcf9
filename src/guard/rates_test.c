#include "base/test.h"
#include "guard/rates.h"
#include "wire/tel/number.h"
#include <stdlib.h>

#define DAY INT64_C(86400000000)

static struct rates_entry row(const char *prefix, uint8_t deck, int64_t minute)
{
    struct rates_entry e = {.deck = deck,
                            .rate = {.minute_micro = minute, .minimum_s = 1, .increment_s = 1}};
    (void)snprintf(e.prefix, sizeof e.prefix, "%s", prefix);
    return e;
}

static struct rates *built(const struct rates_entry *v, size_t n)
{
    size_t bytes = rates_bytes(n), bad = 0;
    struct rates *r = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(r);
    assert_ok(rates_build(v, n, r, bytes, &bad));
    assert_ok(rates_valid(r, bytes));
    assert_int_equal(rates_count(r), n);
    return r;
}

static int64_t minute_of(const struct rates *r, uint8_t deck, const char *e164, int64_t at)
{
    struct rate x = {0};
    return rates_find(r, deck, str_c(e164), (struct wall){at}, &x) ? x.minute_micro : -1;
}

static void longest_prefix(void **state)
{
    (void)state;
    struct rates_entry v[] = {row("49", 1, 10),  row("4", 1, 99),
                              row("4930", 1, 5), row("49301234567", 1, 1),
                              row("49", 2, 70),  row("123456789012345", 16, 3),
                              row("0", 1, 8)};
    struct rates *r = built(v, ARRAY_LEN(v));
    static const struct {
        const char *e164;
        uint8_t deck;
        int64_t minute;
    } ROWS[] = {
        {"+4930123", 1, 5},
        {"4930123", 1, 5},
        {"+493", 1, 10},
        {"+49", 1, 10},
        {"+48", 1, 99},
        {"+4", 1, 99},
        {"+5", 1, -1},
        {"+", 1, -1},
        {"", 1, -1},
        {"+49301234567", 1, 1},
        {"+493012345678901", 1, 1},
        {"+4930", 2, 70},
        {"+4", 2, -1},
        {"+49", 3, -1},
        {"+49", 0, -1},
        {"+49", 17, -1},
        {"+123456789012345", 16, 3},
        {"+1234567890123459", 16, 3},
        {"+12345678901234", 16, -1},
        {"0", 1, 8},
        {"49x", 1, -1},
        {"++49", 1, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        if (minute_of(r, ROWS[i].deck, ROWS[i].e164, 0) != ROWS[i].minute)
            print_error("%s of %u\n", ROWS[i].e164, ROWS[i].deck);
        assert_int_equal(minute_of(r, ROWS[i].deck, ROWS[i].e164, 0), ROWS[i].minute);
    }
    assert_int_equal(minute_of(NULL, 1, "+49", 0), -1);
    struct rate x;
    assert_true(rates_find(r, 1, STR("+4930999"), (struct wall){0}, &x));
    assert_int_equal(x.prefix_n, 4);
    assert_int_equal(x.deck, 1);
    assert_false(x.builtin);
    struct rates_entry e;
    uint32_t it = 0, n = 0;
    for (; rates_next(r, &it, &e); n++)
        assert_int_equal(minute_of(r, e.deck, e.prefix, 0), e.rate.minute_micro);
    assert_int_equal(n, ARRAY_LEN(v));
    free(r);
}

static void dates(void **state)
{
    (void)state;
    struct rates_entry v[] = {row("49", 1, 1), row("49", 1, 2), row("49", 1, 3), row("4930", 1, 4)};
    v[1].from.us = 10 * DAY;
    v[2].from.us = 20 * DAY, v[2].until.us = 30 * DAY;
    v[3].from.us = 15 * DAY, v[3].until.us = 16 * DAY;
    struct rates *r = built(v, ARRAY_LEN(v));
    assert_int_equal(minute_of(r, 1, "+4930", 0), 1);
    assert_int_equal(minute_of(r, 1, "+4930", 10 * DAY - 1), 1);
    assert_int_equal(minute_of(r, 1, "+4930", 10 * DAY), 2);
    assert_int_equal(minute_of(r, 1, "+4930", 15 * DAY - 1), 2);
    assert_int_equal(minute_of(r, 1, "+4930", 15 * DAY), 4);
    assert_int_equal(minute_of(r, 1, "+4930", 16 * DAY - 1), 4);
    assert_int_equal(minute_of(r, 1, "+4930", 16 * DAY), 2);
    assert_int_equal(minute_of(r, 1, "+49", 20 * DAY), 3);
    assert_int_equal(minute_of(r, 1, "+49", 30 * DAY - 1), 3);
    assert_int_equal(minute_of(r, 1, "+49", 30 * DAY), 2); /* the one before goes on */
    free(r);
}

static void refused(void **state)
{
    (void)state;
    ALIGNED(64) uint8_t mem[4096];
    static const struct {
        const char *prefix;
        enum err e;
    } PREFIX[] = {
        {"", ERR_SYNTAX}, {"4a", ERR_SYNTAX}, {"+49", ERR_SYNTAX}, {"123456789012345", OK}};
    size_t bad = 9;
    for (size_t i = 0; i < ARRAY_LEN(PREFIX); i++) {
        struct rates_entry v[2] = {row("1", 1, 1), row(PREFIX[i].prefix, 1, 1)};
        bad = 9;
        assert_err(rates_build(v, 2, mem, sizeof mem, &bad), PREFIX[i].e);
        assert_int_equal(bad, PREFIX[i].e == OK ? 9 : 1);
    }
    struct rates_entry v[3] = {row("1", 1, 1), row("2", 1, 1), row("1", 1, 2)};
    assert_err(rates_build(v, 3, mem, sizeof mem, &bad), ERR_EXISTS);
    assert_int_equal(bad, 2);
    v[2].from.us = 1;
    assert_ok(rates_build(v, 3, mem, sizeof mem, &bad));
    assert_err(rates_build(v, 3, mem, rates_bytes(3) - 1, &bad), ERR_FULL);
    assert_ok(rates_valid((struct rates *)(void *)mem, rates_bytes(3)));
    assert_err(rates_valid((struct rates *)(void *)mem, rates_bytes(3) - 1), ERR_SYNTAX);
    mem[0] ^= 1;
    assert_err(rates_valid((struct rates *)(void *)mem, rates_bytes(3)), ERR_SYNTAX);
    for (int i = 0; i < 8; i++) {
        struct rates_entry e = row("1", 1, 1);
        switch (i) {
        case 0:
            e.deck = 0;
            break;
        case 1:
            e.deck = RATES_DECKS + 1;
            break;
        case 2:
            e.rate.increment_s = 0;
            break;
        case 3:
            e.rate.minimum_s = 0;
            break;
        case 4:
            e.rate.minute_micro = -1;
            break;
        case 5:
            e.rate.setup_micro = INT64_MAX;
            break;
        case 6:
            e.from.us = e.until.us = 5;
            break;
        default:
            e.from.us = -1;
        }
        bad = 9;
        assert_err(rates_build(&e, 1, mem, sizeof mem, &bad), ERR_RANGE);
        assert_int_equal(bad, 0);
    }
    assert_ok(rates_build(NULL, 0, mem, sizeof mem, &bad));
    assert_ok(rates_valid((struct rates *)(void *)mem, rates_bytes(0)));
    assert_int_equal(minute_of((struct rates *)(void *)mem, 1, "+49", 0), -1);
}

static void prices(void **state)
{
    (void)state;
    static const struct {
        struct rate r;
        uint32_t s;
        int64_t micro;
    } ROWS[] = {
        {{0, 60, 1, 1, 0, 0, 0, 0}, 0, 0},
        {{5, 60, 1, 1, 0, 0, 0, 0}, 0, 0}, /* unanswered: no set-up fee either */
        {{5, 60, 1, 1, 0, 0, 0, 0}, 1, 6},
        {{5, 60, 60, 60, 0, 0, 0, 0}, 1, 65},
        {{5, 60, 60, 60, 0, 0, 0, 0}, 60, 65},
        {{5, 60, 60, 60, 0, 0, 0, 0}, 61, 125},
        {{0, 60, 30, 6, 0, 0, 0, 0}, 1, 30},
        {{0, 60, 30, 6, 0, 0, 0, 0}, 30, 30},
        {{0, 60, 30, 6, 0, 0, 0, 0}, 31, 36},
        {{0, 60, 30, 6, 0, 0, 0, 0}, 36, 36},
        {{0, 60, 30, 6, 0, 0, 0, 0}, 37, 42},
        {{0, 1, 1, 1, 0, 0, 0, 0}, 1, 1}, /* rounded up */
        {{0, 61, 1, 1, 0, 0, 0, 0}, 59, 60},
        {{0, INT64_MAX, 1, 1, 0, 0, 0, 0}, UINT32_MAX, INT64_MAX},
        {{INT64_MAX, 60, 1, 1, 0, 0, 0, 0}, 1, INT64_MAX},
        {{-5, -60, 1, 1, 0, 0, 0, 0}, 100, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        assert_int_equal(rate_price(&ROWS[i].r, ROWS[i].s), ROWS[i].micro);
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 200000; i++) { /* each the inverse of the other */
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        struct rate r = {.setup_micro = (int64_t)(x % 7 ? x % 1000 : 0),
                         .minute_micro = (int64_t)(1 + (x >> 10) % 100000),
                         .minimum_s = (uint16_t)(1 + (x >> 30) % 90),
                         .increment_s = (uint16_t)(1 + (x >> 40) % 70)};
        int64_t money = (int64_t)((x >> 20) % 300000);
        uint32_t s = rate_seconds(&r, money);
        assert_true(s == 0 || rate_price(&r, s) <= money);
        assert_true(rate_price(&r, s + 1) > money);
    }
    struct rate free_call = {.minimum_s = 60, .increment_s = 60};
    assert_true(rate_seconds(&free_call, 0) == UINT32_MAX);
    free_call.setup_micro = 1;
    assert_int_equal(rate_seconds(&free_call, 0), 0);
    assert_true(rate_seconds(&free_call, 1) == UINT32_MAX);
}

static void classes(void **state)
{
    (void)state;
    struct rate dearest = rate_of_class(CLASS_UNKNOWN);
    for (unsigned i = 0; i < CLASS_COUNT + 3; i++) {
        struct rate r = rate_of_class((uint8_t)i);
        assert_true(r.builtin && r.increment_s == 60 && r.minimum_s == 60);
        assert_true(rate_price(&r, 60) <= rate_price(&dearest, 60));
        bool nothing = i == CLASS_INTERNAL || i == CLASS_EMERGENCY || i == CLASS_TOLL_FREE;
        assert_true(nothing == (rate_price(&r, 60) == 0));
    }
}

/* Against a slow look at every entry. */
static void random_decks(void **state)
{
    (void)state;
    enum { N = 3000 };
    static struct rates_entry v[N];
    uint64_t x = 1234567;
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        char p[16];
        (void)snprintf(p, sizeof p, "%llu", (unsigned long long)((x >> 33) % 100000));
        p[1 + (x >> 20) % 5] = 0;
        struct rates_entry e = row(p, (uint8_t)(1 + (x >> 50) % 2), i + 1);
        e.from.us = (int64_t)((x >> 55) % 4) * DAY;
        e.until.us = (x >> 60) % 2 ? e.from.us + DAY : 0;
        bool twice = false;
        for (size_t k = 0; k < n && !twice; k++)
            twice =
                v[k].deck == e.deck && !strcmp(v[k].prefix, e.prefix) && v[k].from.us == e.from.us;
        if (!twice)
            v[n++] = e;
    }
    struct rates *r = built(v, n);
    for (uint32_t q = 0; q < 20000; q++) {
        char num[12];
        (void)snprintf(num, sizeof num, "%u", q * 7919u % 1000000u);
        int64_t at = (int64_t)(q % 11) * DAY / 2;
        uint8_t deck = (uint8_t)(1 + q % 2);
        const struct rates_entry *best = NULL;
        for (size_t i = 0; i < n; i++) {
            const struct rates_entry *e = &v[i];
            size_t l = strlen(e->prefix);
            if (e->deck != deck || strncmp(e->prefix, num, l) || at < e->from.us ||
                (e->until.us && at >= e->until.us))
                continue;
            if (!best || l > strlen(best->prefix) ||
                (l == strlen(best->prefix) && e->from.us > best->from.us))
                best = e;
        }
        assert_int_equal(minute_of(r, deck, num, at), best ? best->rate.minute_micro : -1);
    }
    free(r);
}

/* A million prefixes: nothing is lost, and the table of them stays shallow. */
static void million(void **state)
{
    (void)state;
    enum { N = 1000000 };
    struct rates_entry *v = calloc(N, sizeof *v);
    assert_non_null(v);
    for (uint32_t i = 0; i < N; i++) {
        char p[16];
        (void)snprintf(p, sizeof p, "%u", 1000000u + (uint32_t)((uint64_t)i * 7919u % N));
        v[i] = row(p, 1, i);
    }
    struct rates *r = built(v, N);
    for (uint32_t i = 0; i < N; i += 97)
        assert_int_equal(minute_of(r, 1, v[i].prefix, 0), i);
    free(r);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_prefix), cmocka_unit_test(dates),   cmocka_unit_test(refused),
        cmocka_unit_test(prices),         cmocka_unit_test(classes), cmocka_unit_test(random_decks),
        cmocka_unit_test(million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
