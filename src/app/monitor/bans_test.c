/* What becomes of a ban that is asked for: a monitor without programs. */
#include "app/monitor/bans_in.h"
#include "base/test.h"
#include "io/file.h"
#include <unistd.h>

static struct monitor *m;
static char folder[64];

static struct prefix net(const char *text)
{
    struct prefix p;
    assert_ok(prefix_parse(str_c(text), &p));
    return p;
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_ok(addr_parse(str_c(text), &a));
    return a;
}

static struct guard_policy *policy(void)
{
    return &m->conf->policy.guard;
}

static int setup(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/ringwall-bans-XXXXXX", 26);
    assert_non_null(mkdtemp(folder));
    static const struct monitor_cfg quiet = {.quiet = true};
    m = calloc(1, sizeof *m);
    m->conf = calloc(1, sizeof *m->conf);
    m->cfg = &quiet;
    m->n_engines = 1;
    m->n_programs = ENGINE_SLOT(1);
    m->bans_board.fd = m->bans_ro.fd = m->ban_hits[0].fd = -1;
    memcpy(m->state, folder, sizeof folder);
    m->loop.now = (struct now){{DUR_S(1000).us}, {INT64_C(1795000000000000)}};
    guard_policy_default(policy());
    policy()->ban_s = 100;
    policy()->ban_max_s = 1000;
    policy()->spoof_s = 10;
    policy()->escalate_s = 500;
    policy()->exempt[policy()->n_exempt++] = net("198.51.100.0/24");
    m->conf->policy.n_peers = 1;
    m->conf->policy.peers[0].n_targets = 1;
    m->conf->policy.peers[0].targets[0] = ip("203.0.113.5:5060");
    m->conf->policy.n_listeners = 1;
    m->conf->policy.listeners[0].bind = ip("203.0.113.1:5060");
    assert_ok(bans_open(m));
    return 0;
}

static int teardown(void **state)
{
    char path[100];
    (void)state;
    bans_close(m);
    shared_close(&m->bans_board);
    shared_close(&m->bans_ro);
    shared_close(&m->ban_hits[0]);
    free(m->conf);
    free(m);
    (void)snprintf(path, sizeof path, "%s/hash.key", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    return 0;
}

static void later(int64_t seconds)
{
    m->loop.now.mono.us += seconds * 1000000;
    m->loop.now.wall.us += seconds * 1000000;
    for (unsigned i = 0; i < BAN_CAP / 16384 + 2; i++) { /* the walk comes round */
        m->loop.now.mono.us += 100000;
        bans_turn(m);
    }
}

static struct ban want(const char *prefix, enum treat t)
{
    return (struct ban){.scope = BAN_SOURCE,
                        .treat = (uint8_t)t,
                        .by = BY_DETECTOR,
                        .net = net(prefix),
                        .since = m->loop.now.wall,
                        .until = {m->loop.now.wall.us + DUR_S(999999).us}};
}

/* As a message of engine 0. */
static void asks(struct ban b)
{
    struct program p = {.role = ROLE_ENGINE};
    m->msg.type = MSG_BAN;
    m->msg.n = sizeof b;
    memcpy(m->msg.u.body, &b, sizeof b);
    m->loop.now.mono.us += 10000; /* within its rate */
    bans_asked(m, &p);
}

/* What stands for the address; NULL: nothing. */
static const struct ban *at(const char *address)
{
    struct addr a = ip(address);
    struct ban_view v;
    return ban_of_source(m->bans->board, BAN_CAP, &a, m->loop.now.wall, &v) ? &m->bans->rec[v.slot]
                                                                            : NULL;
}

static int64_t left_s(const char *address)
{
    const struct ban *b = at(address);
    return b ? (b->until.us - m->loop.now.wall.us + 500000) / 1000000 : -1;
}

static unsigned facts(enum ban_act act)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < m->n_facts; i++) {
        const struct fact *f =
            (const struct fact *)(const void *)m->facts[(m->first_fact + i) % FACTS_WAITING].bytes;
        assert_ok(fact_valid(f, f->bytes));
        n += f->kind == FACT_BAN && f->u.ban.act == act;
    }
    return n;
}

static void asked_and_ended(void **state)
{
    (void)state;
    asks(want("192.0.2.1", TREAT_BAN));
    assert_int_equal(left_s("192.0.2.1"), 100); /* not as long as the engine says */
    assert_int_equal(at("192.0.2.1")->id, 1);
    assert_null(at("192.0.2.2"));
    later(99);
    assert_non_null(at("192.0.2.1"));
    later(2);
    assert_null(at("192.0.2.1"));
    assert_int_equal(m->bans->board->used, 0);
    assert_int_equal(facts(BAN_ADDED), 1);
    assert_int_equal(facts(BAN_EXPIRED), 1);
}

static void escalates(void **state)
{
    (void)state;
    static const int64_t lasts[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned i = 0; i < ARRAY_LEN(lasts); i++) {
        asks(want("192.0.2.1", TREAT_BAN));
        assert_int_equal(left_s("192.0.2.1"), lasts[i]);
        assert_int_equal(at("192.0.2.1")->times, i + 1);
        later(lasts[i] + 490); /* just within the time of escalation */
    }
    later(20);
    asks(want("192.0.2.1", TREAT_BAN));
    assert_int_equal(left_s("192.0.2.1"), 100);
    asks(want("192.0.2.2", TREAT_BAN)); /* others begin anew */
    assert_int_equal(left_s("192.0.2.2"), 100);
}

static void extended_not_doubled(void **state)
{
    (void)state;
    asks(want("192.0.2.1", TREAT_TARPIT));
    later(60);
    asks(want("192.0.2.1", TREAT_BAN));
    assert_int_equal(left_s("192.0.2.1"), 100);
    assert_int_equal(at("192.0.2.1")->times, 1);
    assert_int_equal(at("192.0.2.1")->id, 1);
    assert_int_equal(at("192.0.2.1")->treat, TREAT_BAN);
    asks(want("192.0.2.1", TREAT_CHALLENGE)); /* nothing milder */
    assert_int_equal(at("192.0.2.1")->treat, TREAT_BAN);
    assert_int_equal(facts(BAN_ADDED), 1);
    assert_int_equal(m->bans->main, 1);
}

static void forged(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct ban b = want("192.0.2.1", TREAT_BAN);
        b.forgeable = 1;
        asks(b);
        assert_int_equal(left_s("192.0.2.1"), 10);
        assert_int_equal(at("192.0.2.1")->times, 1);
        later(11);
        assert_null(at("192.0.2.1"));
    }
    struct ban kick = want("192.0.2.1", TREAT_KICK);
    kick.forgeable = 1;
    asks(kick);
    assert_int_equal(at("192.0.2.1")->treat, TREAT_BAN); /* ends nobody's call */
    asks(want("192.0.2.1", TREAT_BAN));                  /* now it is sure: the first time */
    assert_int_equal(left_s("192.0.2.1"), 100);
    assert_int_equal(at("192.0.2.1")->forgeable, 0);
    struct ban again = want("192.0.2.1", TREAT_BAN);
    again.forgeable = 1;
    later(95);
    asks(again); /* does not prolong it */
    assert_int_equal(left_s("192.0.2.1"), 5);
}

static void not_asked(void **state)
{
    (void)state;
    struct ban b = want("192.0.2.1", TREAT_BAN);
    b.by = BY_ADMIN;
    asks(b);
    b = want("192.0.2.0/24", TREAT_BAN); /* no engine bans a network */
    asks(b);
    b = want("2001:db8::/63", TREAT_BAN);
    asks(b);
    b = want("192.0.2.1", TREAT_WEIGH);
    asks(b);
    b = want("192.0.2.1", TREAT_BAN);
    b.by = BY_FEED; /* there is none */
    asks(b);
    b = want("192.0.2.1", TREAT_BAN);
    b.who_n = 1;
    b.who[0] = 0x1b;
    asks(b);
    m->msg.n--;
    struct program p = {.role = ROLE_ENGINE};
    bans_asked(m, &p);
    assert_int_equal(m->bans->board->used, 0);
    assert_int_equal(m->bans->asks_bad, 7);
}

static void exempt(void **state)
{
    static const char *const rows[] = {"198.51.100.77", "203.0.113.5", "203.0.113.1"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        asks(want(rows[i], TREAT_BAN));
        assert_null(at(rows[i]));
        struct ban pair = want(rows[i], TREAT_BAN);
        pair.scope = BAN_PAIR;
        pair.key = 5;
        asks(pair);
    }
    assert_int_equal(m->bans->board->used, 0);
    assert_true(facts(BAN_EXEMPTED) > 0);
    asks(want("203.0.113.6", TREAT_BAN)); /* the neighbour is not */
    assert_non_null(at("203.0.113.6"));
    policy()->exempt[policy()->n_exempt++] = net("203.0.113.6");
    bans_policy(m);
    assert_null(at("203.0.113.6"));
}

static void too_many_asks(void **state)
{
    (void)state;
    struct program p = {.role = ROLE_ENGINE};
    for (uint32_t i = 0; i < 1000; i++) {
        struct ban b = want("192.0.2.1", TREAT_BAN);
        b.net.a.ip[1] = (uint8_t)(i >> 8);
        b.net.a.ip[2] = (uint8_t)i;
        m->msg.n = sizeof b;
        memcpy(m->msg.u.body, &b, sizeof b);
        bans_asked(m, &p);
    }
    assert_true(m->bans->board->used <= 200);
    assert_int_equal(m->bans->asks_lost, 1000 - m->bans->board->used);
}

static uint32_t command(const char *request, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap - 1);
    uint32_t code = bans_command(m, str_c(request), &o);
    buf[o.n] = 0;
    return code;
}

static void dry_run(void **state)
{
    (void)state;
    policy()->dry_run = true;
    asks(want("192.0.2.1", TREAT_BAN));
    assert_null(at("192.0.2.1"));
    assert_int_equal(m->bans->main, 1);
    policy()->dry_run = false;
    bans_policy(m);
    assert_non_null(at("192.0.2.1"));
}

static struct ban nth(uint32_t i)
{
    struct ban b = want("10.0.0.0", TREAT_BAN);
    b.net.a.ip[1] = (uint8_t)(i >> 16);
    b.net.a.ip[2] = (uint8_t)(i >> 8);
    b.net.a.ip[3] = (uint8_t)i;
    return b;
}

/* A list as fetch gives it. */
static void feed(uint8_t index, uint32_t n, uint32_t from)
{
    struct prefix *v = calloc(n + 1, sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = nth(from + i).net;
        v[i].a.ip[0] = 20;
    }
    struct program p = {.role = ROLE_FETCH};
    memset(&m->msg, 0, sizeof m->msg);
    m->msg.type = MSG_FEED;
    m->msg.u.feed.feed = index;
    m->msg.u.feed.bytes = n * sizeof *v;
    assert_ok(memfd_sealed("feed", v, n * sizeof *v, &m->msg.fds[0]));
    free(v);
    bans_feed(m, &p);
    (void)close(m->msg.fds[0]);
    for (unsigned i = 0; i < 64 && m->bans->feed[index].busy; i++)
        bans_turn(m);
    assert_false(m->bans->feed[index].busy);
}

static void two_feeds(void)
{
    policy()->n_feeds = 2;
    policy()->feeds[0] = (struct guard_feed){.weight = 30, .expires_s = 300};
    policy()->feeds[1] = (struct guard_feed){.ban = true, .expires_s = 300};
    memcpy(m->conf->policy.text, "onetwo", 6);
    m->conf->policy.text_n = 6;
    policy()->feeds[0].name = (struct span){0, 3};
    policy()->feeds[1].name = (struct span){3, 3};
    bans_policy(m);
}

static int board_at(const char *address)
{
    struct addr a = ip(address);
    struct ban_view v;
    return ban_of_source(m->bans->board, BAN_CAP, &a, m->loop.now.wall, &v) ? v.treat : -1;
}

static void feeds(void **state)
{
    (void)state;
    two_feeds();
    feed(0, 10, 0);
    assert_int_equal(board_at("20.0.0.9"), TREAT_WEIGH);
    assert_int_equal(board_at("20.0.0.10"), -1);
    feed(1, 2, 8);
    assert_int_equal(board_at("20.0.0.9"), TREAT_BAN);
    assert_int_equal(board_at("20.0.0.7"), TREAT_WEIGH);
    struct ban b = want("20.0.0.9", TREAT_KICK);
    asks(b); /* and a detector's beside it */
    assert_int_equal(board_at("20.0.0.9"), TREAT_KICK);
    feed(1, 0, 0); /* an empty list takes back what the last one said */
    later(101);
    assert_int_equal(board_at("20.0.0.9"), TREAT_WEIGH);
    assert_int_equal(m->bans->feed[1].n, 0);
    feed(0, 5, 3); /* 3..7 */
    assert_int_equal(board_at("20.0.0.2"), -1);
    assert_int_equal(board_at("20.0.0.3"), TREAT_WEIGH);
    assert_int_equal(board_at("20.0.0.8"), -1);
    assert_int_equal(m->bans->of_feeds, 5);
    assert_int_equal(m->bans->main, 0);
    later(301); /* fetch has died: its word ends */
    assert_int_equal(m->bans->board->used, 0);
    assert_int_equal(m->bans->of_feeds, 0);
    feed(0, 5, 3);
    policy()->n_feeds = 0;
    bans_policy(m);
    assert_int_equal(m->bans->board->used, 0);
}

static void feeds_do_not_fill_it(void **state)
{
    (void)state;
    two_feeds();
    feed(0, 200000, 0);
    assert_int_equal(m->bans->of_feeds, BANS_OF_FEEDS);
    assert_int_equal(m->bans->feed[0].lost, 200000 - BANS_OF_FEEDS);
    asks(want("192.0.2.1", TREAT_BAN));
    assert_non_null(at("192.0.2.1"));
}

static void full(void **state)
{
    char text[4096];
    (void)state;
    uint32_t slot;
    two_feeds();
    policy()->ban_s = 1000;
    feed(0, 100, 0);
    for (uint32_t i = 0; i < BAN_CAP - BANS_RESERVE - 100; i++) {
        struct ban b = nth(i);
        assert_ok(bans_add(m, &b, &slot));
    }
    m->loop.now.wall.us += 1000000;
    asks(want("192.0.2.1", TREAT_BAN)); /* entries of feeds make room first */
    assert_non_null(at("192.0.2.1"));
    assert_true(m->bans->of_feeds < 100);
    while (m->bans->of_feeds) {
        struct ban b = nth(UINT32_C(0x800000) + m->bans->board->used);
        assert_ok(bans_add(m, &b, &slot));
    }
    while (m->bans->board->used < BAN_CAP - BANS_RESERVE) {
        struct ban b = nth(UINT32_C(0x900000) + m->bans->board->used);
        assert_ok(bans_add(m, &b, &slot));
    }
    struct ban brief = want("192.0.2.3", TREAT_BAN);
    brief.forgeable = 1;
    brief.until.us = 0;
    asks(brief); /* would end before any that stands */
    assert_null(at("192.0.2.3"));
    assert_true(m->bans->refused_full > 0);
    m->loop.now.wall.us += 1000000;
    asks(want("192.0.2.4", TREAT_BAN));
    assert_non_null(at("192.0.2.4"));
    assert_non_null(at("192.0.2.1"));
    assert_int_equal(command("{\"cmd\":\"bans-add\",\"address\":\"192.0.2.5\"}", text, sizeof text),
                     CONTROL_OK);
    assert_non_null(at("192.0.2.5"));
    assert_int_equal(m->bans->main, m->bans->board->used);
}

static void admins_word_stands(void **state)
{
    char text[4096];
    (void)state;
    assert_int_equal(command("{\"cmd\":\"bans-add\",\"address\":\"192.0.2.1\",\"seconds\":50,"
                             "\"treat\":\"tarpit\"}",
                             text, sizeof text),
                     CONTROL_OK);
    asks(want("192.0.2.1", TREAT_BAN));
    assert_int_equal(left_s("192.0.2.1"), 50);
    assert_int_equal(at("192.0.2.1")->treat, TREAT_TARPIT);
    asks(want("192.0.2.2", TREAT_BAN));
    later(1);
    assert_int_equal(command("{\"cmd\":\"bans-release\",\"by\":\"detector\"}", text, sizeof text),
                     CONTROL_OK);
    assert_null(at("192.0.2.2"));
    assert_non_null(at("192.0.2.1"));
    asks(want("192.0.2.2", TREAT_BAN)); /* what an admin released does not count */
    assert_int_equal(at("192.0.2.2")->times, 1);
    m->starting = true;
    assert_int_equal(command("{\"cmd\":\"bans-add\",\"address\":\"192.0.2.9\"}", text, sizeof text),
                     CONTROL_UNAVAILABLE);
}

/* Which releases are risky: those that would free whom fraud locked. */
static void locks_of_fraud(void **state)
{
    static const struct {
        const char *request;
        bool fraud;
    } ROWS[] = {{"{\"address\":\"192.0.2.1\"}", true},
                {"{\"address\":\"192.0.2.0/24\"}", true},
                {"{\"address\":\"192.0.2.2\"}", false},
                {"{\"address\":\"192.0.3.0/24\"}", false},
                {"{\"by\":\"detector\"}", true},
                {"{\"id\":1}", true},
                {"{\"id\":2}", false},
                {"{}", false}};
    (void)state;
    struct ban b = want("192.0.2.1", TREAT_REFUSE);
    b.reason = REASON_fraud_locked;
    asks(b);
    asks(want("192.0.2.2", TREAT_BAN));
    assert_non_null(at("192.0.2.1"));
    assert_int_equal(at("192.0.2.1")->id, 1);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (bans_of_fraud(m, str_c(ROWS[i].request)) != ROWS[i].fraud)
            fail_msg("row %zu", i);
}

/* BANS of a store; kept is what it had. */
static void restored(const struct ban *kept, size_t n)
{
    struct program p = {.role = ROLE_STORE};
    memset(&m->msg, 0, sizeof m->msg);
    m->msg.type = MSG_BANS;
    m->msg.u.blob.bytes = n * sizeof *kept;
    assert_ok(memfd_sealed("bans", kept, n * sizeof *kept, &m->msg.fds[0]));
    bans_restored(m, &p);
    (void)close(m->msg.fds[0]);
}

static void given_back(void **state)
{
    (void)state;
    struct ban v[6] = {{.id = 40}};
    v[1] = want("192.0.2.1", TREAT_BAN);
    v[1].id = 7;
    v[1].times = 3;
    v[1].until.us = m->loop.now.wall.us + DUR_S(20).us;
    v[2] = want("192.0.2.2", TREAT_BAN); /* over */
    v[2].id = 8;
    v[2].times = 1;
    v[2].until.us = m->loop.now.wall.us - DUR_S(20).us;
    v[3] = want("198.51.100.1", TREAT_BAN); /* exempt by now, an operator's too */
    v[3].by = BY_ADMIN;
    v[3].id = 9;
    v[4] = want("192.0.2.4", TREAT_BAN);
    v[4].id = 10;
    v[4].by = BY_ADMIN;
    v[4].until.us = 0;
    v[5] = want("192.0.2.5", TREAT_BAN);
    v[5].scope = 77; /* nonsense */
    restored(v, ARRAY_LEN(v));
    assert_int_equal(left_s("192.0.2.1"), 20);
    assert_null(at("192.0.2.2"));
    assert_null(at("198.51.100.1"));
    assert_int_equal(at("192.0.2.4")->until.us, 0);
    assert_int_equal(m->bans->main, 2);
    asks(want("192.0.2.2", TREAT_BAN));
    assert_int_equal(at("192.0.2.2")->times, 2);
    assert_int_equal(at("192.0.2.2")->id, 41);
    later(21);
    asks(want("192.0.2.1", TREAT_BAN));
    assert_int_equal(at("192.0.2.1")->times, 4);
    unsigned released = facts(BAN_RELEASED), extended = facts(BAN_EXTENDED);
    struct ban w[3] = {{.id = 41}, v[4], v[4]}; /* the store again: it missed some */
    w[2].net = net("192.0.2.99");
    w[2].id = 12;
    restored(w, ARRAY_LEN(w));
    assert_int_equal(facts(BAN_RELEASED), released + 1);
    assert_int_equal(facts(BAN_EXTENDED), extended + 2);
    assert_null(at("192.0.2.99"));
}

static void key_lasts(void **state)
{
    (void)state;
    struct sipkey k = m->keys.hash;
    memset(&m->keys.hash, 1, sizeof m->keys.hash);
    bans_close(m);
    shared_close(&m->bans_board);
    shared_close(&m->bans_ro);
    shared_close(&m->ban_hits[0]);
    assert_ok(bans_open(m));
    assert_memory_equal(&m->keys.hash, &k, sizeof k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(asked_and_ended),
                                       TEST(escalates),
                                       TEST(extended_not_doubled),
                                       TEST(forged),
                                       TEST(not_asked),
                                       TEST(exempt),
                                       TEST(too_many_asks),
                                       TEST(dry_run),
                                       TEST(feeds),
                                       TEST(full),
                                       TEST(feeds_do_not_fill_it),
                                       TEST(admins_word_stands),
                                       TEST(locks_of_fraud),
                                       TEST(given_back),
                                       TEST(key_lasts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
