/* RFC 3262. */
#include "base/test.h"
#include "sip/rel.h"

static struct sip_msg msg;
static char text[2048];

static const struct sip_msg *parsed(const char *start, const char *method, const char *headers)
{
    struct sip_error error;
    int n = snprintf(
        text, sizeof text,
        "%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:c@d>;tag=2\r\nCall-ID: c\r\nCSeq: 9 %s\r\n%sContent-Length: 0\r\n\r\n",
        start, method, headers);
    assert_ok(sip_parse(str_of(text, (size_t)n), false, &msg, &error));
    return &msg;
}

static enum reason prack(struct rel_uas *r, const char *headers, bool *fresh)
{
    *fresh = false;
    return rel_uas_prack(r, parsed("PRACK sip:c@d SIP/2.0", "PRACK", headers), fresh);
}

static void tags(void **state)
{
    (void)state;
    const struct sip_msg *m =
        parsed("INVITE sip:c@d SIP/2.0", "INVITE", "Supported: timer,100rel\r\n");
    assert_true(rel_supported(m) && !rel_required(m));
    m = parsed("INVITE sip:c@d SIP/2.0", "INVITE", "Require: 100REL\r\n");
    assert_true(rel_supported(m) && rel_required(m));
    m = parsed("INVITE sip:c@d SIP/2.0", "INVITE", "Supported: timer\r\n");
    assert_false(rel_supported(m) || rel_required(m));
}

static void uas_counts(void **state)
{
    (void)state;
    struct rel_uas r;
    struct instant now = {0};
    uint32_t rseq;
    bool fresh;
    char buf[128];
    rel_uas_init(&r, 314, 1000);
    assert_int_equal(rel_uas_due(&r).us, INSTANT_NEVER.us);
    assert_ok(rel_uas_send(&r, now, &rseq));
    assert_int_equal(rseq, 1000);
    struct out o = out_of(buf, sizeof buf);
    rel_rseq_put(&o, rseq);
    assert_str(out_str(&o), "Require: 100rel\r\nRSeq: 1000\r\n");
    assert_err(rel_uas_send(&r, now, &rseq), ERR_STATE); /* one at a time */
    assert_int_equal(prack(&r, "RAck: 999 314 INVITE\r\n", &fresh), REASON_sip_no_transaction);
    assert_int_equal(prack(&r, "RAck: 1001 314 INVITE\r\n", &fresh), REASON_sip_no_transaction);
    assert_int_equal(prack(&r, "RAck: 1000 313 INVITE\r\n", &fresh), REASON_sip_no_transaction);
    assert_int_equal(prack(&r, "RAck: 1000 314 UPDATE\r\n", &fresh), REASON_sip_no_transaction);
    assert_int_equal(prack(&r, "RAck: 1000 314\r\n", &fresh), REASON_sip_header_syntax);
    assert_int_equal(prack(&r, "", &fresh), REASON_sip_header_missing);
    assert_true(r.waiting);
    assert_int_equal(prack(&r, "RAck: 1000 314 INVITE\r\n", &fresh), REASON_NONE);
    assert_true(fresh && !r.waiting);
    assert_int_equal(prack(&r, "RAck: 1000 314 INVITE\r\n", &fresh),
                     REASON_NONE); /* answered, told once */
    assert_false(fresh);
    assert_ok(rel_uas_send(&r, now, &rseq));
    assert_int_equal(rseq, 1001);
    assert_int_equal(prack(&r, "RAck: 1000 314 INVITE\r\n", &fresh), REASON_sip_no_transaction);
}

static void uas_repeats(void **state)
{
    (void)state;
    struct rel_uas r;
    uint32_t rseq;
    rel_uas_init(&r, 1, 1);
    assert_ok(rel_uas_send(&r, (struct instant){0}, &rseq));
    const int64_t at_ms[] = {500, 1500, 3500, 7500, 15500, 31500};
    unsigned n = 0;
    for (int64_t ms = 0; ms < 32000; ms++) {
        enum rel_tick t = rel_uas_tick(&r, (struct instant){ms * 1000});
        if (t == REL_RESEND)
            assert_int_equal(ms, at_ms[n++]);
        else
            assert_int_equal(t, REL_WAIT);
    }
    assert_int_equal(n, ARRAY_LEN(at_ms));
    assert_int_equal(rel_uas_due(&r).us, 32000000);
    assert_int_equal(rel_uas_tick(&r, (struct instant){32000000}), REL_GIVE_UP);
    assert_int_equal(rel_uas_tick(&r, (struct instant){33000000}), REL_WAIT);
    assert_ok(rel_uas_send(&r, (struct instant){0}, &rseq));
    rel_uas_stop(&r);
    assert_int_equal(rel_uas_tick(&r, (struct instant){33000000}), REL_WAIT);
}

static enum rel_in response(struct rel_uac *r, unsigned code, const char *headers, uint32_t *ret)
{
    char start[32];
    (void)snprintf(start, sizeof start, "SIP/2.0 %u X", code);
    return rel_uac_in(r, parsed(start, "INVITE", headers), ret);
}

#define REL "Require: 100rel\r\n"
static void uac(void **state)
{
    (void)state;
    struct rel_uac r = {0};
    uint32_t rseq = 0;
    char buf[128];
    assert_int_equal(response(&r, 180, "", &rseq), REL_NO);
    assert_int_equal(response(&r, 180, "RSeq: 5\r\n", &rseq), REL_NO);
    assert_int_equal(response(&r, 180, REL, &rseq), REL_NO);
    assert_int_equal(response(&r, 100, REL "RSeq: 5\r\n", &rseq), REL_NO);
    assert_int_equal(response(&r, 200, REL "RSeq: 5\r\n", &rseq), REL_NO);
    assert_int_equal(response(&r, 183, REL "RSeq: 4294967296\r\n", &rseq), REL_NO);
    assert_int_equal(response(&r, 183, REL "RSeq: 776655\r\n", &rseq), REL_NEW);
    assert_int_equal(rseq, 776655);
    struct out o = out_of(buf, sizeof buf);
    rel_rack_put(&o, rseq, 9);
    assert_str(out_str(&o), "RAck: 776655 9 INVITE\r\n");
    assert_int_equal(response(&r, 183, REL "RSeq: 776655\r\n", &rseq), REL_AGAIN);
    assert_int_equal(response(&r, 183, REL "RSeq: 776654\r\n", &rseq), REL_AGAIN);
    assert_int_equal(response(&r, 183, REL "RSeq: 776657\r\n", &rseq), REL_GAP);
    assert_int_equal(response(&r, 180, REL "RSeq: 776656\r\n", &rseq), REL_NEW);
    assert_int_equal(response(&r, 183, REL "RSeq: 776657\r\n", &rseq), REL_NEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags),
        cmocka_unit_test(uas_counts),
        cmocka_unit_test(uas_repeats),
        cmocka_unit_test(uac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
