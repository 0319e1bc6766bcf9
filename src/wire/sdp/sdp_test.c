#include "base/test.h"
#include "wire/sdp/build.h"
#include "wire/sdp/sdp.h"

#define HEAD  "v=0\r\no=alice 1 2 IN IP4 192.0.2.1\r\ns=-\r\n"
#define CONN  "c=IN IP4 192.0.2.1\r\n"
#define TIME  "t=0 0\r\n"
#define AUDIO "m=audio 4000 RTP/AVP 0 8 101\r\n"

static struct sdp s;

static void whole_is_kept_and_written_again(void **state)
{
    (void)state;
    static const char text[] =
        "v=0\r\no=alice 2890844526 2890844527 IN IP4 host.example.com\r\ns= \r\n"
        "c=IN IP4 192.0.2.1\r\nb=AS:64\r\nt=0 0\r\na=sendonly\r\n"
        "m=audio 49170 RTP/AVP 0 8 101\r\nb=TIAS:64000\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-15\r\na=rtcp-mux\r\n"
        "m=video 0 RTP/AVP 31\r\n"
        "m=application 5000/2 udp wb\r\nc=IN IP6 2001:db8::1\r\na=empty:\r\n";
    struct str t = STR_NONE;
    t = str_c(text);
    assert_ok(sdp_parse(t, &s));
    assert_int_equal(s.n_media, 3);
    assert_str(span_str(t, s.user), "alice");
    assert_str(span_str(t, s.origin), "IN IP4 host.example.com");
    assert_int_equal(s.media[0].port, 49170);
    assert_int_equal(s.media[0].n_fmts, 3);
    assert_int_equal(s.media[2].n_ports, 2);
    assert_int_equal(sdp_media_conn(&s, &s.media[0])->a.family, ADDR_V4);
    assert_int_equal(sdp_media_conn(&s, &s.media[2])->a.family, ADDR_V6);
    assert_int_equal(sdp_direction(&s, t, &s.media[0]), SDP_SENDONLY);
    assert_non_null(sdp_attr_find(&s, t, &s.media[0].sec, STR("RTCP-MUX")));
    assert_null(sdp_attr_find(&s, t, &s.media[1].sec, STR("rtcp-mux")));
    assert_str(sdp_attr_value(t, sdp_attr_find(&s, t, &s.media[2].sec, STR("empty"))), "");
    static char again[4096];
    struct out o = out_of(again, sizeof again);
    sdp_put(&o, &s, t);
    assert_ok(out_err(&o));
    assert_str_eq(out_str(&o), t);
}

static void good_and_bad_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
    } rows[] = {
        {HEAD CONN TIME AUDIO, OK},
        {HEAD TIME "m=audio 4000 RTP/AVP 0\r\n" CONN, OK},
        {HEAD TIME "m=audio 0 RTP/AVP 0\r\n", OK},
        {HEAD CONN TIME, OK},
        {"v=0\no=- 1 2 IN IP4 h\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 1 RTP/AVP 0\n", OK},
        {HEAD CONN TIME AUDIO "\r\n\r\n", OK},
        {HEAD CONN TIME AUDIO "a=x", OK},
        {HEAD "i=about\r\nu=http://example.com\r\ne=a@example.com\r\np=+1\r\n" CONN TIME
              "r=1 2 3\r\n"
              "z=0 0\r\nk=prompt\r\n" AUDIO "i=more\r\n",
         OK},
        {HEAD CONN TIME "m=audio 65535 RTP/AVP 127\r\n", OK},
        {HEAD CONN TIME "m=audio 4000 RTP/AVP 0 \r\n", OK},
        {HEAD "c=IN IP4 host.example.com\r\n" TIME AUDIO, OK},
        {HEAD "c=IN IP4 224.2.1.1/127\r\n" TIME AUDIO, OK},
        {HEAD "c=IN IP6 2001:db8::1\r\n" TIME AUDIO, OK},
        {HEAD CONN "b=AS:1\r\n" TIME AUDIO, OK},
        {"", ERR_SYNTAX},
        {"v=1\r\no=- 1 2 IN IP4 h\r\ns=-\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {"o=- 1 2 IN IP4 h\r\nv=0\r\ns=-\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {HEAD "v=0\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {HEAD "s=again\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {HEAD CONN CONN TIME AUDIO, ERR_SYNTAX},
        {HEAD CONN AUDIO, ERR_SYNTAX},                  /* no t= */
        {HEAD TIME AUDIO, ERR_SYNTAX},                  /* no c= */
        {"v=0\r\ns=-\r\n" CONN TIME AUDIO, ERR_SYNTAX}, /* no o= */
        {"v=0\r\no=- 1 2 IN IP4 h\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {"v=0\r\no=- x 2 IN IP4 h\r\ns=-\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {"v=0\r\no=- 1 IN IP4 h\r\ns=-\r\n" CONN TIME AUDIO, ERR_SYNTAX},
        {HEAD CONN "t=0\r\n" AUDIO, ERR_SYNTAX},
        {HEAD CONN "t=a b\r\n" AUDIO, ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 65536 RTP/AVP 0\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio -1 RTP/AVP 0\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 4000/0 RTP/AVP 0\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 4000 RTP/AVP\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 4000  RTP/AVP 0\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 4000 RTP/AVP 0  8\r\n", ERR_SYNTAX},
        {HEAD CONN TIME "m=audio 4000 RTP//AVP\x01 0\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "a=\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "a=b c:d\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "a=x:\x02\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "b=AS\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "b=AS:-1\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "y=x\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "\r\na=x\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO "u=x\r\n", ERR_SYNTAX},
        {HEAD CONN TIME AUDIO TIME, ERR_SYNTAX},
        {HEAD CONN TIME AUDIO " a=x\r\n", ERR_SYNTAX},
        {HEAD "c=IN IP4\r\n" TIME AUDIO, ERR_SYNTAX},
        {HEAD "c=IN IP6 192.0.2.1\r\n" TIME AUDIO, ERR_SYNTAX},
        {HEAD "c=IN IP4 2001:db8::1\r\n" TIME AUDIO, ERR_SYNTAX},
        {"junk", ERR_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err got = sdp_parse(str_c(rows[i].text), &s);
        if (got != rows[i].want)
            print_error("row %zu: %s\n", i, rows[i].text);
        assert_err(got, rows[i].want);
    }
    static const char nul[] = HEAD CONN TIME AUDIO "a=x:\0y\r\n";
    assert_err(sdp_parse(str_of(nul, sizeof nul - 1), &s), ERR_SYNTAX);
}

static char big[SDP_TEXT_MAX + 1024];

static enum err repeated(const char *unit, unsigned times)
{
    struct out o = out_of(big, sizeof big);
    OUT_LIT(&o, HEAD CONN TIME AUDIO);
    for (unsigned i = 0; i < times; i++)
        out_put(&o, str_c(unit));
    assert_ok(out_err(&o));
    return sdp_parse(out_str(&o), &s);
}

static void limits_from_both_sides(void **state)
{
    (void)state;
    assert_ok(repeated("a=x\r\n", SDP_ATTRS_MAX));
    assert_err(repeated("a=x\r\n", SDP_ATTRS_MAX + 1), ERR_LIMIT);
    assert_ok(repeated("m=audio 1 RTP/AVP 0\r\n", SDP_MEDIA_MAX - 1));
    assert_err(repeated("m=audio 1 RTP/AVP 0\r\n", SDP_MEDIA_MAX), ERR_LIMIT);
    assert_ok(repeated("b=AS:1\r\n", SDP_BW_MAX));
    assert_err(repeated("b=AS:1\r\n", SDP_BW_MAX + 1), ERR_LIMIT);
    assert_ok(repeated("i=x\r\n", SDP_LINES_MAX - 6));
    assert_err(repeated("i=x\r\n", SDP_LINES_MAX - 5), ERR_LIMIT);
    struct out o = out_of(big, sizeof big);
    OUT_LIT(&o, HEAD CONN TIME "m=audio 1 RTP/AVP");
    for (unsigned i = 0; i < SDP_FMTS_MAX; i++)
        OUT_LIT(&o, " 0");
    assert_ok(sdp_parse(out_str(&o), &s));
    OUT_LIT(&o, " 0");
    assert_err(sdp_parse(out_str(&o), &s), ERR_LIMIT);
    o = out_of(big, sizeof big);
    OUT_LIT(&o, HEAD CONN TIME AUDIO "a=x:");
    for (unsigned i = 0; i < SDP_LINE_MAX - 4; i++)
        out_ch(&o, 'y');
    assert_ok(sdp_parse(out_str(&o), &s));
    out_ch(&o, 'y');
    assert_err(sdp_parse(out_str(&o), &s), ERR_LIMIT);
    memset(big, 'a', sizeof big);
    assert_err(sdp_parse(str_of(big, SDP_TEXT_MAX + 1), &s), ERR_LIMIT);
}

static void corpus_bodies_parse(void **state)
{
    (void)state;
    static const char *const names[] = {"rfc5118/ipv6-in-sdp", "rfc5118/mult-ip-in-sdp",
                                        "rfc5118/ipv4-mapped-ipv6"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[512];
        size_t n = 0;
        if (!test_corpus(path, sizeof path, names[i]) || !test_read(path, big, sizeof big, &n))
            skip();
        struct str msg = str_of(big, n);
        struct str body = str_skip(msg, str_search(msg, STR("v=0")));
        assert_true(body.n > 0);
        assert_ok(sdp_parse(body, &s));
        assert_true(s.n_media >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_is_kept_and_written_again),
        cmocka_unit_test(good_and_bad_texts),
        cmocka_unit_test(limits_from_both_sides),
        cmocka_unit_test(corpus_bodies_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
