/* How much of the log strangers may fill, and what is told of the rest. */
#include "call/core_fixture.h"

static uint64_t counted(const struct fixture *x, enum reason r)
{
    return counters_get(&x->g.counters[0], r);
}

static struct core *at(struct fixture *x, int64_t ms)
{
    x->g.now.mono.us += ms * 1000;
    x->g.now.wall.us += ms * 1000;
    x->g.core[0]->now = x->g.now;
    return x->g.core[0];
}

/* How many of n that source may have told now. */
static unsigned takes(struct core *c, const char *source, enum quiet_kind k, unsigned n)
{
    struct addr a = test_addr(source);
    unsigned got = 0;
    for (unsigned i = 0; i < n; i++)
        got += quiet_share_of(c, &a, k);
    return got;
}

/* n sources, one each. */
static unsigned many(struct core *c, unsigned from, enum quiet_kind k, unsigned n)
{
    unsigned got = 0;
    for (unsigned i = from; i < from + n; i++) {
        char s[32];
        (void)snprintf(s, sizeof s, "203.0.%u.%u:5060", i / 200, i % 200 + 1);
        got += takes(c, s, k, 1);
    }
    return got;
}

static const struct {
    enum quiet_kind kind;
    unsigned source_s, source_most, all_s, all_most;
} SHARE[] = {{QUIET_LINE, 1, 40, 50, 400},
             {QUIET_CLAIMED, 1, 10, 10, 100},
             {QUIET_PROVEN, 2, 20, 30, 300},
             {QUIET_EVIDENCE, 1, 10, 20, 200}};

static void of_one_source(void **state)
{
    struct core *c = at(*state, 1000);
    for (size_t i = 0; i < ARRAY_LEN(SHARE); i++) { /* what one kind took the next still has */
        enum quiet_kind k = SHARE[i].kind;
        c = at(*state, 0);
        assert_int_equal(takes(c, ALICE, k, 100), SHARE[i].source_most);
        c = at(*state, 1000 / SHARE[i].source_s - 1);
        assert_int_equal(takes(c, ALICE, k, 100), 0);
        c = at(*state, 1);
        assert_int_equal(takes(c, ALICE, k, 100), 1);
        c = at(*state, 2000);
        assert_int_equal(takes(c, ALICE, k, 100), 2 * SHARE[i].source_s);
        c = at(*state, 3600000); /* saves up no more than that */
        assert_int_equal(takes(c, ALICE, k, 100), SHARE[i].source_most);
        assert_int_equal(takes(c, PBX, k, 1), 1);
        c = at(*state, 3600000);
    }
}

static void of_all_together(void **state)
{
    struct core *c = at(*state, 1000);
    for (size_t i = 0; i < ARRAY_LEN(SHARE); i++) {
        assert_int_equal(many(c, 0, SHARE[i].kind, 1000), SHARE[i].all_most);
        c = at(*state, 1000);
        assert_int_equal(many(c, 1000, SHARE[i].kind, 1000), SHARE[i].all_s);
    }
}

/* Who has had his share takes nothing of what is there for all. */
static void one_does_not_cost_the_others(void **state)
{
    struct core *c = at(*state, 1000);
    for (size_t i = 0; i < ARRAY_LEN(SHARE); i++) {
        enum quiet_kind k = SHARE[i].kind;
        assert_int_equal(takes(c, ALICE, k, 5000), SHARE[i].source_most);
        assert_int_equal(many(c, 0, k, 1000), SHARE[i].all_most - SHARE[i].source_most);
    }
}

/* An address whatever its port; an IPv6 customer's /64. */
static void who_is_one_source(void **state)
{
    struct core *c = at(*state, 1000);
    struct addr a = test_addr(ALICE);
    for (unsigned i = 0; i < 40; i++)
        assert_true(quiet_share(c, &a)); /* the share of plain lines */
    assert_false(quiet_share(c, &a));
    assert_int_equal(takes(c, "203.0.113.5:9", QUIET_LINE, 1), 0);
    assert_int_equal(takes(c, "203.0.113.6:5060", QUIET_LINE, 1), 1);
    assert_int_equal(takes(c, "[2001:db8::1]:5060", QUIET_LINE, 100), 40);
    assert_int_equal(takes(c, "[2001:db8::ffff:1]:99", QUIET_LINE, 1), 0);
    assert_int_equal(takes(c, "[2001:db8:0:1::1]:5060", QUIET_LINE, 1), 1);
}

/* --- sums --- */

/* The facts of the next tick, which are all that it says: reason, how many, who came last. */
static unsigned told(struct fixture *x, struct fact ret[8])
{
    unsigned n = 0;
    quiet_tick(x->g.core[0]);
    collect(x);
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const void *)x->text[i];
        assert_int_equal(x->got[i].kind, INTENT_FACT);
        assert_int_equal(f->kind, FACT_REFUSED);
        assert_ok(fact_valid(f, x->got[i].bytes.n));
        assert_true(n < 8);
        ret[n++] = *f;
    }
    return n;
}

static void summed_by_reason(void **state)
{
    struct fixture *x = *state;
    struct core *c = at(x, 60000);
    struct addr a = test_addr(ALICE), b = test_addr("203.0.113.6:7");
    struct fact f[8];
    assert_int_equal(told(x, f), 0);
    quiet_add(c, REASON_shield_rate, &a);
    quiet_add(c, REASON_sip_loop, &a);
    quiet_add(c, REASON_sip_loop, &a);
    quiet_add(c, REASON_sip_loop, &b);
    quiet_add(c, REASON_NONE, &a);
    quiet_add(c, REASON_COUNT, &a);
    quiet_add(c, (enum reason)(REASON_COUNT + 1000), &a);
    assert_int_equal(told(x, f), 2);
    assert_int_equal(f[0].reason, REASON_sip_loop);
    assert_int_equal(f[0].u.refused.n, 3);
    assert_true(addr_eq(&f[0].u.refused.source, &b));
    struct str what = reason_info(REASON_sip_loop)->text;
    assert_str_eq(TEXT_STR(f[0].u.refused.what), str_of(what.p, MIN(what.n, (size_t)31)));
    assert_int_equal(f[0].code, 0);
    assert_int_equal(f[1].reason, REASON_shield_rate);
    assert_int_equal(f[1].u.refused.n, 1);
    assert_true(addr_eq(&f[1].u.refused.source, &a));
    /* Each is told once. */
    c = at(x, 60000);
    assert_int_equal(told(x, f), 0);
    quiet_add(c, REASON_sip_loop, &a);
    assert_int_equal(told(x, f), 1);
    assert_int_equal(f[0].u.refused.n, 1);
}

/* At once after a quiet while, then not before ten seconds have passed. */
static void seldom(void **state)
{
    struct fixture *x = *state;
    struct core *c = at(x, 60000);
    struct addr a = test_addr(ALICE);
    struct fact f[8];
    for (unsigned turn = 0; turn < 3; turn++) {
        quiet_add(c, REASON_sip_loop, &a);
        assert_int_equal(told(x, f), 1);
        quiet_add(c, REASON_sip_loop, &a);
        c = at(x, 9999);
        quiet_add(c, REASON_sip_merged, &a);
        assert_int_equal(told(x, f), 0);
        c = at(x, 1);
        assert_int_equal(told(x, f), 2);
        c = at(x, 10000);
        assert_int_equal(told(x, f), 0); /* says nothing, and puts nothing off */
        c = at(x, 1);
    }
}

/* A first challenge is none, and neither is a line end; they are not told later either. */
static void what_is_no_news(void **state)
{
    struct fixture *x = *state;
    struct addr a = test_addr(ALICE);
    struct fact f[8];
    static const struct {
        enum reason why;
        bool news;
    } row[] = {{REASON_auth_required, false}, {REASON_auth_stale, false},
               {REASON_sip_empty, false},     {REASON_auth_failed, true},
               {REASON_sip_start_line, true}, {(enum reason)(REASON_COUNT - 1), true}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct core *c = at(x, 10000);
        quiet_add(c, row[i].why, &a);
        assert_int_equal(told(x, f), row[i].news);
        assert_int_equal(c->quiet.sum[row[i].why].n, 0);
        assert_false(c->quiet.any);
    }
}

/* --- what is refused below requests --- */

static void refused_below(void **state)
{
    struct fixture *x = *state;
    struct core *c = at(x, 60000);
    struct addr a = test_addr(ALICE), none = {0};
    struct fact f[8];
    struct now later = x->g.now;
    later.mono.us += 5;
    core_refused(c, REASON_stream_crowded, &a, later);
    assert_int_equal(c->now.mono.us, later.mono.us);
    core_refused(c, REASON_stream_timeout, &none, later); /* nobody knows whose */
    assert_int_equal(counted(x, REASON_stream_crowded), 1);
    assert_int_equal(counted(x, REASON_stream_timeout), 1);
    assert_int_equal(told(x, f), 2);
    assert_int_equal(f[0].reason + f[1].reason, REASON_stream_crowded + REASON_stream_timeout);
}

/* What is asked for after so many connections of one source that did what nobody does by mistake.
 */
static unsigned bans(struct fixture *x, const char *source)
{
    struct addr a = test_addr(source);
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct core *c = at(x, 100);
        core_refused(c, REASON_tls_renegotiation, &a, x->g.now);
        collect(x);
        for (size_t k = 0; k < x->n_got; k++)
            if (x->got[k].kind == INTENT_BAN) {
                const struct ban *b = (const void *)x->text[k];
                assert_int_equal(b->scope, BAN_SOURCE);
                assert_false(b->forgeable);
                assert_true(prefix_has(&b->net, &a));
                n++;
            }
    }
    return n;
}

/* It came by a stream, so whoever is banned for it has been there; a peer of whichever zone is not.
 */
static void a_stream_is_real(void **state)
{
    assert_true(bans(*state, "203.0.113.66:5060") > 0);
    assert_int_equal(bans(*state, PBX), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(of_one_source),     T(of_all_together),  T(one_does_not_cost_the_others),
        T(who_is_one_source), T(summed_by_reason), T(seldom),
        T(what_is_no_news),   T(refused_below),    T(a_stream_is_real)};
    return cmocka_run_group_tests_name("quiet", tests, NULL, NULL);
}
