#include "call/core_fixture.h"

#define INSTANCE ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\""

static struct flow tls(unsigned n)
{
    struct flow f = flow_of("203.0.113.5:4000", LISTEN_OUT_TLS);
    f.proto = PROTO_TLS;
    f.peer.port = (uint16_t)(f.peer.port + n);
    f.conn = (struct handle){n, 1};
    return f;
}

static const char *via(unsigned n)
{
    static char text[32];
    (void)snprintf(text, sizeof text, "203.0.113.5:%u", 4000 + n);
    return text;
}

/* alice's phone over its n-th connection. */
static void flow_up(struct fixture *x, unsigned n)
{
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    struct flow f = tls(n);
    char id[8], contact[256], auth[1500];
    (void)snprintf(id, sizeof id, "reg%u", n);
    (void)snprintf(contact, sizeof contact,
                   "Supported: outbound\r\nContact: <sip:alice@192.168.1.9:5061>" INSTANCE
                   ";reg-id=%u\r\n",
                   n);
    message(x, &f, request("REGISTER", "sip:example.com", from, to, id, 1, contact, ""));
    const char *r = sent(x, via(n), "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "%s%s", contact, credentials(r, "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, id, 2, auth, ""));
    vault(x, REASON_NONE);
    r = sent(x, via(n), "SIP/2.0 200 ");
    assert_non_null(r);
    assert_str(field(r, "Require"), "outbound");
}

static void pbx_calls(struct fixture *x)
{
    struct flow f = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &f,
            request("INVITE", "sip:alice@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    "<sip:alice@" TEST_INSIDE ">", "id-of-pbx", 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
}

static unsigned invites(struct fixture *x)
{
    unsigned n = 0;
    for (size_t i = 0; i < x->n_got; i++)
        n += x->got[i].kind == INTENT_SEND && strncmp(x->text[i], "INVITE ", 7) == 0;
    return n;
}

/* The INVITE that went out found no connection. */
static void lose(struct fixture *x)
{
    struct handle ref = HANDLE_NONE;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_SEND && strncmp(x->text[i], "INVITE ", 7) == 0)
            ref = x->got[i].ref;
    assert_true(handle_is(ref));
    core_send_failed(x->g.core[0], ref, x->g.now);
    collect(x);
}

static void one_flow_rings_and_the_next_when_it_is_dead(void **state)
{
    struct fixture *x = *state;
    for (unsigned i = 1; i <= 3; i++)
        flow_up(x, i);
    assert_int_equal(core_usage(x->g.core[0]).bindings, 3);
    pbx_calls(x);
    assert_int_equal(invites(x), 1);
    assert_non_null(sent(x, via(3), "INVITE sip:alice@192.168.1.9:5061 "));
    lose(x);
    assert_int_equal(invites(x), 1);
    const char *inv = sent(x, via(2), "INVITE sip:alice@192.168.1.9:5061 ");
    assert_non_null(inv);
    assert_null(sent(x, PBX, "SIP/2.0 4"));
    /* An edge proxy says the same by 430 (RFC 5626 11.5). */
    struct flow f = tls(2);
    message(x, &f, answer(inv, 430, "e", "alice@203.0.113.5", ""));
    assert_int_equal(invites(x), 1);
    assert_non_null(sent(x, via(1), "INVITE sip:alice@192.168.1.9:5061 "));
    lose(x);
    assert_int_equal(invites(x), 0);
    assert_non_null(sent(x, PBX, "SIP/2.0 480 "));
}

/* A refusal is the phone's word, not its flow's. */
static void busy_is_not_tried_again(void **state)
{
    struct fixture *x = *state;
    flow_up(x, 1);
    flow_up(x, 2);
    pbx_calls(x);
    struct flow f = tls(2);
    char inv[4096];
    (void)snprintf(inv, sizeof inv, "%s", sent(x, via(2), "INVITE "));
    message(x, &f, answer(inv, 486, "e", "alice@203.0.113.5", ""));
    assert_int_equal(invites(x), 0);
    assert_non_null(sent(x, PBX, "SIP/2.0 486 "));
}

static struct flow followed_since(struct fixture *x, unsigned from, uint32_t moment)
{
    struct flow f = tls(from);
    location_follow(x->g.cfg[0].shards, 1, &x->g.cfg[0].hash_key, STR("alice@example.com"),
                    x->g.now.wall, STR("sip:alice@192.168.1.9:5061"), moment, &f);
    return f;
}

static struct flow followed(struct fixture *x, unsigned from)
{
    return followed_since(x, from, 0);
}

/* A call stays on its own connection while that lives, though the phone has a newer one. */
static void following_a_phone(void **state)
{
    struct fixture *x = *state;
    assert_int_equal(followed(x, 9).conn.index, 9); /* nowhere to go */
    flow_up(x, 1);
    flow_up(x, 2);
    assert_int_equal(followed(x, 1).conn.index, 1);
    assert_int_equal(followed(x, 2).conn.index, 2);
    assert_int_equal(followed(x, 9).conn.index, 2); /* its own has gone: to the newest */
    flow_up(x, 1);
    assert_int_equal(followed(x, 9).conn.index, 1);
    /* What was registered before the call proved where it lives leads nowhere, and may be dead. */
    uint32_t now =
        location_moment(x->g.cfg[0].shards, 1, &x->g.cfg[0].hash_key, STR("alice@example.com"));
    assert_int_equal(followed_since(x, 9, now).conn.index, 9);
    flow_up(x, 2);
    assert_int_equal(followed_since(x, 9, now).conn.index, 2);
}

/* RFC 3327: the way back through the proxies. */
static void calls_take_the_path(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>",
                      lines[] = "Path: <sip:203.0.113.5;lr>, <sip:203.0.113.6;lr>\r\n"
                                "Contact: <sip:alice@192.168.1.9>\r\n";
    char auth[1400];
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "p", 1, lines, ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "%s%s", lines, credentials(r, "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, "p", 2, auth, ""));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, ALICE, "SIP/2.0 200 "));
    pbx_calls(x);
    const char *inv = sent(x, ALICE, "INVITE sip:alice@192.168.1.9 SIP/2.0\r\n");
    assert_non_null(inv);
    assert_str(field(inv, "Route"), "<sip:203.0.113.5;lr>,<sip:203.0.113.6;lr>");
    message(x, &f, answer(inv, 486, "e", "alice@192.168.1.9", ""));
    const char *ack = sent(x, ALICE, "ACK ");
    assert_non_null(ack);
    assert_str(field(ack, "Route"), "<sip:203.0.113.5;lr>,<sip:203.0.113.6;lr>");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(one_flow_rings_and_the_next_when_it_is_dead),
                                       T(busy_is_not_tried_again), T(following_a_phone),
                                       T(calls_take_the_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
