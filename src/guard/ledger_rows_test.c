/* The rows of a shard by themselves; what calls do with them is in ledger_test.c. */
#include "base/test.h"
#include "guard/ledger_int.h"
#include <time.h>

#define SECOND INT64_C(1000000)
#define T0     (INT64_C(1767225600) * SECOND) /* 2026-01-01 00:00 UTC */
#define M0     (1767225600u / 60)

static const struct sipkey K = {1, 2};

static struct wall at(int64_t s)
{
    return (struct wall){T0 + s * SECOND};
}

static struct ledger_shard *shard_new(uint32_t rows)
{
    size_t n = ledger_bytes(rows);
    struct ledger_shard *s = aligned_alloc(64, n);
    assert_non_null(s);
    memset(s, 0, n);
    ledger_begin(s, rows, &K);
    return s;
}

static struct ledger_row *taken(struct ledger_shard *s, uint64_t key, struct wall now)
{
    struct ledger_clock c = ledger_clock_of(s, now);
    uint32_t i = ledger_take(s, LEDGER_IDENTITY, key, &c);
    assert_int_not_equal(i, ROW_NONE);
    return ledger_row_at(s, i);
}

static uint32_t find(const struct ledger_shard *s, uint64_t key)
{
    return ledger_find(s, s->buckets, LEDGER_IDENTITY, key);
}

/* -- windows -- */

/* Against the calendar of libc, day by day, up to where a minute ends. */
static void calendar(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 2982616; day += day < 90000 ? 1 : 977) {
        struct tm tm;
        time_t t = (time_t)(day * 86400);
        struct ledger_clock c = ledger_clock_of(NULL, (struct wall){(day * 86400 + 5025) * SECOND});
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(c.minute, day * 1440 + 83);
        assert_int_equal(c.start[SPAN_HOUR], day * 1440 + 60);
        assert_int_equal(c.start[SPAN_DAY], day * 1440);
        assert_int_equal(c.start[SPAN_MONTH], (day + 1 - tm.tm_mday) * 1440);
        assert_int_equal(c.tick, (uint16_t)(day * 1440 + 83));
    }
    assert_int_equal(ledger_clock_of(NULL, (struct wall){-1}).minute, 0);
    assert_int_equal(ledger_clock_of(NULL, (struct wall){INT64_MIN}).start[SPAN_MONTH], 0);
    assert_int_equal(ledger_clock_of(NULL, (struct wall){INT64_MAX}).minute, 0xfffffff0);
}

/* The ledger's time stays where it was for a day of clock going back; then it follows. */
static void clock_back(void **state)
{
    static const struct {
        int64_t s;
        uint32_t minute;
    } rows[] = {
        {59, M0},           {60, M0 + 1},        {-1, M0},
        {-86400, M0},       {-86401, M0 - 1441}, {-87000, M0 - 1450},
        {86400, M0 + 1440},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_shard s = {.latest = M0, .writes = UINT32_MAX};
        struct ledger_clock c = ledger_clock_of(&s, at(rows[i].s));
        assert_int_equal(c.minute, rows[i].minute);
        assert_int_equal(c.start[SPAN_HOUR], c.minute - c.minute % 60);
        assert_int_equal(c.tick, (uint16_t)((T0 / SECOND + rows[i].s) / 60)); /* of the clock */
        assert_int_equal(s.latest, M0);
        c = ledger_clock_move(&s, at(rows[i].s));
        assert_int_equal(s.latest, rows[i].minute);
        assert_int_equal(ledger_writes(&s), 0); /* went round */
    }
}

static void windows(void **state)
{
    static const struct {
        int64_t a, b;
        bool same[SPAN_COUNT];
    } rows[] = {
        {0, 3599, {1, 1, 1}},        {0, 3600, {0, 1, 1}},
        {0, -1, {0, 0, 0}},          {0, 86399, {0, 1, 1}},
        {0, 86400, {0, 0, 1}},       {0, 31 * 86400 - 1, {0, 0, 1}},
        {0, 31 * 86400, {0, 0, 0}},  {3599, 3600, {0, 1, 1}},
        {0, 365 * 86400, {0, 0, 0}}, /* the same day of another year */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            enum span_of_time span = (enum span_of_time)t;
            assert_int_equal(ledger_same_window(span, at(rows[i].a), at(rows[i].b)),
                             rows[i].same[t]);
            assert_int_equal(ledger_same_window(span, at(rows[i].b), at(rows[i].a)),
                             rows[i].same[t]);
        }
    assert_false(ledger_same_window(SPAN_COUNT, at(0), at(0)));
}

static void roll(void **state)
{
    /* A row last written at some minute, rolled at 2026-01-20 10:30. */
    const uint32_t now = M0 + 19 * 1440 + 630;
    const struct {
        uint32_t minute, left; /* bits of the windows that keep their sums */
        bool moved;
    } rows[] = {
        {now, 7, false},        {now - 1, 7, true},    {now - 30, 7, true}, {now - 31, 6, true},
        {now - 630, 6, true},   {now - 631, 4, true},  {M0, 4, true},       {M0 - 1, 0, true},
        {0, 0, true},           {now + 1, 7, false},   /* the clock went back */
        {now + 1440, 7, false}, {now + 1441, 7, true}, /* it had been wrong: back, with all that is
                                                          in it */
        {UINT32_MAX, 7, true},
    };
    (void)state;
    struct ledger_clock c = ledger_clock_of(NULL, at(60 * (int64_t)(now - M0)));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_row r = {.minute = rows[i].minute,
                               .calls = 3,
                               .attempts = 4,
                               .tick = c.tick,
                               .reserved_s = 5,
                               .reserved_micro = 6,
                               .seconds = {1, 2, 3},
                               .micro = {4, 5, 6}};
        ledger_roll(&r, &c);
        assert_int_equal(r.minute, rows[i].moved ? now : rows[i].minute);
        for (unsigned t = 0; t < SPAN_COUNT; t++) {
            assert_int_equal(r.seconds[t], rows[i].left >> t & 1 ? t + 1 : 0);
            assert_int_equal(r.micro[t], rows[i].left >> t & 1 ? t + 4 : 0);
        }
        assert_true(r.calls == 3 && r.reserved_s == 5 && r.reserved_micro == 6);
        assert_int_equal(r.attempts, 4);
        r.tick++; /* attempts of another minute */
        ledger_roll(&r, &c);
        assert_int_equal(r.attempts, 0);
        assert_int_equal(r.tick, c.tick);
    }
}

/* -- the table -- */

static void sizes(void **state)
{
    const size_t bucket = sizeof(struct ledger_bucket);
    (void)state;
    assert_int_equal(bucket, 576);
    assert_int_equal(ledger_bytes(0), 64 + 2 * bucket);
    assert_int_equal(ledger_bytes(16), 64 + 2 * bucket);
    assert_int_equal(ledger_bytes(17), 64 + 3 * bucket);
    assert_int_equal(ledger_bytes(24), 64 + 3 * bucket);
    assert_int_equal(ledger_bytes(UINT32_MAX), 64 + (bucket << 29));
    assert_int_equal(ledger_rows(0), 0);
    assert_int_equal(ledger_rows(63), 0);
    assert_int_equal(ledger_rows(64 + bucket - 1), 0);
    assert_int_equal(ledger_rows(64 + bucket), 8);
    assert_int_equal(ledger_rows(ledger_bytes(17)), 24);
    assert_int_equal(ledger_rows(ledger_bytes(17) - 1), 16);
    assert_int_equal(ledger_rows(64 + (bucket << 24)), 8u << 24);
    assert_int_equal(ledger_rows(64 + bucket + (bucket << 24)), 0); /* no table is that large */
    assert_int_equal(ledger_share(100, 0), 320 + 16384);
    assert_int_equal(ledger_share(100, 1), 320 + 16384);
    assert_int_equal(ledger_share(100, 2), 240 + 16384);
    assert_int_equal(ledger_share(100, 4), 120 + 16384);
    assert_int_equal(ledger_share(1305599, 1), (1u << 22) - 4);
    assert_int_equal(ledger_share(1305600, 1), 1u << 22);
    assert_int_equal(ledger_share(1305601, 1), 1u << 22);
}

static void valid(void **state)
{
    struct ledger_shard *s = shard_new(24);
    size_t n = ledger_bytes(24);
    (void)state;
    assert_ok(ledger_valid(s, n));
    assert_err(ledger_valid(s, n - 1), ERR_SYNTAX);
    assert_err(ledger_valid(s, n + sizeof(struct ledger_bucket)), ERR_SYNTAX);
    assert_err(ledger_valid(s, 0), ERR_SYNTAX);
    s->buckets = 1; /* a key has two places */
    assert_err(ledger_valid(s, 64 + sizeof(struct ledger_bucket)), ERR_SYNTAX);
    s->buckets = 2;
    assert_err(ledger_valid(s, n), ERR_SYNTAX);
    s->buckets = 3;
    s->magic ^= 1;
    assert_err(ledger_valid(s, n), ERR_SYNTAX);
    free(s);
}

static void take_and_find(void **state)
{
    struct ledger_shard *s = shard_new(16);
    struct ledger_clock c = ledger_clock_of(s, at(0));
    (void)state;
    assert_int_equal(ledger_take(s, LEDGER_ROLE, 0, &c), ROW_NONE);
    assert_int_equal(find(s, 0), ROW_NONE); /* not a row that is free */
    for (uint64_t key = 1; key <= 16; key++) {
        assert_int_equal(ledger_find(s, 2, LEDGER_ROLE, key), ROW_NONE);
        uint32_t i = ledger_take(s, LEDGER_ROLE, key, &c), n[2] = {0, 0};
        assert_true(i < 16);
        assert_int_equal(ledger_find(s, 2, LEDGER_ROLE, key), i);
        assert_int_equal(ledger_take(s, LEDGER_ROLE, key, &c), i);
        assert_int_equal(ledger_find(s, 2, LEDGER_TRUNK, key), ROW_NONE);
        assert_int_equal(ledger_find(s, 1, LEDGER_ROLE, key), ROW_NONE);
        assert_int_equal(ledger_rows_used(s), key);
        struct ledger_row *r = ledger_row_at(s, i);
        assert_true(r->kind == LEDGER_ROLE && r->minute == M0 && r->tick == c.tick);
        r->calls = 1;
        for (unsigned k = 0; k < 16; k++)
            n[k / 8] += s->bucket[k / 8].key[k % 8] != 0;
        assert_true(n[0] <= n[1] + 1 && n[1] <= n[0] + 1); /* the emptier of two */
    }
    assert_int_equal(ledger_find(s, 2, LEDGER_ROLE, 0), ROW_NONE);
    assert_int_equal(ledger_take(s, LEDGER_ROLE, 17, &c), ROW_NONE);
    /* The same key of another kind is another row. */
    assert_int_equal(ledger_take(s, LEDGER_TRUNK, 3, &c), ROW_NONE);
    uint32_t was = ledger_find(s, 2, LEDGER_ROLE, 5);
    ledger_row_at(s, was)->calls = 0;
    assert_int_equal(ledger_take(s, LEDGER_TRUNK, 3, &c), was);
    assert_int_equal(ledger_find(s, 2, LEDGER_ROLE, 5), ROW_NONE);
    assert_int_not_equal(ledger_find(s, 2, LEDGER_ROLE, 3), was);
    assert_int_equal(ledger_rows_used(s), 16);
    s->buckets = 1;
    assert_int_equal(ledger_take(s, LEDGER_ROLE, 1, &c), ROW_NONE);
    free(s);
}

/* Which rows of a full table may go for another, and that nothing of them is left. */
static void dead_rows(void **state)
{
    struct ledger_clock c = ledger_clock_of(NULL, at(630 * 60));
    const struct {
        struct ledger_row r;
        bool dead;
    } rows[] = {
        {{.minute = c.minute, .tick = c.tick}, true},
        {{.minute = c.minute, .calls = 1}, false},
        {{.reserved_s = 1}, false},
        {{.reserved_micro = 1}, false},
        {{.attempts = 1, .tick = c.tick}, false},
        {{.attempts = 1, .tick = (uint16_t)(c.tick - 1)}, true},
        {{.seconds = {1, 0, 0}, .minute = c.start[0]}, false},
        {{.seconds = {1, 0, 0}, .minute = c.start[0] - 1}, true},
        {{.seconds = {1, 1, 0}, .minute = c.start[0] - 1}, false},
        {{.micro = {1, 0, 0}, .minute = c.minute}, false},
        {{.micro = {0, 1, 0}, .minute = c.start[1]}, false},
        {{.micro = {1, 1, 0}, .minute = c.start[1] - 1}, true},
        {{.micro = {0, 0, 1}, .minute = c.start[2]}, false},
        {{.micro = {1, 1, 1}, .minute = c.start[2] - 1}, true},
        {{.micro = {1, 1, 1}, .seconds = {1, 1, 1}, .minute = 0}, true},
        {{.micro = {1, 0, 0}, .minute = UINT32_MAX}, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_shard *s = shard_new(16);
        for (uint64_t key = 1; key <= 16; key++)
            taken(s, key, at(0))->calls = 1;
        uint32_t at7 = find(s, 7);
        struct ledger_row *r = ledger_row_at(s, at7);
        *r = rows[i].r;
        assert_int_equal(ledger_take(s, LEDGER_DEVICE, 99, &c), rows[i].dead ? at7 : ROW_NONE);
        assert_int_equal(ledger_rows_used(s), 16);
        if (rows[i].dead) {
            struct ledger_row want = {.minute = c.minute, .tick = c.tick, .kind = LEDGER_DEVICE};
            assert_memory_equal(r, &want, sizeof want);
            assert_int_equal(find(s, 7), ROW_NONE);
        } else {
            assert_memory_equal(r, &rows[i].r, sizeof *r);
        }
        free(s);
    }
}

static void sweep(void **state)
{
    struct ledger_shard *s = shard_new(16);
    struct ledger_clock c = ledger_clock_of(s, at(0));
    (void)state;
    for (uint64_t key = 1; key <= 16; key++) {
        struct ledger_row *r = taken(s, key, at(0));
        r->calls = key <= 6;
        r->micro[0] = 1;
        r->minute = key == 1 ? M0 + 1441 : key == 2 ? M0 + 1440 : key == 3 ? 0 : M0 - 1;
    }
    for (unsigned step = 1; step <= 8; step++) { /* two rows a step */
        ledger_sweep(s, &c);
        assert_int_equal(s->sweep, step * 2);
        for (unsigned i = 0; i < 16; i++)
            if (i >= step * 2)
                assert_int_not_equal(s->bucket[i / 8].key[i % 8], 0);
    }
    assert_int_equal(ledger_rows_used(s), 6);
    for (uint64_t key = 1; key <= 16; key++)
        assert_int_equal(find(s, key) != ROW_NONE, key <= 6);
    /* A wrong clock's row follows back; what is old is left to who writes it next. */
    assert_int_equal(ledger_row_at(s, find(s, 1))->minute, M0);
    assert_int_equal(ledger_row_at(s, find(s, 1))->micro[0], 1);
    assert_int_equal(ledger_row_at(s, find(s, 2))->minute, M0 + 1440);
    assert_int_equal(ledger_row_at(s, find(s, 3))->minute, 0);
    ledger_sweep(s, &c); /* round again */
    assert_int_equal(s->sweep, 2);
    s->sweep = UINT32_MAX;
    ledger_sweep(s, &c);
    assert_int_equal(s->sweep, 2);
    s->used = 0; /* whatever the count says, it does not go below nothing */
    for (uint64_t key = 1; key <= 6; key++)
        *ledger_row_at(s, find(s, key)) = (struct ledger_row){0};
    for (unsigned step = 0; step < 8; step++)
        ledger_sweep(s, &c);
    assert_int_equal(ledger_rows_used(s), 0);
    s->buckets = 0;
    s->sweep = 5;
    ledger_sweep(s, &c);
    assert_int_equal(s->sweep, 5);
    free(s);
}

/* -- reading -- */

static void fill(struct ledger_row *r, uint32_t calls, uint16_t attempts, uint32_t s, int64_t micro)
{
    r->calls = calls;
    r->attempts = attempts;
    r->reserved_s = s;
    r->reserved_micro = micro;
    for (unsigned t = 0; t < SPAN_COUNT; t++) {
        r->seconds[t] = s;
        r->micro[t] = micro;
    }
}

static void sums(void **state)
{
    struct ledger_shard *v[3] = {shard_new(16), shard_new(16), shard_new(16)};
    struct ledger l = {.own = v[0], .n = 4};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        fill(taken(v[i], 7, at(0)), 1u << i, (uint16_t)(1u << i), 10u << i, INT64_C(100) << i);
        l.shard[i + (i == 2)] = v[i]; /* one place is free */
        l.bytes[i + (i == 2)] = ledger_bytes(16);
    }
    l.bytes[2] = ledger_bytes(16);
    struct ledger_sum s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(59));
    assert_true(s.calls == 7 && s.attempts_min == 7 && s.seconds[0] == 140 && s.micro[2] == 1400);
    s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(60)); /* attempts are of their minute */
    assert_true(s.calls == 7 && s.attempts_min == 0 && s.seconds[0] == 140);
    s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(3600)); /* what is reserved is of every window */
    assert_true(s.seconds[0] == 70 && s.seconds[1] == 140 && s.micro[0] == 700);
    s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(31 * 86400));
    assert_true(s.calls == 7 && s.seconds[2] == 70 && s.micro[2] == 700);
    s = ledger_sum(&l, LEDGER_DEVICE, 7, at(0));
    assert_true(s.calls == 0 && s.seconds[0] == 0 && s.micro[0] == 0);
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 0, at(0)).calls, 0);
    l.n = 3; /* the fourth place is not looked at */
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 7, at(0)).calls, 3);
    l.n = 1;
    l.shard[0] = v[1]; /* the own shard counts, listed or not */
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 7, at(0)).calls, 3);
    l.own = NULL;
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 7, at(0)).calls, 2);
    l.bytes[0] = 63; /* not a shard at all */
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 7, at(0)).calls, 0);
    l = (struct ledger){.own = v[0], .n = UINT8_MAX};
    assert_int_equal(ledger_sum(&l, LEDGER_IDENTITY, 7, at(0)).calls, 1);
    for (unsigned i = 0; i < 3; i++)
        free(v[i]);
}

/* Sums end at the largest number; what is below nothing in a shard is nothing. */
static void sums_saturate(void **state)
{
    struct ledger_shard *v[2] = {shard_new(16), shard_new(16)};
    struct ledger l = {
        .own = v[0], .n = 2, .shard = {v[0], v[1]}, .bytes = {ledger_bytes(16), ledger_bytes(16)}};
    (void)state;
    struct ledger_row *r = taken(v[0], 7, at(0)), *q = taken(v[1], 7, at(0));
    fill(r, UINT32_MAX, UINT16_MAX, UINT32_MAX, INT64_MAX);
    fill(q, 1, 1, 1, 1);
    struct ledger_sum s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(0));
    assert_int_equal(s.calls, UINT32_MAX);
    assert_int_equal(s.attempts_min, UINT16_MAX + 1);
    assert_true(s.seconds[0] == UINT32_MAX && s.micro[0] == INT64_MAX);
    for (unsigned i = 0; i < 2; i++) {
        fill(i ? r : q, 0, 0, 0, INT64_MIN);
        fill(i ? q : r, 1, 0, 0, 1);
        s = ledger_sum(&l, LEDGER_IDENTITY, 7, at(0));
        assert_true(s.calls == 1 && s.micro[0] == 2 && s.micro[2] == 2);
    }
    free(v[0]);
    free(v[1]);
}

static void walk(void **state)
{
    struct ledger_shard *s = shard_new(24);
    struct ledger_seed got;
    uint32_t it = 0, calls = 0, n = 0;
    uint64_t seen = 0;
    (void)state;
    for (uint64_t key = 1; key <= 20; key++) /* and four that are free */
        fill(taken(s, key, at(0)), (uint32_t)key, 9, 10, 100);
    ledger_row_at(s, find(s, 5))->kind = LEDGER_KINDS; /* nothing that we write */
    ledger_row_at(s, find(s, 6))->micro[0] = INT64_MIN;
    s->magic = s->buckets = UINT32_MAX; /* nothing of that is believed */
    for (; ledger_walk(s, ledger_bytes(24), &it, &got, &calls, at(3600)); n++) {
        seen += got.key;
        assert_int_equal(calls, got.key);
        assert_int_equal(got.kind, LEDGER_IDENTITY);
        assert_int_equal(got.seconds[SPAN_HOUR], 10); /* reserved only: the hour is over */
        assert_int_equal(got.seconds[SPAN_DAY], 20);
        assert_int_equal(got.micro[SPAN_MONTH], 200);
        assert_int_equal(got.micro[SPAN_HOUR], 100);
    }
    assert_int_equal(n, 19);
    assert_int_equal(seen, 20 * 21 / 2 - 5);
    assert_int_equal(it, 24);
    it = n = 0;
    for (unsigned i = 0; i < 16; i++)
        n += s->bucket[i / 8].key[i % 8] != 0 && s->bucket[i / 8].row[i % 8].kind < LEDGER_KINDS;
    while (ledger_walk(s, ledger_bytes(24) - 1, &it, &got, &calls, at(0)))
        n--; /* two buckets of the three */
    assert_int_equal(it, 16);
    assert_int_equal(n, 0);
    it = 0;
    assert_false(ledger_walk(s, 0, &it, &got, &calls, at(0)));
    it = UINT32_MAX;
    assert_false(ledger_walk(s, ledger_bytes(24), &it, &got, &calls, at(0)));
    free(s);
}

/* -- after the end of a program -- */

static void adopt(void **state)
{
    struct ledger_shard *s = shard_new(16);
    (void)state;
    fill(taken(s, 1, at(0)), 2, 3, 10, 100);
    fill(taken(s, 2, at(0)), 0, 3, 0, 100);
    fill(taken(s, 3, at(0)), 0, 0, 0, 0);
    ledger_row_at(s, find(s, 3))->seconds[SPAN_HOUR] = 8;
    fill(taken(s, 4, at(0)), 0, 0, UINT32_MAX, INT64_MAX);
    fill(taken(s, 5, at(0)), 1, 1, 1, 1);
    fill(taken(s, 6, at(0)), 1, 0, 1, -1);
    ledger_row_at(s, find(s, 6))->micro[SPAN_DAY] = 5;
    uint32_t bad = find(s, 5);
    ledger_row_at(s, bad)->kind = LEDGER_KINDS;
    s->used = 77;
    ledger_adopt(s, at(3600));
    assert_int_equal(ledger_rows_used(s), 5);
    assert_int_equal(s->bucket[bad / 8].key[bad % 8], 0);
    assert_int_equal(s->latest, M0 + 60);
    assert_int_equal(ledger_writes(s), 1);
    const struct ledger_row *r = ledger_row_at(s, find(s, 1));
    assert_true(r->calls == 0 && r->reserved_s == 0 && r->reserved_micro == 0);
    assert_true(r->seconds[0] == 10 && r->seconds[1] == 20 && r->minute == M0 + 60);
    assert_true(r->micro[0] == 100 && r->micro[2] == 200);
    r = ledger_row_at(s, find(s, 2));
    assert_true(r->reserved_micro == 0 && r->micro[0] == 100 && r->micro[1] == 200);
    r = ledger_row_at(s, find(s, 3)); /* nothing ran: as it was */
    assert_true(r->seconds[SPAN_HOUR] == 8 && r->minute == M0);
    r = ledger_row_at(s, find(s, 4));
    assert_true(r->seconds[1] == UINT32_MAX && r->micro[1] == INT64_MAX);
    r = ledger_row_at(s, find(s, 6)); /* no credit */
    assert_true(r->calls == 0 && r->seconds[1] == 2 && r->micro[1] == 5 && r->reserved_micro == 0);
    free(s);
}

static void plant(void **state)
{
    struct ledger_shard *s = shard_new(16);
    struct ledger l = {0};
    struct ledger_seed seed = {
        .key = 7, .kind = LEDGER_TRUNK, .seconds = {1, 2, 3}, .micro = {4, 5}};
    (void)state;
    assert_err(ledger_plant(&l, &seed, at(0)), ERR_STATE);
    l.own = s;
    seed.kind = LEDGER_KINDS;
    assert_err(ledger_plant(&l, &seed, at(0)), ERR_RANGE);
    seed.kind = LEDGER_SYSTEM; /* the last */
    seed.key = 0;
    assert_err(ledger_plant(&l, &seed, at(0)), ERR_RANGE);
    assert_int_equal(ledger_writes(s), 0);
    assert_int_equal(ledger_rows_used(s), 0);
    seed.key = 7;
    assert_ok(ledger_plant(&l, &seed, at(0)));
    assert_ok(ledger_plant(&l, &seed, at(3600))); /* on top, where the window is the same */
    assert_int_equal(ledger_writes(s), 2);
    struct ledger_row *r = ledger_row_at(s, ledger_find(s, 2, LEDGER_SYSTEM, 7));
    assert_true(r->seconds[0] == 1 && r->seconds[1] == 4 && r->seconds[2] == 6);
    assert_true(r->micro[0] == 4 && r->micro[1] == 10 && r->micro[2] == 0);
    seed = (struct ledger_seed){.key = 7,
                                .kind = LEDGER_SYSTEM,
                                .seconds = {0, UINT32_MAX, 0},
                                .micro = {-9, INT64_MAX, INT64_MIN}};
    assert_ok(ledger_plant(&l, &seed, at(3600)));
    assert_true(r->seconds[1] == UINT32_MAX && r->micro[1] == INT64_MAX);
    assert_true(r->micro[0] == 4 && r->micro[2] == 0); /* nobody gives credit */
    for (uint64_t key = 100; key < 115; key++)
        taken(s, key, at(3600))->calls = 1;
    seed.key = 8;
    assert_err(ledger_plant(&l, &seed, at(3600)), ERR_FULL);
    assert_int_equal(ledger_find(s, 2, LEDGER_SYSTEM, 8), ROW_NONE);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar),      cmocka_unit_test(clock_back),    cmocka_unit_test(windows),
        cmocka_unit_test(roll),          cmocka_unit_test(sizes),         cmocka_unit_test(valid),
        cmocka_unit_test(take_and_find), cmocka_unit_test(dead_rows),     cmocka_unit_test(sweep),
        cmocka_unit_test(sums),          cmocka_unit_test(sums_saturate), cmocka_unit_test(walk),
        cmocka_unit_test(adopt),         cmocka_unit_test(plant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
