/* Which trunk is tried first, and after which answers the next one is. */
#include "call/trunks_test.h"
#include <stdlib.h>

#define LOCAL  "sip:030123456@example.com"
#define MOBILE "sip:01711234567@example.com"

static int choice_setup(void **state)
{
    (void)setup(state);
    struct fixture *x = *state;
    trunks(&x->g.policy, TRUNKS);
    return 0;
}

/* One call, refused by each trunk with that; "0213": in which order they were tried. */
static const char *order(struct fixture *x, const char *uri)
{
    static char tried[TRUNKS + 1];
    static int turn;
    char inv[4096], id[16];
    size_t n = 0;
    (void)snprintf(id, sizeof id, "o%d", ++turn);
    dial_to(x, id, uri);
    for (int who; (who = who_is_called(x, inv, sizeof inv)) >= 0 && n < TRUNKS;) {
        tried[n++] = (char)('0' + who);
        answer_from(x, TRUNK_AT[who], inv, 503, "");
        assert_non_null(sent(x, TRUNK_AT[who], "ACK "));
    }
    tried[n] = 0;
    assert_non_null(sent(x, ALICE, "SIP/2.0 502 "));
    for (uint8_t i = 0; i < TRUNKS; i++) { /* as if it had not been */
        x->g.core[0]->peers[i].failing = 0;
        memset(x->g.core[0]->peers[i].target, 0, sizeof x->g.core[0]->peers[i].target);
    }
    return tried;
}

static void equal_ones_as_the_rule_says(void **state)
{
    struct fixture *x = *state;
    assert_string_equal(order(x, LOCAL), "0123");
    static const uint8_t other[TRUNKS] = {2, 0, 3, 1};
    memcpy(x->g.policy.routes[0].peers, other, sizeof other);
    assert_string_equal(order(x, LOCAL), "2031");
    x->g.policy.routes[0].n_peers = 2;
    assert_string_equal(order(x, LOCAL), "20");
    nothing_left(x);
}

static struct rates *rates(const struct rates_entry *v, size_t n)
{
    size_t bytes = rates_bytes(n), bad;
    struct rates *r = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    assert_ok(rates_build(v, n, r, bytes, &bad));
    return r;
}

static struct rates_entry price(const char *prefix, uint8_t deck, int64_t minute)
{
    struct rates_entry e = {.deck = deck, .rate = {0, minute, 60, 60, false, 1, 0, 0}};
    (void)snprintf(e.prefix, sizeof e.prefix, "%s", prefix);
    return e;
}

static void priority_then_price(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    const struct rates_entry v[] = {price("4917", 1, 500000), price("4917", 2, 100000),
                                    price("4917", 3, 300000), price("4930", 2, 90000)};
    struct rates *r = rates(v, ARRAY_LEN(v));
    p->n_decks = 3;
    for (uint8_t i = 0; i < 3; i++)
        p->peers[i].deck = (uint8_t)(i + 1);
    core_rates(x->g.core[0], r);
    /* A mobile number is 0.30 by class: the fourth, without a deck, and the third cost the same. */
    assert_string_equal(order(x, MOBILE), "1230");
    /* No deck of the others knows it: 0.05 by class, and the second is dearer. */
    assert_string_equal(order(x, LOCAL), "0231");
    /* Whatever it costs. */
    p->peers[1].priority = 2;
    p->peers[2].priority = p->peers[3].priority = 1;
    p->peers[0].priority = 1;
    assert_string_equal(order(x, MOBILE), "2301");
    p->peers[0].priority = 0;
    assert_string_equal(order(x, MOBILE), "0231");
    core_rates(x->g.core[0], NULL);
    nothing_left(x);
    free(r);
}

static void quality_in_steps(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    c->peers[0].failing = 199; /* chance */
    assert_string_equal(order(x, LOCAL), "0123");
    c->peers[0].failing = 200;
    assert_string_equal(order(x, LOCAL), "1230");
    c->peers[0].failing = 400;
    c->peers[1].failing = 399;
    c->peers[2].failing = 999;
    assert_string_equal(order(x, LOCAL), "3102");
    x->g.policy.peers[2].priority = 0;
    x->g.policy.peers[3].priority = 1; /* counts for more */
    c->peers[2].failing = 999;
    assert_string_equal(order(x, LOCAL), "0123");
    nothing_left(x);
}

/* A sixteenth of each call: what was long ago is forgotten. */
static void quality_is_learnt(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    unsigned bad = 0, good = 0;
    choice_heard(c, 0, true);
    assert_int_equal(c->peers[0].failing, 0);
    for (; c->peers[0].failing < 200; bad++)
        choice_heard(c, 0, false);
    assert_in_range(bad, 3, 5); /* not at the first */
    for (int i = 0; i < 1000; i++)
        choice_heard(c, 0, false);
    assert_in_range(c->peers[0].failing, 900, 1000);
    for (; c->peers[0].failing >= 200; good++)
        choice_heard(c, 0, true);
    assert_in_range(good, 15, 40);
    assert_int_equal(c->peers[1].failing, 0);
    /* By calls: 503 is the trunk's fault, busy is not. */
    char inv[4096];
    c->peers[0].failing = 0;
    dial_to(x, "learn", LOCAL);
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 503, "");
    assert_int_equal(c->peers[0].failing, 62);
    assert_true(called_at(x, 1, inv, sizeof inv));
    c->peers[1].failing = 160;
    answer_from(x, TRUNK2, inv, 486, "");
    assert_int_equal(c->peers[1].failing, 150);
    nothing_left(x);
}

static void the_dead_come_last(void **state)
{
    struct fixture *x = *state;
    struct core *c = x->g.core[0];
    struct addr a = test_addr(PBX);
    char inv[4096];
    peers_heard_at(c, 0, &a, false, REASON_sip_timeout);
    dial_to(x, "dead", LOCAL);
    struct call *k = NULL;
    uint32_t it = 0;
    assert_non_null((k = pool_next(&c->calls, &it)));
    assert_int_equal(who_is_called(x, inv, sizeof inv), 1);
    static const uint8_t want[TRUNKS] = {1, 2, 3, 0};
    assert_memory_equal(k->order, want, TRUNKS);
    answer_from(x, TRUNK2, inv, 486, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
    /* Half a minute later it is hoped for again. */
    pass_ms(x, 29000);
    assert_false(peers_usable(c, 0, 0));
    pass_ms(x, 1000);
    assert_string_equal(order(x, LOCAL), "0123");
    for (unsigned i = 0; i < TRUNKS; i++) {
        a = test_addr(TRUNK_AT[i]);
        peers_heard_at(c, (uint8_t)i, &a, false, REASON_sip_timeout);
    }
    dial_to(x, "none", LOCAL);
    assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
    assert_non_null(sent(x, ALICE, "SIP/2.0 503 "));
    nothing_left(x);
}

/* It is made once: what changes while the call is tried changes nothing for it. */
static void an_order_stands(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    dial_to(x, "stands", LOCAL);
    assert_true(called_at(x, 0, inv, sizeof inv));
    x->g.policy.peers[1].priority = 9;
    answer_from(x, PBX, inv, 503, "");
    assert_int_equal(who_is_called(x, inv, sizeof inv), 1);
    answer_from(x, TRUNK2, inv, 486, "");
    nothing_left(x);
}

/* --- what is said of the way --- */

static bool goes_on(unsigned code, const char *reason)
{
    char text[512];
    struct sip_msg m;
    struct sip_error bad;
    (void)snprintf(text, sizeof text,
                   "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bKx\r\nFrom: "
                   "<sip:a@b>;tag=a\r\nTo: <sip:c@d>;tag=b\r\nCall-ID: i\r\nCSeq: 1 "
                   "INVITE\r\n%s%s%sContent-Length: 0\r\n\r\n",
                   code, *reason ? "Reason: " : "", reason, *reason ? "\r\n" : "");
    assert_ok(sip_parse(str_c(text), true, &m, &bad));
    return choice_goes_on(NULL, &m);
}

static void after_which_answers(void **state)
{
    static const struct {
        unsigned code;
        const char *reason;
        bool on;
    } row[] = {
        {502, "", true},
        {503, "", true},
        {504, "", true},
        {500, "", false},
        {501, "", false},
        {513, "", false},
        {400, "", false},
        {404, "", false},
        {408, "", false},
        {480, "", false},
        {486, "", false},
        {488, "", false},
        {600, "", false},
        {603, "", false},
        {480, "Q.850;cause=34", true},
        {480, "q.850 ; cause=34 ; text=\"no circuit\"", true},
        {500, "Q.850;cause=41", true},
        {599, "Q.850;cause=41", true},
        {400, "Q.850;cause=41", true},
        {399, "Q.850;cause=41", false},
        {603, "Q.850;cause=34", false}, /* nobody anywhere wants it */
        {480, "Q.850;cause=17", false}, /* busy */
        {480, "Q.850;cause=1", false},
        {480, "Q.850;cause=341", false},
        {480, "Q.850;cause=", false},
        {480, "Q.850;cause=x34", false},
        {480, "Q.850", false},
        {480, "SIP;cause=34", false},
        {480, "Q.850;cause=99999999999934", false},
    };
    static const unsigned way[] = {3, 25, 27, 34, 38, 41, 42, 44, 47, 58};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        if (goes_on(row[i].code, row[i].reason) != row[i].on)
            print_error("%u %s\n", row[i].code, row[i].reason);
        assert_true(goes_on(row[i].code, row[i].reason) == row[i].on);
    }
    for (unsigned cause = 0; cause < 128; cause++) {
        char reason[32];
        bool on = false;
        for (size_t i = 0; i < ARRAY_LEN(way); i++)
            on = on || way[i] == cause;
        (void)snprintf(reason, sizeof reason, "Q.850;cause=%u", cause);
        assert_true(goes_on(480, reason) == on);
    }
}

/* What alice hears when every way failed: not what one of them called the callee. */
static void what_the_caller_hears(void **state)
{
    struct fixture *x = *state;
    char inv[4096];
    x->g.policy.routes[0].n_peers = 2;
    dial_to(x, "busy", LOCAL);
    assert_true(called_at(x, 0, inv, sizeof inv));
    answer_from(x, PBX, inv, 486, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 486 "));
    assert_int_equal(who_is_called(x, inv, sizeof inv), -1);
    /* Silence: after 4 s the next one; the first is told to stop. */
    dial_to(x, "silent", LOCAL);
    assert_true(called_at(x, 0, inv, sizeof inv));
    pass_ms(x, 3999);
    assert_null(sent(x, TRUNK2, "INVITE ")); /* at the first it is tried again */
    pass_ms(x, 1);
    assert_true(called_at(x, 1, inv, sizeof inv));
    answer_from(x, TRUNK2, inv, 404, "");
    assert_non_null(sent(x, ALICE, "SIP/2.0 404 "));
    nothing_left(x);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, choice_setup, teardown)
    const struct CMUnitTest tests[] = {
        T(equal_ones_as_the_rule_says),
        T(priority_then_price),
        T(quality_in_steps),
        T(quality_is_learnt),
        T(the_dead_come_last),
        T(an_order_stands),
        cmocka_unit_test(after_which_answers),
        T(what_the_caller_hears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
