#include "base/test.h"
#include "guard/ban.h"

#define CAP 1024u
static struct ban_board *board;
static const struct wall NOW = {1000000000};

static int setup(void **state)
{
    (void)state;
    board = aligned_alloc(16, (ban_bytes(CAP) + 15) & ~(size_t)15);
    ban_init(board, CAP);
    board->key = (struct sipkey){1, 2};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(board);
    return 0;
}

static struct prefix net(const char *text)
{
    struct prefix p;
    assert_int_equal(prefix_parse(str_c(text), &p), OK);
    return p;
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(str_c(text), &a), OK);
    return a;
}

static struct ban of(const char *prefix, enum treat t)
{
    return (struct ban){.scope = BAN_SOURCE,
                        .treat = (uint8_t)t,
                        .by = BY_ADMIN,
                        .times = 1,
                        .net = net(prefix),
                        .since = NOW};
}

static struct ban party(enum ban_scope scope, uint64_t key, enum treat t)
{
    return (struct ban){
        .scope = (uint8_t)scope, .treat = (uint8_t)t, .by = BY_ADMIN, .key = key, .since = NOW};
}

static uint32_t put(struct ban b)
{
    uint32_t slot = UINT32_MAX;
    assert_int_equal(ban_valid(&b, sizeof b), OK);
    assert_int_equal(ban_put(board, CAP, &b, &slot), OK);
    assert_true(slot < CAP);
    return slot;
}

static bool del(struct ban b)
{
    return ban_del(board, CAP, &b);
}

/* The treatment in force for that address; -1: none. */
static int at(const char *address, struct wall now)
{
    struct ban_view v;
    struct addr a = ip(address);
    return ban_of_source(board, CAP, &a, now, &v) ? v.treat : -1;
}

static void test_source(void **state)
{
    (void)state;
    assert_int_equal(at("192.0.2.1", NOW), -1);
    uint32_t slot = put(of("192.0.2.1", TREAT_BAN));
    assert_int_equal(at("192.0.2.1", NOW), TREAT_BAN);
    assert_int_equal(at("192.0.2.1:5070", NOW), TREAT_BAN); /* whatever its port */
    assert_int_equal(at("::ffff:192.0.2.1", NOW), TREAT_BAN);
    assert_int_equal(at("192.0.2.0", NOW), -1);
    assert_int_equal(at("192.0.2.2", NOW), -1);
    assert_int_equal(at("c000:201::", NOW), -1); /* the same bytes in the other family */
    struct ban_view v;
    struct addr a = ip("192.0.2.1"), none = {0};
    assert_true(ban_of_source(board, CAP, &a, NOW, &v));
    assert_int_equal(v.slot, slot);
    assert_int_equal(v.scope, BAN_SOURCE);
    assert_false(ban_of_source(board, CAP, &none, NOW, &v));
    assert_false(ban_of_source(NULL, 0, &a, NOW, &v));
    assert_false(ban_of_source(board, 0, &a, NOW, &v));
    assert_true(del(of("192.0.2.1", TREAT_BAN)));
    assert_false(del(of("192.0.2.1", TREAT_BAN)));
    assert_int_equal(at("192.0.2.1", NOW), -1);
    assert_int_equal(board->used, 0);
    assert_int_equal(board->sources.v4, 0);
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *prefix, *first, *last, *before, *after;
    } rows[] = {
        {"198.51.100.0/24", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
        {"203.0.113.64/26", "203.0.113.64", "203.0.113.127", "203.0.113.63", "203.0.113.128"},
        {"203.0.113.9/32", "203.0.113.9", "203.0.113.9", "203.0.113.8", "203.0.113.10"},
        {"128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255", "0.0.0.0"},
        {"2001:db8:1::/64", "2001:db8:1::", "2001:db8:1:0:ffff:ffff:ffff:ffff",
         "2001:db8:0:ffff:ffff::", "2001:db8:1:1::"},
        {"2001:db8::5/128", "2001:db8::5", "2001:db8::5", "2001:db8::4", "2001:db8::6"},
        {"2001:db8:8000::/33", "2001:db8:8000::", "2001:db8:ffff::1", "2001:db8:7fff::1",
         "2001:db9::"},
        {"2001:db8::10:0/108", "2001:db8::10:0", "2001:db8::1f:ffff", "2001:db8::f:ffff",
         "2001:db8::20:0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)put(of(rows[i].prefix, TREAT_DROP));
        assert_int_equal(at(rows[i].first, NOW), TREAT_DROP);
        assert_int_equal(at(rows[i].last, NOW), TREAT_DROP);
        assert_int_equal(at(rows[i].before, NOW), -1);
        assert_int_equal(at(rows[i].after, NOW), -1);
        assert_true(del(of(rows[i].prefix, TREAT_DROP)));
    }
    assert_int_equal(board->sources.v6[0] | board->sources.v6[1] | board->sources.v6[2], 0);
}

static void test_hardest(void **state)
{
    (void)state;
    struct ban weigh = of("192.0.2.0/24", TREAT_WEIGH);
    weigh.weight = 30;
    (void)put(weigh);
    assert_int_equal(at("192.0.2.1", NOW), TREAT_WEIGH);
    (void)put(of("192.0.2.0/28", TREAT_CHALLENGE));
    assert_int_equal(at("192.0.2.1", NOW), TREAT_CHALLENGE);
    (void)put(of("192.0.0.0/16", TREAT_BAN));
    (void)put(of("192.0.2.1/32", TREAT_TARPIT));
    assert_int_equal(at("192.0.2.1", NOW), TREAT_BAN);
    assert_int_equal(at("192.0.3.1", NOW), TREAT_BAN);
    (void)put(of("192.0.0.0/16", TREAT_REFUSE)); /* another treatment of the same */
    assert_int_equal(board->used, 4);
    assert_int_equal(at("192.0.2.1", NOW), TREAT_REFUSE);
    assert_true(del(of("192.0.0.0/16", TREAT_BAN)));
    assert_int_equal(at("192.0.2.1", NOW), TREAT_TARPIT);
    assert_int_equal(at("192.0.3.1", NOW), -1);
}

static void test_expiry(void **state)
{
    (void)state;
    struct ban b = of("192.0.2.1", TREAT_BAN);
    b.until = (struct wall){NOW.us + 10};
    (void)put(b);
    assert_int_equal(at("192.0.2.1", (struct wall){NOW.us + 9}), TREAT_BAN);
    assert_int_equal(at("192.0.2.1", (struct wall){NOW.us + 10}), -1);
    b.until.us = 0;
    (void)put(b);
    assert_int_equal(at("192.0.2.1", (struct wall){INT64_MAX}), TREAT_BAN);
    b.dry = 1; /* told, not done */
    (void)put(b);
    assert_int_equal(at("192.0.2.1", NOW), -1);
}

static void test_party(void **state)
{
    (void)state;
    struct ban_view v;
    struct addr a = ip("192.0.2.7"), other = ip("192.0.2.8"), six = ip("2001:db8::1:7");
    assert_false(ban_of_party(board, CAP, &a, 11, 12, 13, NOW, &v));
    struct ban pair = party(BAN_PAIR, 11, TREAT_BAN);
    pair.net = net("192.0.2.7");
    (void)put(pair);
    assert_true(ban_of_party(board, CAP, &a, 11, 0, 0, NOW, &v));
    assert_int_equal(v.scope, BAN_PAIR);
    assert_false(ban_of_party(board, CAP, &a, 10, 0, 0, NOW, &v));     /* his neighbour */
    assert_false(ban_of_party(board, CAP, &other, 11, 0, 0, NOW, &v)); /* himself, elsewhere */
    assert_false(ban_of_party(board, CAP, &a, 0, 11, 11, NOW, &v));    /* no AOR */
    assert_int_equal(at("192.0.2.7", NOW), -1);                        /* the address is free */
    (void)put(party(BAN_AOR, 11, TREAT_LOCK));
    assert_true(ban_of_party(board, CAP, &a, 11, 0, 0, NOW, &v));
    assert_int_equal(v.treat, TREAT_BAN);
    assert_true(ban_of_party(board, CAP, &other, 11, 0, 0, NOW, &v));
    assert_int_equal(v.treat, TREAT_LOCK);
    (void)put(party(BAN_DEVICE, 12, TREAT_REFUSE));
    (void)put(party(BAN_NUMBER, 13, TREAT_KICK));
    assert_true(ban_of_party(board, CAP, &other, 0, 12, 0, NOW, &v));
    assert_int_equal(v.scope, BAN_DEVICE);
    assert_true(ban_of_party(board, CAP, &other, 0, 12, 13, NOW, &v));
    assert_int_equal(v.scope, BAN_NUMBER);
    assert_false(ban_of_party(board, CAP, &other, 12, 13, 11, NOW, &v)); /* keys do not mix */
    pair.net = net("2001:db8::/64");
    (void)put(pair);
    assert_true(ban_of_party(board, CAP, &six, 11, 0, 0, NOW, &v));
    assert_true(del(pair));
    assert_true(del(party(BAN_AOR, 11, TREAT_LOCK)));
    assert_false(ban_of_party(board, CAP, &six, 11, 0, 0, NOW, &v));
}

static struct ban nth(uint32_t i)
{
    struct ban b = of("10.0.0.0", TREAT_BAN);
    b.net.a.ip[1] = (uint8_t)(i >> 16);
    b.net.a.ip[2] = (uint8_t)(i >> 8);
    b.net.a.ip[3] = (uint8_t)i;
    return b;
}

static void test_full(void **state)
{
    (void)state;
    static uint8_t seen[CAP];
    uint32_t slot, found;
    struct ban_view v;
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < CAP; i++) {
        slot = put(nth(i));
        assert_int_equal(seen[slot]++, 0);
    }
    struct ban more = nth(CAP);
    assert_int_equal(ban_put(board, CAP, &more, &slot), ERR_FULL);
    (void)put(nth(CAP - 1)); /* what is there may be changed */
    for (uint32_t i = 0; i < CAP; i++) {
        struct ban b = nth(i);
        assert_true(ban_of_source(board, CAP, &b.net.a, NOW, &v));
        assert_true(ban_find(board, CAP, &b, &found));
        assert_int_equal(found, v.slot);
    }
    for (uint32_t i = 0; i < CAP; i += 2)
        assert_true(del(nth(i)));
    for (uint32_t i = 0; i < CAP; i++) {
        struct ban b = nth(i);
        assert_int_equal(ban_of_source(board, CAP, &b.net.a, NOW, &v), i % 2);
    }
    assert_int_equal(board->used, CAP / 2);
    (void)put(more);
    for (uint32_t i = 1; i < CAP; i += 2)
        assert_true(del(nth(i)));
    assert_true(del(more));
    assert_int_equal(board->sources.v4, 0);
    assert_int_equal(board->parties, 0);
}

/* Whatever stands on a board: a reader comes back, and reads nothing outside (ASan). */
static void test_damaged(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    struct ban_view v;
    for (uint32_t i = 0; i < 64; i++)
        (void)put(nth(i));
    for (int round = 0; round < 300; round++) {
        uint8_t *p = (uint8_t *)board;
        size_t n = ban_bytes(CAP);
        for (size_t i = 0; i < n; i += 8) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            if (round % 3 == 0 || x % 64 == 0)
                memcpy(p + i, &x, MIN(n - i, sizeof x));
        }
        if (round % 5 == 0)
            memset(&board->slot[CAP], 1, CAP * 4); /* all chains begin far away */
        for (uint32_t i = 0; i < CAP && round % 7 == 0; i++)
            board->slot[i].seq &= ~1u, board->slot[i].next = i + 1; /* and go round */
        for (uint32_t i = 0; i < 64; i++) {
            struct ban b = nth(i);
            if (ban_of_source(board, CAP, &b.net.a, NOW, &v))
                assert_true(v.slot < CAP && v.treat < TREAT_COUNT && v.reason < REASON_COUNT);
            struct addr six = ip("2001:db8::1");
            (void)ban_of_source(board, CAP, &six, NOW, &v);
            (void)ban_of_party(board, CAP, &six, x, x + 1, i, NOW, &v);
        }
    }
}

/* A writer that died inside a slot. */
static void test_torn(void **state)
{
    (void)state;
    uint32_t slot = put(of("192.0.2.1", TREAT_BAN));
    board->slot[slot].seq |= 1;
    assert_int_equal(at("192.0.2.1", NOW), -1);
    (void)put(of("192.0.2.1", TREAT_BAN));
    assert_int_equal(at("192.0.2.1", NOW), TREAT_BAN);
}

static void test_valid(void **state)
{
    (void)state;
    const struct ban good = of("192.0.2.0/24", TREAT_BAN);
#define BAD(change)                                                                                \
    do {                                                                                           \
        struct ban b = good;                                                                       \
        change;                                                                                    \
        assert_int_equal(ban_valid(&b, sizeof b), ERR_RANGE);                                      \
    } while (0)
    assert_int_equal(ban_valid(&good, sizeof good), OK);
    assert_int_equal(ban_valid(&good, sizeof good - 1), ERR_SYNTAX);
    assert_int_equal(ban_valid(&good, sizeof good + 1), ERR_SYNTAX);
    BAD(b.scope = 0);
    BAD(b.scope = BAN_NUMBER + 1);
    BAD(b.scope = BAN_PAIR); /* no key */
    BAD(b.scope = BAN_AOR);
    BAD(b.treat = TREAT_LOG);
    BAD(b.treat = TREAT_COUNT);
    BAD(b.by = BY_ADMIN + 1);
    BAD(b.detector = DET_COUNT);
    BAD(b.reason = REASON_COUNT);
    BAD(b.feed = GUARD_FEEDS);
    BAD(b.dry = 2);
    BAD(b.forgeable = 2);
    BAD(b.who_n = BAN_WHO + 1);
    BAD(b.why_n = BAN_WHY + 1);
    BAD(b.since.us = -1);
    BAD(b.until.us = -1);
    BAD(b.net.a.family = 5);
    BAD(b.net.a.family = ADDR_NONE);
    BAD(b.net.bits = 33);
    BAD(b.net.bits = 0);
    BAD(b.net.bits = 23; b.net.a.ip[2] = 3);
    BAD(b.net.a.port = 5060);
    BAD(b.net.a.ip[3] = 1);  /* a host bit */
    BAD(b.net.a.ip[15] = 1); /* beyond the address */
    BAD(b.who_n = 2; b.who[1] = 0x1b);
    BAD(b.why_n = 1; b.why[0] = '\x7f');
    BAD(b.treat = TREAT_WEIGH; b.scope = BAN_AOR; b.key = 3);
    struct ban b = party(BAN_AOR, 3, TREAT_LOCK);
    b.who_n = BAN_WHO;
    b.why_n = BAN_WHY;
    memset(b.who, 'a', BAN_WHO);
    memset(b.why, '~', BAN_WHY);
    assert_int_equal(ban_valid(&b, sizeof b), OK);
    uint32_t slot;
    b.scope = 9;
    assert_int_equal(ban_put(board, CAP, &b, &slot), ERR_RANGE);
    b = good;
    b.net.a.ip[3] = 1;
    assert_int_equal(ban_put(board, CAP, &b, &slot), ERR_RANGE);
    assert_int_equal(board->used, 0);
}

static void test_policy(void **state)
{
    (void)state;
    struct guard_policy p;
    guard_policy_default(&p);
    struct prefix in = net("192.0.2.77"), out = net("192.0.3.1"), wide = net("192.0.0.0/16");
    assert_false(ban_exempt(&p, &in));
    p.exempt[p.n_exempt++] = net("2001:db8::/32");
    p.exempt[p.n_exempt++] = net("192.0.2.0/24");
    assert_true(ban_exempt(&p, &in));
    assert_false(ban_exempt(&p, &out));
    assert_true(ban_exempt(&p, &wide)); /* it would hit somebody exempt */
    in = net("2001:db8:5::/64");
    assert_true(ban_exempt(&p, &in));
    p.ban_s = 100;
    p.ban_max_s = 1000;
    p.spoof_s = 7;
    static const uint32_t want[] = {100, 100, 200, 400, 800, 1000, 1000};
    for (uint32_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(ban_seconds(&p, i, false), want[i]);
    assert_int_equal(ban_seconds(&p, UINT32_MAX, false), 1000);
    assert_int_equal(ban_seconds(&p, 5, true), 7);
    p.ban_max_s = 10; /* less than the first */
    assert_int_equal(ban_seconds(&p, 9, false), 100);
    p.ban_s = UINT32_MAX;
    p.ban_max_s = UINT32_MAX;
    assert_int_equal(ban_seconds(&p, 9, false), UINT32_MAX);
    p.ban_s = p.ban_max_s = p.spoof_s = 0;
    assert_int_equal(ban_seconds(&p, 1, false), 1);
    assert_int_equal(ban_seconds(&p, 1, true), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_source),  TEST(test_prefixes), TEST(test_hardest),
                                       TEST(test_expiry),  TEST(test_party),    TEST(test_full),
                                       TEST(test_damaged), TEST(test_torn),     TEST(test_valid),
                                       TEST(test_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
