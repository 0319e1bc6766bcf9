/* RFC 3261 section 12. */
#include "base/test.h"
#include "sip/dialog.h"

static char memory[8192] ALIGNED(16);
static struct arena arena;
static char text[8192];
static struct sip_msg msg;

static const struct sip_msg *parsed(const char *start, const char *headers)
{
    struct sip_error error;
    int n = snprintf(text, sizeof text,
                     "%s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCall-ID: c1\r\n%s"
                     "Content-Length: 0\r\n\r\n",
                     start, headers);
    assert_in_range(n, 1, sizeof text - 1);
    if (sip_parse(str_of(text, (size_t)n), false, &msg, &error) != OK)
        fail_msg("%s at %u", reason_info(error.reason)->name.p, error.at);
    return &msg;
}

static const struct sip_msg *invite(const char *headers)
{
    return parsed("INVITE sip:bob@example.com SIP/2.0", headers);
}

#define PARTIES                                                                                    \
    "Max-Forwards: 70\r\nFrom: Alice <sip:alice@example.com>;tag=a1;x=y\r\nTo: "                   \
    "<sip:bob@example.com>\r\nCSeq: 314 INVITE\r\n"
#define ANSWERED(tag)                                                                              \
    "From: <sip:own@example.net>;tag=L\r\nTo: <sip:bob@example.com>;tag=" tag                      \
    "\r\nCSeq: 1 INVITE\r\n"

static int fresh(void **state)
{
    (void)state;
    arena_init_fixed(&arena, memory, sizeof memory);
    return 0;
}

static struct str request(struct dialog *d, char *buf, size_t cap, const char *method,
                          uint32_t cseq)
{
    struct out o = out_of(buf, cap);
    dialog_request(d, &o, str_c(method), cseq, STR("UDP"), STR("192.0.2.100:5060"),
                   STR("z9hG4bKq"));
    assert_false(o.full);
    return out_str(&o);
}

static void uas(void **state)
{
    (void)state;
    struct dialog d;
    char buf[2048];
    assert_ok(dialog_uas(
        &d, &arena,
        invite(PARTIES "Contact: \"A\" <sip:alice@192.0.2.1:5070;transport=tcp>;q=1\r\n"
                       "Record-Route: <sip:p2.example.com;lr>;x=1, <sip:p1.example.com;lr>\r\n"
                       "Record-Route: <sip:p0.example.com;lr>\r\n"),
        STR("L")));
    assert_false(d.uac);
    memset(text, 0, sizeof text); /* everything was copied */
    assert_str(d.remote_tag, "a1");
    assert_str(d.remote_target, "sip:alice@192.0.2.1:5070;transport=tcp");
    assert_int_equal(d.n_routes, 3);
    assert_str(dialog_next_hop(&d), "sip:p2.example.com;lr");
    assert_str(
        request(&d, buf, sizeof buf, "BYE", 0),
        "BYE sip:alice@192.0.2.1:5070;transport=tcp SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.100:5060;rport;branch=z9hG4bKq\r\nMax-Forwards: 70\r\n"
        "Route: <sip:p2.example.com;lr>\r\nRoute: <sip:p1.example.com;lr>\r\nRoute: "
        "<sip:p0.example.com;lr>\r\n"
        "From: <sip:bob@example.com>;tag=L\r\nTo: \"Alice\" <sip:alice@example.com>;tag=a1\r\n"
        "Call-ID: c1\r\nCSeq: 1 BYE\r\n");
}

static void uas_bad(void **state)
{
    (void)state;
    struct dialog d;
    static const char *const bad[] = {
        "",
        "Contact: *\r\n",
        "Contact: <sip:a@b?Replaces=c>\r\n",
        "Contact: <tel:+491234>\r\n",
        "Contact: <mailto:a@b>\r\n",
        "Contact: <sip:\r\n",
        "Contact: <sip:a@b>\r\nRecord-Route: <tel:+1>\r\n",
        "Contact: <sip:a@b>\r\nRecord-Route: <sip:>\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char headers[512];
        struct sip_error error;
        struct sip_msg m;
        (void)snprintf(
            headers, sizeof headers,
            "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: c\r\n" PARTIES
            "%s\r\n",
            bad[i]);
        if (sip_parse(str_c(headers), false, &m, &error) == OK) /* else refused even earlier */
            assert_err(dialog_uas(&d, &arena, &m, STR("L")), ERR_SYNTAX);
    }
}

static void limits(void **state)
{
    (void)state;
    struct dialog d;
    char headers[2048];
    int n = snprintf(headers, sizeof headers, PARTIES "Contact: <sip:a@b>\r\n");
    for (unsigned i = 0; i <= DIALOG_ROUTES_MAX; i++) {
        assert_err(dialog_uas(&d, &arena, invite(headers), STR("L")), OK);
        assert_int_equal(d.n_routes, i);
        n += snprintf(headers + n, sizeof headers - (size_t)n,
                      "Record-Route: <sip:p.example.com;lr>\r\n");
    }
    assert_err(dialog_uas(&d, &arena, invite(headers), STR("L")), ERR_LIMIT);
    for (size_t cap = 0; cap < 128; cap += 16) {
        arena_init_fixed(&arena, memory, cap);
        assert_err(dialog_uas(&d, &arena, invite(PARTIES "Contact: <sip:a@b>\r\n"), STR("L")),
                   ERR_FULL);
    }
    arena_init_fixed(&arena, memory, 128);
    assert_ok(dialog_uas(&d, &arena, invite(PARTIES "Contact: <sip:a@b>\r\n"), STR("L")));
}

static void start_uac(struct dialog *d)
{
    assert_ok(dialog_uac(d, &arena, STR("own1"), STR("L"), STR("\"O\" <sip:own@example.net>"),
                         STR("<sip:bob@example.com>"), STR("sip:bob@example.com")));
    assert_true(d->uac);
}

static void uac(void **state)
{
    (void)state;
    struct dialog d;
    char buf[2048];
    start_uac(&d);
    assert_str(dialog_next_hop(&d), "sip:bob@example.com");
    assert_str(request(&d, buf, sizeof buf, "INVITE", 0),
               "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
               "192.0.2.100:5060;rport;branch=z9hG4bKq\r\n"
               "Max-Forwards: 70\r\nFrom: \"O\" <sip:own@example.net>;tag=L\r\nTo: "
               "<sip:bob@example.com>\r\n"
               "Call-ID: own1\r\nCSeq: 1 INVITE\r\n");
    assert_ok(dialog_response(
        &d, &arena,
        parsed("SIP/2.0 100 Trying", ANSWERED("b0") "Contact: <sip:no@192.0.2.66>\r\n")));
    assert_int_equal(d.remote_tag.n, 0);
    assert_ok(dialog_response(
        &d, &arena,
        parsed(
            "SIP/2.0 180 Ringing",
            ANSWERED("b1") "Contact: <sip:bob@192.0.2.9>\r\n"
                           "Record-Route: <sip:p1.example.net;lr>, <sip:p2.example.net;lr>\r\n")));
    assert_str(d.remote_tag, "b1");
    assert_false(d.confirmed);
    assert_str(dialog_next_hop(&d), "sip:p2.example.net;lr"); /* backwards */
    /* The 2xx decides the route set anew (13.2.2.4), even of another fork. */
    assert_ok(dialog_response(&d, &arena,
                              parsed("SIP/2.0 200 OK",
                                     ANSWERED("b2") "Contact: <sip:bob@192.0.2.10>\r\n"
                                                    "Record-Route: <sip:p3.example.net;lr>\r\n")));
    assert_true(d.confirmed);
    assert_str(request(&d, buf, sizeof buf, "ACK", 1),
               "ACK sip:bob@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP "
               "192.0.2.100:5060;rport;branch=z9hG4bKq\r\n"
               "Max-Forwards: 70\r\nRoute: <sip:p3.example.net;lr>\r\nFrom: \"O\" "
               "<sip:own@example.net>;tag=L\r\n"
               "To: <sip:bob@example.com>;tag=b2\r\nCall-ID: own1\r\nCSeq: 1 ACK\r\n");
    assert_int_equal(d.local_cseq, 1);
    (void)request(&d, buf, sizeof buf, "BYE", 0);
    assert_int_equal(d.local_cseq, 2);
    /* Confirmed: the routes stay, a repeated 2xx takes no memory, another fork is another dialog.
     */
    size_t taken = arena.taken_bytes;
    assert_ok(dialog_response(
        &d, &arena, parsed("SIP/2.0 200 OK", ANSWERED("b2") "Contact: <sip:bob@192.0.2.10>\r\n")));
    assert_int_equal(d.n_routes, 1);
    assert_int_equal(arena.taken_bytes, taken);
    assert_err(dialog_response(
                   &d, &arena,
                   parsed("SIP/2.0 200 OK", ANSWERED("b3") "Contact: <sip:eve@192.0.2.66>\r\n")),
               ERR_STATE);
    assert_str(d.remote_target, "sip:bob@192.0.2.10");
}

static void uac_bad(void **state)
{
    (void)state;
    struct dialog d;
    start_uac(&d);
    assert_err(dialog_response(&d, &arena, parsed("SIP/2.0 200 OK", ANSWERED("b2"))),
               ERR_SYNTAX); /* no Contact */
    assert_ok(dialog_response(
        &d, &arena, parsed("SIP/2.0 183 Progress", ANSWERED("b2")))); /* may lack in 1xx */
    assert_err(dialog_response(&d, &arena,
                               parsed("SIP/2.0 183 Progress", ANSWERED("b2") "Contact: *\r\n")),
               ERR_SYNTAX);
    assert_ok(dialog_response(&d, &arena, parsed("SIP/2.0 486 Busy", ANSWERED("b5"))));
    assert_str(d.remote_tag, "b2");
}

/* A first route without lr: 12.2.1.1. */
static void strict_router(void **state)
{
    (void)state;
    struct dialog d;
    char buf[2048];
    assert_ok(dialog_uas(&d, &arena,
                         invite(PARTIES
                                "Contact: <sip:alice@192.0.2.1>\r\n"
                                "Record-Route: <sip:old.example.com>, <sip:p1.example.com;lr>\r\n"),
                         STR("L")));
    struct str r = request(&d, buf, sizeof buf, "BYE", 0);
    assert_true(str_starts(r, STR("BYE sip:old.example.com SIP/2.0\r\n")));
    assert_true(
        str_search(r,
                   STR("Route: <sip:p1.example.com;lr>\r\nRoute: <sip:alice@192.0.2.1>\r\nFrom")) <
        r.n);
    assert_str(dialog_next_hop(&d), "sip:old.example.com");
}

static void refresh(void **state)
{
    (void)state;
    struct dialog d;
    assert_ok(
        dialog_uas(&d, &arena, invite(PARTIES "Contact: <sip:alice@192.0.2.1>\r\n"), STR("L")));
    size_t taken = arena.taken_bytes;
    assert_ok(dialog_target(&d, &arena, invite(PARTIES "Contact: <sip:alice@192.0.2.1>\r\n")));
    assert_ok(dialog_target(&d, &arena, invite(PARTIES)));
    assert_int_equal(arena.taken_bytes, taken);
    assert_ok(dialog_target(&d, &arena, invite(PARTIES "Contact: <sip:alice@192.0.2.2>\r\n")));
    assert_str(d.remote_target, "sip:alice@192.0.2.2");
    assert_err(dialog_target(&d, &arena, invite(PARTIES "Contact: <tel:+4930>\r\n")), ERR_SYNTAX);
    assert_str(d.remote_target, "sip:alice@192.0.2.2");
}

static enum reason cseq(struct dialog *d, enum sip_method method, uint32_t n)
{
    msg.method = method;
    msg.cseq = n;
    return dialog_cseq(d, &msg);
}

static void order(void **state)
{
    (void)state;
    struct dialog d;
    assert_ok(
        dialog_uas(&d, &arena, invite(PARTIES "Contact: <sip:alice@192.0.2.1>\r\n"), STR("L")));
    assert_int_equal(cseq(&d, SIP_ACK, 1), REASON_NONE);
    assert_int_equal(cseq(&d, SIP_CANCEL, 1), REASON_NONE);
    assert_int_equal(cseq(&d, SIP_INFO, 313), REASON_sip_cseq_order);
    assert_int_equal(cseq(&d, SIP_INFO, 315), REASON_NONE);
    assert_int_equal(cseq(&d, SIP_BYE, 314), REASON_sip_cseq_order);
    assert_int_equal(cseq(&d, SIP_BYE, 1000), REASON_NONE);
    start_uac(&d); /* the peer's numbers are not known yet */
    assert_int_equal(cseq(&d, SIP_BYE, 0), REASON_NONE);
    assert_int_equal(cseq(&d, SIP_BYE, 5), REASON_NONE);
    assert_int_equal(cseq(&d, SIP_BYE, 4), REASON_sip_cseq_order);
}

/* What a peer folded or hid in its From must not become a line of ours. */
static void no_smuggling(void **state)
{
    (void)state;
    struct dialog d;
    char buf[2048];
    assert_ok(dialog_uas(
        &d, &arena,
        invite("Max-Forwards: 70\r\nFrom: \"Al\r\n ice\" <sip:alice@example.com>;tag=a1\r\n"
               "To: \"B \\\" ob\" <sip:bob@example.com>\r\nCSeq: 1 INVITE\r\n"
               "Contact: <sip:alice@192.0.2.1>\r\n"),
        STR("L")));
    assert_str(d.remote_uri, "<sip:alice@example.com>");
    assert_str(d.local_uri, "\"B \\\" ob\" <sip:bob@example.com>");
    (void)request(&d, buf, sizeof buf, "BYE", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(uas, fresh),          cmocka_unit_test_setup(uas_bad, fresh),
        cmocka_unit_test_setup(limits, fresh),       cmocka_unit_test_setup(uac, fresh),
        cmocka_unit_test_setup(uac_bad, fresh),      cmocka_unit_test_setup(strict_router, fresh),
        cmocka_unit_test_setup(refresh, fresh),      cmocka_unit_test_setup(order, fresh),
        cmocka_unit_test_setup(no_smuggling, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
