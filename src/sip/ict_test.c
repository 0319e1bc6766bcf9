#include "base/test.h"
#include "sip/harness.h"

static void sent_at(const struct rig *r, int64_t start_ms, const int64_t *at, unsigned n)
{
    assert_int_equal(r->n_sent, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(r->sent[i].ms - start_ms, at[i]);
}

static int64_t ms(const struct rig *r)
{
    return r->now.us / 1000;
}

/* Timer A doubles without a cap, timer B ends it: RFC 3261 17.1.1.2. */
static void unanswered_udp(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    int64_t start = ms(r);
    struct handle h = rig_client(r, SIP_INVITE, false, 77);
    rig_wait(r, 31999);
    assert_true(trans_alive(r->t, h));
    assert_int_equal(r->n_told, 0);
    rig_wait(r, 1);
    const int64_t at[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    sent_at(r, start, at, ARRAY_LEN(at));
    for (unsigned i = 1; i < r->n_sent; i++)
        assert_memory_equal(r->sent[i].text, r->sent[0].text, r->sent[0].n);
    assert_int_equal(r->n_told, 1);
    assert_int_equal(r->told[0].what, 'f');
    assert_int_equal(r->told[0].why, REASON_sip_timeout);
    assert_int_equal(r->told[0].user, 77);
    assert_false(r->told[0].alive);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void unanswered_stream(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    (void)rig_client(r, SIP_INVITE, true, 1);
    rig_wait(r, 32000);
    assert_int_equal(r->n_sent, 1);
    assert_int_equal(r->n_told, 1);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* A process that stood still must give up, not retransmit. */
static void woken_late(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    (void)rig_client(r, SIP_INVITE, false, 1);
    r->now = instant_add(r->now, DUR_S(60));
    rig_fire(r);
    assert_int_equal(r->n_sent, 1);
    assert_int_equal(r->told[0].why, REASON_sip_timeout);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void provisional_stops_a(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 64, 64);
    struct handle h = rig_client(r, SIP_INVITE, false, 1);
    size_t whole = blocks_used(&r->blocks);
    assert_true(rig_answer(r, 100, "INVITE"));
    assert_true(blocks_used(&r->blocks) < whole); /* the offer is not kept any longer */
    rig_wait(r, 60000);
    assert_int_equal(r->n_sent, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_true(rig_answer(r, 183, "INVITE"));
    assert_int_equal(r->n_told, 3);
    assert_int_equal(r->told[2].code, 183);
    assert_true(trans_alive(r->t, h));
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

static bool has(const struct rig_sent *s, const char *text)
{
    struct str all = str_of(s->text, s->n);
    return str_search(all, str_c(text)) < all.n;
}

/* RFC 3261 17.1.1.3: same branch, Routes kept, tag of the response, no body; again for each
 * retransmission. */
static void ack_of_refusal(void **state)
{
    (void)state;
    for (int ringing = 0; ringing < 2; ringing++) {
        struct rig *r = rig_new(4, 16, 256);
        char branch[64];
        struct handle h = rig_client(r, SIP_INVITE, false, 1);
        if (ringing)
            assert_true(rig_answer(r, 180, "INVITE"));
        assert_true(rig_answer(r, 486, "INVITE"));
        assert_int_equal(r->n_sent, 2);
        const struct rig_sent *ack = &r->sent[1];
        (void)snprintf(branch, sizeof branch, "branch=%.*s\r\n", (int)BRANCH_CHARS, r->branch);
        assert_true(
            str_starts(str_of(ack->text, ack->n), STR("ACK sip:bob@192.0.2.9 SIP/2.0\r\nVia: ")));
        assert_true(has(ack, branch));
        assert_true(
            has(ack, "Route: <sip:p1.example.net;lr>\r\nRoute: <sip:p2.example.net;lr>\r\n"));
        assert_true(has(ack, "From: \"Alice\" <sip:alice@example.com>;tag=f1\r\n"));
        assert_true(has(ack, "To: <sip:bob@example.com>;tag=t1\r\n"));
        assert_true(has(ack, "Call-ID: own1\r\nCSeq: 17 ACK\r\n"));
        assert_true(has(ack, "Content-Length: 0\r\n\r\n"));
        assert_false(has(ack, "Contact"));
        assert_false(has(ack, "Content-Type"));
        rig_parse(r, str_of(ack->text, ack->n)); /* and it is a SIP message */
        for (unsigned i = 0; i < 3; i++)
            assert_true(rig_answer(r, 486, "INVITE"));
        assert_int_equal(r->n_sent, 5);
        assert_memory_equal(r->sent[4].text, ack->text, ack->n);
        assert_int_equal(r->n_told, ringing ? 2 : 1); /* absorbed */
        rig_wait(r, 31999);                           /* timer D */
        assert_true(trans_alive(r->t, h));
        rig_wait(r, 1);
        assert_int_equal(r->n_told, ringing ? 2 : 1);
        assert_true(rig_clean(r));
        rig_free(r);
    }
}

static void refusal_on_stream(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, true, 1);
    assert_true(rig_answer(r, 404, "INVITE"));
    assert_int_equal(r->n_sent, 2);
    assert_true(has(&r->sent[1], "ACK sip:bob@192.0.2.9"));
    assert_true(r->told[0].alive); /* told while it is there, and then gone: D is zero */
    assert_false(trans_alive(r->t, h));
    assert_true(rig_clean(r));
    rig_free(r);
}

/* RFC 6026: every 2xx goes up, of every fork, until timer M; nothing else does. */
static void accepted(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    bool forged;
    struct handle h = rig_client(r, SIP_INVITE, false, 9);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_true(rig_answer(r, 200, "INVITE"));
    assert_int_equal(blocks_used(&r->blocks), 0);
    assert_true(rig_answer(r, 200, "INVITE"));
    assert_true(rig_answer_to(r, r->branch, 200, "INVITE", "t2", &forged));
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_true(rig_answer(r, 486, "INVITE"));
    assert_int_equal(r->n_told, 4);
    assert_int_equal(r->n_sent, 1); /* the ACK of a 2xx is the user's */
    assert_int_equal(counters_get(&r->counters, REASON_sip_event_order), 2);
    assert_err(trans_cancel(r->t, h, STR_NONE, r->now), ERR_STATE);
    rig_wait(r, 31999);
    assert_true(trans_alive(r->t, h));
    rig_wait(r, 1);
    assert_int_equal(r->n_told, 4);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void transport_failed(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    trans_transport_failed(r->t, rig_client(r, SIP_INVITE, true, 4), r->now);
    assert_int_equal(r->n_told, 1);
    assert_int_equal(r->told[0].why, REASON_sip_transport_failed);
    assert_true(rig_clean(r));
    struct handle h = rig_client(r, SIP_INVITE, false, 4);
    assert_true(rig_answer(r, 486, "INVITE"));
    trans_transport_failed(r->t, h, r->now); /* of the ACK: the final response was told already */
    assert_int_equal(r->n_told, 2);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* RFC 3261 9.1: not before a provisional response. */
static void cancel_waits_for_1xx(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, false, 1);
    assert_ok(
        trans_cancel(r->t, h, STR("SIP;cause=200;text=\"Call completed elsewhere\""), r->now));
    assert_int_equal(r->n_sent, 1);
    assert_ok(trans_cancel(r->t, h, STR("Q.850;cause=16"), r->now)); /* the first reason stays */
    assert_true(rig_answer(r, 100, "INVITE"));
    assert_int_equal(r->n_sent, 2);
    const struct rig_sent *c = &r->sent[1];
    char branch[64];
    (void)snprintf(branch, sizeof branch, "branch=%.*s\r\n", (int)BRANCH_CHARS, r->branch);
    assert_true(str_starts(str_of(c->text, c->n), STR("CANCEL sip:bob@192.0.2.9 SIP/2.0\r\n")));
    assert_true(has(c, branch));
    assert_true(has(c, "To: <sip:bob@example.com>\r\n"));
    assert_true(has(c, "CSeq: 17 CANCEL\r\n"));
    assert_true(has(c, "Route: <sip:p1.example.net;lr>\r\n"));
    assert_true(has(c, "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
    assert_err(trans_cancel(r->t, h, STR_NONE, r->now), ERR_STATE);
    rig_wait(r, 500); /* timer E of the CANCEL */
    assert_int_equal(r->n_sent, 3);
    assert_true(has(&r->sent[2], "CSeq: 17 CANCEL"));
    assert_true(rig_answer(r, 200, "CANCEL")); /* same branch, the CANCEL's own transaction */
    assert_int_equal(r->n_told, 1);            /* absorbed: only the 100 was told */
    assert_true(rig_answer(r, 487, "INVITE"));
    assert_int_equal(r->told[1].code, 487);
    assert_true(has(&r->sent[3], "CSeq: 17 ACK"));
    rig_wait(r, 32000);
    assert_int_equal(r->n_sent, 4);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void late_200_after_cancel(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, true, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_ok(trans_cancel(r->t, h, STR_NONE, r->now));
    assert_false(has(&r->sent[1], "Reason"));
    assert_true(rig_answer(r, 200, "INVITE"));
    assert_int_equal(r->told[1].code, 200);
    assert_true(rig_answer(r, 481, "CANCEL"));
    rig_wait(r, 32000);
    assert_int_equal(r->n_told, 2);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* The 487 may overtake the 200 of the CANCEL, which is no stray then. */
static void cancel_answered_last(void **state)
{
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct rig *r = rig_new(4, 16, 512);
        struct handle h = rig_client(r, SIP_INVITE, reliable, 1);
        assert_true(rig_answer(r, 180, "INVITE"));
        assert_ok(trans_cancel(r->t, h, STR_NONE, r->now));
        assert_true(rig_answer(r, 487, "INVITE"));
        assert_true(rig_answer(r, 200, "CANCEL"));
        rig_check(r);
        assert_int_equal(r->n_told, 2);
        rig_wait(r, 32000);
        assert_true(rig_clean(r));
        rig_free(r);
    }
}

static void cancel_unanswered(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, true, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_ok(trans_cancel(r->t, h, STR_NONE, r->now));
    rig_wait(r, 31999);
    assert_int_equal(r->n_told, 1);
    rig_wait(r, 1);
    assert_int_equal(r->told[1].why, REASON_sip_timeout);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* RFC 3261 16.7 and 16.8: 101-199 set timer C again, 100 does not; at its end a CANCEL goes out. */
static void timer_c(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    (void)rig_client(r, SIP_INVITE, false, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    rig_wait(r, 100000);
    assert_true(rig_answer(r, 183, "INVITE"));
    rig_wait(r, 100000);
    assert_true(rig_answer(r, 100, "INVITE"));
    rig_wait(r, TRANS_TIMER_C_MS - 100001);
    assert_int_equal(r->n_sent, 1);
    rig_wait(r, 1);
    assert_int_equal(r->n_sent, 2);
    assert_true(has(&r->sent[1], "CSeq: 17 CANCEL"));
    assert_true(rig_answer(r, 200, "CANCEL"));
    assert_true(rig_answer(r, 487, "INVITE"));
    assert_int_equal(r->told[r->n_told - 1].code, 487);
    rig_wait(r, 32000);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* Without a record for the CANCEL the wish is refused and can be repeated. */
static void cancel_without_room(void **state)
{
    (void)state;
    struct rig *r = rig_new(1, 16, 512);
    struct handle h = rig_client(r, SIP_INVITE, false, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_err(trans_cancel(r->t, h, STR_NONE, r->now), ERR_FULL);
    rig_check(r);
    assert_true(rig_answer(r, 200, "INVITE"));
    rig_wait(r, 32000);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* No block for the copy: the request still goes out, and what is lost has a name. */
static void without_memory(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 1, 512);
    void *other;
    assert_ok(copy_keep(&r->t->copies, STR("x"), &other));
    struct handle h = rig_client(r, SIP_INVITE, false, 1);
    assert_int_equal(r->n_sent, 1);
    assert_int_equal(counters_get(&r->counters, REASON_capacity_memory), 1);
    rig_wait(r, 500);
    assert_int_equal(r->n_sent, 1);
    assert_true(rig_answer(r, 180, "INVITE"));
    assert_ok(trans_cancel(r->t, h, STR_NONE, r->now));
    assert_true(rig_answer(r, 486, "INVITE"));
    assert_int_equal(r->told[1].code, 486);
    trans_drop(r->t, h);
    copy_release(&r->t->copies, &other);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unanswered_udp),
        cmocka_unit_test(unanswered_stream),
        cmocka_unit_test(woken_late),
        cmocka_unit_test(provisional_stops_a),
        cmocka_unit_test(ack_of_refusal),
        cmocka_unit_test(refusal_on_stream),
        cmocka_unit_test(accepted),
        cmocka_unit_test(transport_failed),
        cmocka_unit_test(cancel_waits_for_1xx),
        cmocka_unit_test(late_200_after_cancel),
        cmocka_unit_test(cancel_unanswered),
        cmocka_unit_test(cancel_answered_last),
        cmocka_unit_test(timer_c),
        cmocka_unit_test(cancel_without_room),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
