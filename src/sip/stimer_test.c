/* RFC 4028. */
#include "base/test.h"
#include "sip/stimer.h"

static struct sip_msg msg;
static char text[2048];

static const struct sip_msg *parsed(const char *start, const char *headers)
{
    struct sip_error error;
    int n = snprintf(
        text, sizeof text,
        "%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:c@d>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n",
        start, headers);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &msg, &error));
    return &msg;
}

static enum reason in(struct stimer *s, const char *headers)
{
    return stimer_request_in(s, parsed("INVITE sip:c@d SIP/2.0", headers));
}

static void out(const struct stimer *s, bool response, const char *want)
{
    char buf[256];
    struct out o = out_of(buf, sizeof buf);
    if (response)
        stimer_response_put(s, &o);
    else
        stimer_request_put(s, &o);
    assert_false(o.full);
    assert_str_eq(out_str(&o), str_c(want));
}

#define TIMER "Supported: 100rel, timer\r\n"

static void uas(void **state)
{
    (void)state;
    struct stimer s = {.interval_s = 1800};
    assert_int_equal(in(&s, TIMER "Session-Expires: 600\r\n"),
                     REASON_NONE); /* the peer refreshes by default */
    assert_true(s.interval_s == 600 && s.peer_supports && !s.we_refresh);
    out(&s, true, "Require: timer\r\nSession-Expires: 600;refresher=uac\r\n");
    s = (struct stimer){.interval_s = 1800};
    assert_int_equal(in(&s, TIMER "x: 600 ; refresher=uas\r\n"), REASON_NONE);
    assert_true(s.we_refresh);
    out(&s, true, "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n");
    s = (struct stimer){
        .interval_s =
            1800}; /* a proxy asked for a peer that cannot: we do it, and require nothing */
    assert_int_equal(in(&s, "Session-Expires: 600;refresher=uac\r\n"), REASON_NONE);
    assert_true(s.we_refresh);
    out(&s, true, "Session-Expires: 600;refresher=uas\r\n");
}

static void uas_interval(void **state)
{
    (void)state;
    struct stimer s = {.interval_s = 1800};
    assert_int_equal(in(&s, TIMER "Session-Expires: 89\r\n"), REASON_sip_session_interval);
    assert_int_equal(in(&s, TIMER "Session-Expires: 90\r\n"), REASON_NONE);
    assert_int_equal(s.interval_s, 90);
    s = (struct stimer){.interval_s = 1800, .min_se_s = 300};
    assert_int_equal(in(&s, TIMER "Session-Expires: 299\r\n"), REASON_sip_session_interval);
    assert_int_equal(in(&s, TIMER "Session-Expires: 300\r\n"), REASON_NONE);
    s = (struct stimer){.interval_s = 1800};
    assert_int_equal(in(&s, "Session-Expires: 10\r\n"),
                     REASON_NONE); /* would not understand a 422 */
    assert_int_equal(s.interval_s, 90);
    s = (struct stimer){.interval_s =
                            1800}; /* ours is lower: lowered, but not below the peer's minimum */
    assert_int_equal(in(&s, TIMER "Session-Expires: 7200\r\n"), REASON_NONE);
    assert_int_equal(s.interval_s, 1800);
    s = (struct stimer){.interval_s = 1800};
    assert_int_equal(in(&s, TIMER "Session-Expires: 7200\r\nMin-SE: 3600\r\n"), REASON_NONE);
    assert_true(s.interval_s == 3600 && s.min_se_s == 3600);
    s = (struct stimer){0}; /* we have no wish of our own */
    assert_int_equal(in(&s, TIMER "Session-Expires: 4294967295\r\n"), REASON_NONE);
    assert_int_equal(s.interval_s, 86400);
}

static void uas_without(void **state)
{
    (void)state;
    struct stimer s = {0};
    assert_int_equal(in(&s, ""), REASON_NONE);
    out(&s, true, "");
    out(&s, false, "");
    assert_int_equal(stimer_due(&s, (struct instant){5}).us, INSTANT_NEVER.us);
    s = (struct stimer){.interval_s = 1800}; /* our own wish */
    assert_int_equal(in(&s, TIMER "Min-SE: 2000\r\n"), REASON_NONE);
    out(&s, true, "Require: timer\r\nSession-Expires: 2000;refresher=uas\r\n");
}

static void uac(void **state)
{
    (void)state;
    struct stimer s = {.interval_s = 1800};
    out(&s, false, "Session-Expires: 1800\r\nMin-SE: 90\r\n");
    stimer_response_in(&s, parsed("SIP/2.0 422 Small", "Min-SE: 3600\r\n"));
    out(&s, false, "Session-Expires: 3600\r\nMin-SE: 3600\r\n");
    stimer_response_in(&s, parsed("SIP/2.0 183 P", "Session-Expires: 100\r\n"));
    assert_int_equal(s.interval_s, 3600);
    stimer_response_in(
        &s, parsed("SIP/2.0 200 OK", "Require: timer\r\nSession-Expires: 1200;refresher=uas\r\n"));
    assert_true(s.interval_s == 1200 && !s.we_refresh && s.peer_supports);
    out(&s, false, "Session-Expires: 1200;refresher=uas\r\nMin-SE: 3600\r\n");
    stimer_response_in(&s, parsed("SIP/2.0 200 OK", "Session-Expires: 1200;refresher=uac\r\n"));
    assert_true(s.we_refresh);
    out(&s, false, "Session-Expires: 1200;refresher=uac\r\nMin-SE: 3600\r\n");
    stimer_response_in(&s, parsed("SIP/2.0 200 OK", "Session-Expires: 1;refresher=uac\r\n"));
    assert_int_equal(s.interval_s, 90); /* no storm of refreshes at a peer's wish */
    stimer_response_in(&s, parsed("SIP/2.0 200 OK", "Session-Expires: 1200;refresher=uas\r\n"));
    assert_true(s.peer_supports && !s.we_refresh); /* who refreshes knows timers, said or not */
    s.interval_s = 1800;
    stimer_response_in(&s, parsed("SIP/2.0 200 OK", ""));
    assert_true(s.we_refresh && s.interval_s == 1800);
}

static void due(void **state)
{
    (void)state;
    struct instant at = {7000000};
    struct stimer s = {.interval_s = 1800, .we_refresh = true};
    assert_int_equal(stimer_due(&s, at).us, 907000000);
    s.we_refresh = false; /* RFC 4028 section 10: 32 s before the end, or a third */
    assert_int_equal(stimer_due(&s, at).us, (7 + 1800 - 32) * INT64_C(1000000));
    s.interval_s = 90;
    assert_int_equal(stimer_due(&s, at).us, (7 + 60) * INT64_C(1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uas), cmocka_unit_test(uas_interval), cmocka_unit_test(uas_without),
        cmocka_unit_test(uac), cmocka_unit_test(due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
