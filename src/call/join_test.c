/* Two calls become one: attended transfers, and INVITE with Replaces. */
#include "call/transfer_test.h"

/* --- attended --- */

/* Alice calls bob, beside her call with the PBX. s->far: what bob got; ret_replaces names it. */
static void consult(struct fixture *x, struct scene *s, char *ret_replaces, size_t cap)
{
    struct flow fa = flow_of(ALICE, LISTEN_OUT_UDP);
    static const char from[] = "<sip:alice@example.com>;tag=c1", to[] = "<sip:bob@example.com>",
                      uri[] = "sip:bob@example.com";
    char auth[1400], ok[4096];
    message(
        x, &fa,
        request("INVITE", uri, from, to, "c1@a", 1, "Contact: <sip:alice@203.0.113.5>\r\n", SDP_A));
    (void)snprintf(auth, sizeof auth, "Contact: <sip:alice@203.0.113.5>\r\n%s",
                   credentials(sent(x, ALICE, "SIP/2.0 401 "), uri));
    message(x, &fa, request("INVITE", uri, from, to, "c1@a", 2, auth, SDP_A));
    vault(x, REASON_NONE);
    (void)snprintf(s->far, sizeof s->far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s->far, 200, SDP_B);
    (void)snprintf(ok, sizeof ok, "%s", sent(x, ALICE, "SIP/2.0 200 "));
    message(x, &fa,
            request("ACK", "sip:x@" TEST_OUTSIDE, from, field(ok, "To").p, "c1@a", 2, "", ""));
    struct str tag = field(ok, "To");
    const char *at = strstr(tag.p, ";tag=") + 5;
    (void)snprintf(
        ret_replaces, cap,
        "Refer-To: <sip:bob@example.com?Replaces=c1%%40a%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dc1>"
        "\r\n",
        at);
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
}

static void test_attended(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    assert_non_null(sent(x, ALICE, "SIP/2.0 202 "));
    notified(x, "SIP/2.0 100 ", "active");
    const char *re = sent(x, BOB, "INVITE ");
    assert_non_null(re);
    (void)snprintf(s.far, sizeof s.far, "%s", re);
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 200, SDP_P);
    notified(x, "SIP/2.0 200 ", "terminated;reason=noresource");
    unsigned byes = 0;
    for (size_t i = 0; i < x->n_got; i++)
        byes += strncmp(x->text[i], "BYE ", 4) == 0;
    assert_int_equal(byes, 1); /* alice's of the second call; that of the first waits */
    char n[4096];
    (void)snprintf(n, sizeof n, "%s", sent(x, ALICE, "NOTIFY "));
    answer_from(x, ALICE, n, 200, "");
    assert_non_null(sent(x, ALICE, "BYE "));
    struct core_usage u = core_usage(x->g.core[0]);
    assert_int_equal(u.calls, 1);
    assert_int_equal(u.legs, 2);
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, BOB, "BYE "));
    nothing_left(x);
}

/* The first of the two refuses; or the second, and the first is led back. */
static void test_attended_refused(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 488, "");
    notified(x, "SIP/2.0 488 ", "terminated");
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    answer_from(x, BOB, s.far, 200, SDP_B);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(strstr(sent(x, ALICE, "NOTIFY "), "SIP/2.0 488 "));
    const char *back = sent(x, BOB, "INVITE ");
    assert_non_null(back);
    (void)snprintf(s.far, sizeof s.far, "%s", back);
    answer_from(x, BOB, s.far, 200, SDP_B);
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    /* Bob ends the consultation, then alice the other. */
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char who[512];
    (void)snprintf(who, sizeof who, "%s%s", field(s.far, "To").p, "");
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, who, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    assert_non_null(sent(x, ALICE, "BYE "));
    answer_from(x, ALICE, sent(x, ALICE, "BYE "), 200, "");
    still_up(x, &s);
}

/* Legs of others are not hers to join, nor is the far side of her own call. */
static void test_attended_of_others(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512], other[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    (void)snprintf(other, sizeof other,
                   "Refer-To: <sip:bob@example.com?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dt9>"
                   "\r\n",
                   field(s.far, "Call-ID").p, strstr(field(s.far, "From").p, ";tag=") + 5);
    alice(x, &s, "REFER", other);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    (void)snprintf(other, sizeof other,
                   "Refer-To: <sip:200@example.com?Replaces=id-of-pbx%%3Bto-tag%%3D%s"
                   "%%3Bfrom-tag%%3Dp1>\r\n",
                   strstr(field(s.p, "To").p, ";tag=") + 5);
    alice(x, &s, "REFER", other);
    assert_non_null(sent(x, ALICE, "SIP/2.0 403 "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 2);
    pbx(x, &s, "BYE", 2);
    answer_from(x, ALICE, sent(x, ALICE, "BYE "), 200, "");
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP);
    char who[512];
    (void)snprintf(who, sizeof who, "%s;tag=t9", field(s.far, "To").p);
    message(x, &fb,
            request("BYE", "sip:x@" TEST_OUTSIDE, who, field(s.far, "From").p,
                    field(s.far, "Call-ID").p, 1, "", ""));
    nothing_left(x);
}

/* Alice leaves both calls before they are one, and bob then goes away: nobody is left over. */
static void test_attended_byes(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    char to[512];
    scene(x, &s);
    consult(x, &s, to, sizeof to);
    alice(x, &s, "REFER", to);
    (void)snprintf(s.far, sizeof s.far, "%s", sent(x, BOB, "INVITE "));
    alice(x, &s, "BYE", "");
    answer_from(x, BOB, s.far, 408, "");
    assert_non_null(sent(x, PBX, "BYE "));
    assert_int_equal(core_usage(x->g.core[0]).calls, 0);
    nothing_left(x);
}

/* --- INVITE with Replaces --- */

static const char *replacing(const struct scene *s, const char *more)
{
    static char text[1024];
    struct str call = field(s->a, "Call-ID"), from = field(s->a, "From");
    const char *tag = strstr(from.p, ";tag=") + 5;
    (void)snprintf(text, sizeof text,
                   "Contact: <sip:210@198.51.100.10>\r\nReplaces: %s;to-tag=%s;from-tag=a1%s\r\n",
                   call.p, tag, more);
    return text;
}

static void replace(struct fixture *x, const struct scene *s, int cseq, const char *more,
                    const char *sdp)
{
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    char id[16];
    (void)snprintf(id, sizeof id, "id-%d", cseq);
    message(x, &fp,
            request("INVITE", "sip:anything@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:alice@" TEST_INSIDE ">", id, cseq, replacing(s, more), sdp));
}

/* The PBX takes over alice's side of the call with its own caller 200. */
static void test_replaces(void **state)
{
    struct fixture *x = *state;
    struct scene s;
    scene(x, &s);
    replace(x, &s, 1, "", SDP_P);
    assert_non_null(sent(x, PBX, "SIP/2.0 603 ")); /* its zone may not */
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    replace(x, &s, 2, ";early-only", SDP_P);
    assert_non_null(sent(x, PBX, "SIP/2.0 486 "));
    replace(x, &s, 3, "", "");
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    replace(x, &s, 4, "", SDP_P);
    assert_null(sent(x, PBX, "SIP/2.0 4"));
    const char *re = sent(x, PBX, "INVITE ");
    assert_non_null(re);
    (void)snprintf(s.near, sizeof s.near, "%s", re);
    answer_from(x, PBX, s.near, 200, SDP_P);
    const char *ok = sent(x, PBX, "SIP/2.0 200 ");
    assert_non_null(ok);
    char to[512];
    (void)snprintf(to, sizeof to, "%s", field(ok, "To").p);
    assert_non_null(strstr(ok, "m=audio "));
    assert_non_null(sent(x, ALICE, "BYE "));
    struct flow fp = flow_of(PBX, LISTEN_IN_UDP);
    message(x, &fp,
            request("ACK", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1", to, "id-4", 4,
                    "", ""));
    assert_int_equal(core_usage(x->g.core[0]).calls, 1);
    assert_int_equal(core_usage(x->g.core[0]).legs, 2);
    replace(x, &s, 5, "", SDP_P); /* that leg has gone */
    assert_non_null(sent(x, PBX, "SIP/2.0 603 "));
    pbx(x, &s, "BYE", 2);
    assert_non_null(sent(x, PBX, "BYE "));
    nothing_left(x);
}

static void test_replaces_refused(void **state)
{
    struct fixture *x = *state;
    struct flow fb = flow_of(BOB, LISTEN_OUT_UDP), fp = flow_of(PBX, LISTEN_IN_UDP);
    struct scene s;
    scene(x, &s);
    x->g.policy.zones[ZONE_PBX].services = SERVICE_TRANSFER;
    /* Bob has no part in that call. */
    static const char from[] = "<sip:bob@example.com>;tag=b1", to[] = "<sip:x@example.com>",
                      uri[] = "sip:x@example.com";
    char auth[2400], who[1024];
    message(x, &fb, request("INVITE", uri, from, to, "k1", 1, replacing(&s, ""), SDP_B));
    (void)snprintf(who, sizeof who, "%s", credentials(sent(x, BOB, "SIP/2.0 401 "), uri));
    memcpy(strstr(who, "\"alice\""), "\"bob\"  ", 7);
    (void)snprintf(auth, sizeof auth, "%s%s", replacing(&s, ""), who);
    message(x, &fb, request("INVITE", uri, from, to, "k1", 2, auth, SDP_B));
    vault(x, REASON_NONE);
    assert_non_null(sent(x, BOB, "SIP/2.0 403 "));
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:x@" TEST_INSIDE ">", "k2", 1,
                    "Contact: <sip:210@198.51.100.10>\r\n"
                    "Replaces: none;to-tag=a;from-tag=b\r\n",
                    SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 481 "));
    message(x, &fp,
            request("INVITE", "sip:x@" TEST_INSIDE, "<sip:210@198.51.100.10>;tag=q1",
                    "<sip:x@" TEST_INSIDE ">", "k3", 1,
                    "Contact: <sip:210@198.51.100.10>\r\nReplaces: none;to-tag=a\r\n", SDP_P));
    assert_non_null(sent(x, PBX, "SIP/2.0 400 "));
    /* The one that would be kept refuses. */
    replace(x, &s, 4, "", SDP_P);
    (void)snprintf(s.near, sizeof s.near, "%s", sent(x, PBX, "INVITE "));
    answer_from(x, PBX, s.near, 488, "");
    assert_non_null(sent(x, PBX, "SIP/2.0 488 "));
    still_up(x, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attended_byes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaces_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
