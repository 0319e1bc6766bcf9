/* Full tables: new work is refused with the right code, running and emergency calls go on, and
 * afterwards everything is as before. Also: how much of the log strangers may fill. */
#include "call/core_fixture.h"

/* The fixture's core once more, with tables of the given sizes. */
static void shrink(struct fixture *x, uint32_t calls, uint32_t trans, uint32_t pending,
                   uint32_t pairs, size_t blocks)
{
    struct core_cfg *c = &x->g.cfg[0];
    c->calls_cap = calls;
    c->trans_cap = trans;
    c->pending_cap = pending;
    c->blocks_bytes = blocks;
    free(x->g.mem[0]);
    x->g.mem[0] = aligned_alloc(64, (core_bytes(c) + 63) & ~(size_t)63);
    memset(x->g.mem[0], 0, core_bytes(c));
    x->g.core[0] = core_init(x->g.mem[0], c, x->g.now);
    assert_non_null(x->g.core[0]);
    for (unsigned i = 0; i < pairs; i++)
        assert_ok(ports_add(core_ports(x->g.core[0]), (uint16_t)(20000 + 2 * i)));
    intents_reset(&x->g.intents[0]);
}

static struct flow pbx(void)
{
    return flow_of(PBX, LISTEN_IN_UDP);
}

/* The PBX calls; the code that it is told, 0 when an INVITE went on. */
static unsigned call_to(struct fixture *x, const char *whom, unsigned id)
{
    char uri[128], to[160], call_id[32];
    struct flow f = pbx();
    (void)snprintf(uri, sizeof uri, strncmp(whom, "urn:", 4) == 0 ? "%s" : "sip:%s@" TEST_INSIDE,
                   whom);
    (void)snprintf(to, sizeof to, "<%s>", uri);
    (void)snprintf(call_id, sizeof call_id, "full-%u", id);
    message(x, &f,
            request("INVITE", uri, "<sip:200@198.51.100.10>;tag=p1", to, call_id, 1,
                    "Contact: <sip:200@198.51.100.10:5060>\r\n", SDP_P));
    const char *no = NULL;
    for (size_t i = 0; i < x->n_got; i++)
        if (x->got[i].kind == INTENT_SEND && strncmp(x->text[i], "SIP/2.0 ", 8) == 0 &&
            x->text[i][8] > '1')
            no = x->text[i];
    if (!no)
        return 0;
    unsigned code = (unsigned)strtoul(no + 8, NULL, 10);
    if (code == 503)
        assert_non_null(strstr(no, "\r\nRetry-After: 5\r\n"));
    return code;
}

static unsigned options(struct fixture *x, unsigned id)
{
    char call_id[32];
    struct flow f = pbx();
    (void)snprintf(call_id, sizeof call_id, "opt-%u", id);
    message(x, &f,
            request("OPTIONS", "sip:" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=o",
                    "<sip:" TEST_INSIDE ">", call_id, 1, "", ""));
    return sent(x, PBX, "SIP/2.0 200 ") ? 200 : sent(x, PBX, "SIP/2.0 503 ") ? 503 : 0;
}

/* A running call is hung up by the PBX, whatever else is full. */
static void hang_up(struct fixture *x, const char *to_pbx)
{
    struct flow f = pbx();
    message(x, &f,
            request("BYE", "sip:x@" TEST_INSIDE, "<sip:200@198.51.100.10>;tag=p1",
                    field(to_pbx, "To").p, "id-of-pbx", 2, "", ""));
    assert_non_null(sent(x, PBX, "SIP/2.0 200 "));
    assert_non_null(sent(x, ALICE, "BYE "));
}

static uint64_t counted(const struct fixture *x, enum reason r)
{
    return x->g.counters[0].n[r];
}

static void calls_are_full(void **state)
{
    struct fixture *x = *state;
    char to_alice[4096], to_pbx[4096];
    shrink(x, 20, 8192, 512, 1024, 16u << 20);
    call_up(x, to_alice, to_pbx, sizeof to_pbx);
    unsigned id = 0;
    for (; id < 17; id++)
        assert_int_equal(call_to(x, "alice", id), 0);
    assert_int_equal(call_to(x, "alice", id++), 503);
    assert_int_equal(counted(x, REASON_capacity_calls), 1);
    assert_int_equal(call_to(x, "112", id++), 0);
    assert_int_equal(call_to(x, "911", id++), 0);
    assert_int_equal(core_usage(x->g.core[0]).calls, 20);
    assert_int_equal(call_to(x, "112", id++), 503); /* the table itself is full */
    hang_up(x, to_pbx);
    pass_ms(x, 65000); /* nobody answered the others */
    pass_ms(x, 40000);
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    assert_int_equal(call_to(x, "alice", id++), 0);
    pass_ms(x, 65000);
    nothing_left(x);
}

static void transactions_are_full(void **state)
{
    struct fixture *x = *state;
    char to_alice[4096], to_pbx[4096];
    shrink(x, 100, 100, 50, 1024, 16u << 20);
    call_up(x, to_alice, to_pbx, sizeof to_pbx);
    unsigned n = 0;
    while (n < 200 && options(x, n) == 200)
        n++;
    assert_in_range(n, 80, 90);
    assert_int_equal(options(x, 500), 503);
    assert_true(counted(x, REASON_capacity_transactions) >= 2);
    assert_int_equal(call_to(x, "alice", 1), 503);
    assert_int_equal(call_to(x, "112", 2), 0);
    hang_up(x, to_pbx);
    pass_ms(x, 40000); /* they have lingered */
    assert_int_equal(options(x, 501), 200);
    pass_ms(x, 65000);
    nothing_left(x);
}

/* One more question to the vault that has no answer; the code that alice is told, 0: she waits. */
static unsigned ask_more(struct fixture *x, const char *method, const char *uri, unsigned id)
{
    static const char from[] = "<sip:alice@example.com>;tag=r1";
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char call_id[32], auth[1280];
    (void)snprintf(call_id, sizeof call_id, "ask-%u", id);
    message(x, &f,
            request("REGISTER", "sip:example.com", from, "<sip:alice@example.com>", call_id, 1,
                    "Contact: <sip:alice@203.0.113.5:5060>\r\n", ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "Contact: <sip:alice@203.0.113.5:5060>\r\n%s",
                   credentials(r, uri));
    bool invite = strcmp(method, "INVITE") == 0;
    message(x, &f,
            request(method, uri, from, invite ? "<sip:112@example.com>" : "<sip:alice@example.com>",
                    call_id, 2, auth, invite ? SDP_A : ""));
    if (sent(x, ALICE, "SIP/2.0 503 ")) {
        assert_non_null(strstr(sent(x, ALICE, "SIP/2.0 503 "), "\r\nRetry-After: 5\r\n"));
        return 503;
    }
    return sent(x, ALICE, "SIP/2.0 4") ? 400 : 0;
}

static void the_vault_is_silent(void **state)
{
    struct fixture *x = *state;
    shrink(x, 100, 1000, 20, 1024, 16u << 20);
    for (unsigned i = 0; i < 18; i++)
        assert_int_equal(ask_more(x, "REGISTER", "sip:example.com", i), 0);
    assert_int_equal(core_usage(x->g.core[0]).pending, 18);
    assert_int_equal(ask_more(x, "REGISTER", "sip:example.com", 50), 503);
    assert_int_equal(ask_more(x, "INVITE", "sip:112@example.com", 51), 0);
    assert_int_equal(ask_more(x, "INVITE", "sip:112@example.com", 52), 0);
    assert_int_equal(core_usage(x->g.core[0]).pending, 20);
    /* Who calls cannot even be asked: the call goes its way, and so do those that asked. */
    assert_null(sent(x, PBX, "INVITE "));
    assert_int_equal(ask_more(x, "INVITE", "sip:112@example.com", 53), 0);
    assert_non_null(sent(x, PBX, "INVITE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    pass_ms(x, 2100);
    assert_int_equal(core_usage(x->g.core[0]).calls, 3);
    assert_int_equal(core_usage(x->g.core[0]).pending, 0);
    assert_int_equal(counted(x, REASON_auth_unavailable), 21);
    register_alice(x);
    pass_ms(x, 65000);
    nothing_left(x);
}

/* The platform opens more only when fewer than 128 pairs are ready: with those, however many are
 * open, calls pass. */
static void ports_that_wait_are_no_reserve(void **state)
{
    struct fixture *x = *state;
    struct rng rng;
    uint16_t even;
    x->g.cfg[0].ports_cap_pairs = 4000;
    shrink(x, 100, 1000, 50, 3000, 16u << 20);
    rng_init(&rng, x->g.cfg[0].seed);
    for (unsigned i = 0; i < 3000 - 128; i++)
        assert_ok(ports_take(core_ports(x->g.core[0]), &rng, x->g.now.mono, &even));
    assert_int_equal(ports_want(core_ports(x->g.core[0]), 128), 0);
    register_alice(x);
    assert_int_equal(call_to(x, "alice", 1), 0);
    assert_int_equal(counted(x, REASON_capacity_ports), 0);
}

static void ports_are_full(void **state)
{
    struct fixture *x = *state;
    char to_alice[4096], to_pbx[4096];
    shrink(x, 100, 1000, 50, 6, 16u << 20);
    call_up(x, to_alice, to_pbx, sizeof to_pbx);
    assert_int_equal(call_to(x, "alice", 1), 0);
    assert_int_equal(call_to(x, "alice", 2), 503);
    assert_int_equal(counted(x, REASON_capacity_ports), 1);
    assert_int_equal(call_to(x, "112", 4), 0);
    assert_int_equal(core_usage(x->g.core[0]).media.ports_taken, 6);
    assert_int_equal(call_to(x, "112", 5), 503);
    hang_up(x, to_pbx);
    pass_ms(x, 65000); /* the others rang in vain */
    pass_ms(x, 2100);  /* pairs have rested, though no packet told the media so */
    assert_int_equal(call_to(x, "alice", 6), 0);
    pass_ms(x, 65000);
    nothing_left(x);
}

static void memory_is_full(void **state)
{
    struct fixture *x = *state;
    char to_alice[4096], to_pbx[4096];
    shrink(x, 1000, 1000, 50, 1024, 40 * 16384); /* 20 large blocks, 640 small ones */
    call_up(x, to_alice, to_pbx, sizeof to_pbx);
    unsigned n = 0, code = 0;
    while (n < 100 && (code = call_to(x, "alice", n)) == 0)
        n++;
    assert_int_equal(code, 503);
    assert_in_range(n, 5, 20);
    assert_true(counted(x, REASON_capacity_memory) >= 1);
    assert_int_equal(call_to(x, "112", 200), 0);
    hang_up(x, to_pbx);
    pass_ms(x, 65000);
    pass_ms(x, 40000);
    assert_int_equal(call_to(x, "alice", 300), 0);
    pass_ms(x, 65000);
    nothing_left(x);
}

/* alice registers that contact; the final code. */
static unsigned contact(struct fixture *x, const char *uri, unsigned expires, int cseq)
{
    static const char from[] = "<sip:alice@example.com>;tag=r1", to[] = "<sip:alice@example.com>";
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    char line[128], auth[1400];
    (void)snprintf(line, sizeof line, "Contact: <%s>;expires=%u\r\n", uri, expires);
    message(x, &f, request("REGISTER", "sip:example.com", from, to, uri, cseq, line, ""));
    const char *r = sent(x, ALICE, "SIP/2.0 401 ");
    assert_non_null(r);
    (void)snprintf(auth, sizeof auth, "%s%s", line, credentials(r, "sip:example.com"));
    message(x, &f, request("REGISTER", "sip:example.com", from, to, uri, cseq + 1, auth, ""));
    vault(x, REASON_NONE);
    r = sent(x, ALICE, "SIP/2.0 ");
    assert_non_null(r);
    return (unsigned)strtoul(r + 8, NULL, 10);
}

static void bindings_are_full(void **state)
{
    struct fixture *x = *state;
    free(x->g.shards[0]);
    x->g.shards[0] = calloc(1, location_bytes(1));
    assert_ok(location_attach(x->g.shards[0], 1));
    x->g.cfg[0].own = x->g.shards[0];
    x->g.cfg[0].shards[0] = location_own(x->g.shards[0]);
    shrink(x, 100, 1000, 50, 64, 16u << 20);
    assert_int_equal(contact(x, "sip:alice@203.0.113.5:5060", 600, 1), 200);
    assert_int_equal(contact(x, "sip:alice@203.0.113.5:5070", 600, 1), 503);
    assert_int_equal(counted(x, REASON_capacity_bindings), 1);
    assert_int_equal(contact(x, "sip:alice@203.0.113.5:5060", 600, 3), 200); /* a refresh */
    assert_int_equal(contact(x, "sip:alice@203.0.113.5:5060", 0, 5), 200);
    assert_int_equal(contact(x, "sip:alice@203.0.113.5:5070", 600, 3), 200);
    nothing_left(x);
}

/* --- the log --- */

static const struct fact *fact_of(const struct fixture *x, enum fact_kind k, enum reason r)
{
    for (size_t i = 0; i < x->n_got; i++) {
        const struct fact *f = (const struct fact *)(const void *)x->text[i];
        if (x->got[i].kind == INTENT_FACT && f->kind == k && f->reason == r)
            return f;
    }
    return NULL;
}

static void strangers_have_a_share_of_the_log(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of("192.0.2.66:5060", LISTEN_OUT_UDP); /* in no zone */
    unsigned told = 0;
    x->g.policy.guard.source_rate = 100000; /* else most are not even read */
    core_policy(x->g.core[0], &x->g.policy, x->g.now);
    pass_ms(x, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        message(x, &f,
                request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1",
                        "<sip:example.com>", "scan", (int)i + 1, "", ""));
        assert_null(sent(x, "192.0.2.66:5060", "SIP/2.0"));
        told += count_facts(x, FACT_VERDICT);
    }
    assert_in_range(told, 10, 40);
    assert_int_equal(counted(x, REASON_zone_unknown_source), 1000);
    assert_int_equal(counted(x, REASON_log_share), 1000 - told);
    unsigned sum = 0, lines = 0;
    for (unsigned i = 0; i < 150; i++) {
        pass_ms(x, 200);
        const struct fact *s = fact_of(x, FACT_REFUSED, REASON_zone_unknown_source);
        if (!s)
            continue;
        lines++;
        sum += s->u.refused.n;
        assert_true(addr_eq_ip(&s->u.refused.source, &f.peer));
    }
    assert_int_equal(sum, 1000 - told);
    assert_in_range(lines, 1, 2);
    /* Who has proved himself is told in full: the PBX, whatever it does wrong. */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(call_to(x, "nobody", i), 404);
        assert_non_null(fact_of(x, FACT_VERDICT, REASON_route_user_unknown));
    }
    /* Other strangers have theirs, all of them together no more than theirs. */
    unsigned others = 0;
    for (unsigned i = 0; i < 2000; i++) {
        f.peer.ip[2] = (uint8_t)(i >> 8);
        f.peer.ip[3] = (uint8_t)i;
        message(x, &f,
                request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1",
                        "<sip:example.com>", "scan2", (int)i + 1, "", ""));
        others += count_facts(x, FACT_VERDICT);
    }
    assert_in_range(others, 100, 400);
}

/* A message that is broken makes no line; how many there were does. */
static void broken_ones_are_answered_within_the_rate(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    unsigned answers = 0;
    x->g.policy.zones[0].rate_per_source = 10;
    for (int i = 0; i < 100; i++) {
        message(x, &f,
                request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1",
                        "<sip:example.com>", "bad", i + 1, "Max-Forwards: many\r\n", ""));
        answers += sent(x, ALICE, "SIP/2.0 400 ") != NULL;
    }
    assert_int_equal(answers, 20);
    assert_int_equal(counted(x, REASON_rate_source), 80);
}

static void broken_ones_are_summed(void **state)
{
    struct fixture *x = *state;
    struct flow f = flow_of(ALICE, LISTEN_OUT_UDP);
    for (unsigned i = 0; i < 50; i++)
        message(x, &f, "INVITE sip:x@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    pass_ms(x, 200);
    const struct fact *s = fact_of(x, FACT_REFUSED, REASON_sip_header_missing);
    assert_non_null(s);
    assert_int_equal(s->u.refused.n, 50);
    struct addr from = test_addr(ALICE);
    core_refused(x->g.core[0], REASON_stream_crowded, &from, x->g.now);
    pass_ms(x, 9000);
    assert_null(fact_of(x, FACT_REFUSED, REASON_stream_crowded)); /* not before its time */
    pass_ms(x, 1200);
    s = fact_of(x, FACT_REFUSED, REASON_stream_crowded);
    assert_non_null(s);
    assert_int_equal(s->u.refused.n, 1);
    assert_ok(fact_valid(s, s->bytes));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(calls_are_full),
                                       T(transactions_are_full),
                                       T(the_vault_is_silent),
                                       T(ports_are_full),
                                       T(ports_that_wait_are_no_reserve),
                                       T(memory_is_full),
                                       T(bindings_are_full),
                                       T(strangers_have_a_share_of_the_log),
                                       T(broken_ones_are_answered_within_the_rate),
                                       T(broken_ones_are_summed)};
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
