#include "base/test.h"
#include "wire/sdp/sdp.h"

#define HEAD  "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 4000 RTP/AVP 0 96\r\n"
static struct sdp s;

static struct str parsed(const char *text)
{
    assert_ok(sdp_parse(str_c(text), &s));
    return str_c(text);
}

static void directions(void **state)
{
    (void)state;
    struct str t = parsed(HEAD AUDIO);
    assert_int_equal(sdp_direction(&s, t, &s.media[0]), SDP_SENDRECV);
    t = parsed(HEAD "a=inactive\r\n" AUDIO "a=recvonly\r\nm=audio 1 RTP/AVP 0\r\n");
    assert_int_equal(sdp_direction(&s, t, &s.media[0]), SDP_RECVONLY);
    assert_int_equal(sdp_direction(&s, t, &s.media[1]), SDP_INACTIVE);
    t = parsed(HEAD AUDIO "a=silences\r\na=SendOnly\r\n");
    assert_int_equal(sdp_direction(&s, t, &s.media[0]), SDP_SENDONLY);
    assert_int_equal(sdp_dir_mirror(SDP_SENDONLY), SDP_RECVONLY);
    assert_int_equal(sdp_dir_mirror(SDP_RECVONLY), SDP_SENDONLY);
    assert_int_equal(sdp_dir_mirror(SDP_INACTIVE), SDP_INACTIVE);
    assert_int_equal(sdp_dir_mirror(SDP_SENDRECV), SDP_SENDRECV);
}

static void rtcp_attribute(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
        uint16_t port;
        uint8_t last;
    } rows[] = {
        {HEAD AUDIO, ERR_NOT_FOUND, 0, 0},
        {HEAD AUDIO "a=rtcp:53020\r\n", OK, 53020, 1},
        {HEAD AUDIO "a=rtcp:53020 IN IP4 192.0.2.9\r\n", OK, 53020, 9},
        {HEAD AUDIO "a=rtcp:0\r\n", ERR_SYNTAX, 0, 0},
        {HEAD AUDIO "a=rtcp:65536\r\n", ERR_SYNTAX, 0, 0},
        {HEAD AUDIO "a=rtcp:x\r\n", ERR_SYNTAX, 0, 0},
        {HEAD AUDIO "a=rtcp:1 IN IP4 host\r\n", ERR_SYNTAX, 0, 0},
        {HEAD AUDIO "a=rtcp:1 ATM IP4 192.0.2.9\r\n", ERR_SYNTAX, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str t = parsed(rows[i].text);
        struct addr a = {0};
        assert_err(sdp_rtcp(&s, t, &s.media[0], &a), rows[i].want);
        assert_int_equal(a.port, rows[i].port);
        assert_int_equal(a.ip[3], rows[i].last);
    }
}

static void payload_types_and_clocks(void **state)
{
    (void)state;
    uint8_t pt = 0;
    assert_ok(sdp_payload_type(STR("0"), &pt));
    assert_ok(sdp_payload_type(STR("127"), &pt));
    assert_int_equal(pt, 127);
    static const char *const bad[] = {"", "128", "00", "08", "-1", "1a", "0128"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(sdp_payload_type(str_c(bad[i]), &pt), ERR_SYNTAX);
    struct str t = parsed(HEAD AUDIO "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 bad\r\n"
                                     "a=rtpmap:98 x/0\r\n"),
               name = STR_NONE;
    uint32_t hz = 0;
    assert_ok(sdp_rtpmap(&s, t, &s.media[0], 96, &hz, &name));
    assert_int_equal(hz, 48000);
    assert_str(name, "opus/48000/2");
    assert_ok(sdp_rtpmap(&s, t, &s.media[0], 8, &hz, &name));
    assert_str(name, "PCMA/8000");
    assert_err(sdp_rtpmap(&s, t, &s.media[0], 97, &hz, &name), ERR_NOT_FOUND);
    assert_err(sdp_rtpmap(&s, t, &s.media[0], 98, &hz, &name), ERR_NOT_FOUND);
    assert_err(sdp_rtpmap(&s, t, &s.media[0], 127, &hz, &name), ERR_NOT_FOUND);
}

static void intervals_and_fixed_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t ms;
    } rows[] = {
        {HEAD AUDIO, 0},
        {HEAD AUDIO "a=ptime:20\r\n", 20},
        {HEAD AUDIO "a=ptime: 30 \r\n", 30},
        {HEAD AUDIO "a=ptime:2.5\r\n", 2},
        {HEAD AUDIO "a=ptime:255\r\n", 255},
        {HEAD AUDIO "a=ptime:256\r\n", 0},
        {HEAD AUDIO "a=ptime:-1\r\n", 0},
        {HEAD AUDIO "a=ptime\r\n", 0},
        {HEAD AUDIO "a=ptime:\r\n", 0},
        {HEAD "a=ptime:10\r\n" AUDIO, 0}, /* it is a line's */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str t = parsed(rows[i].text);
        assert_int_equal(sdp_ptime_ms(&s, t, &s.media[0]), rows[i].ms);
    }
    uint32_t hz = 0;
    struct str name = STR_NONE;
    assert_ok(sdp_static_type(0, &hz, &name));
    assert_str(name, "PCMU/8000");
    assert_ok(sdp_static_type(34, &hz, &name));
    assert_int_equal(hz, 90000);
    static const uint8_t none[] = {1, 2, 19, 35, 96, 127, 255};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_err(sdp_static_type(none[i], &hz, &name), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions),
        cmocka_unit_test(rtcp_attribute),
        cmocka_unit_test(payload_types_and_clocks),
        cmocka_unit_test(intervals_and_fixed_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
