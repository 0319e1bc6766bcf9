#include "base/test.h"
#include "wire/sip/frame.h"

#define HEAD "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n"

static void one_call(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        enum sip_frame_kind kind;
        uint32_t bytes;
        enum reason reason;
    } rows[] = {
#define M(s) {s, sizeof(s) - 1}
        {M(""), FRAME_MORE, 0, REASON_NONE},
        {M("\r"), FRAME_MORE, 0, REASON_NONE},
        {M("\r\n"), FRAME_MORE, 0, REASON_NONE},
        {M("\r\n\r"), FRAME_MORE, 0, REASON_NONE},
        {M("\r\n\r\n"), FRAME_PING, 4, REASON_NONE},
        {M("\r\n\r\nA"), FRAME_PING, 4, REASON_NONE},
        {M("\r\nA"), FRAME_CRLF, 2, REASON_NONE},
        {M("\r\n\rA"), FRAME_BAD, 0, REASON_stream_framing},
        {M("\rA"), FRAME_BAD, 0, REASON_stream_framing},
        {M("\n"), FRAME_BAD, 0, REASON_stream_framing},
        {M("\x16\x03\x01"), FRAME_BAD, 0, REASON_sip_not_sip},
        {M("\0"), FRAME_BAD, 0, REASON_sip_not_sip},
        {M(HEAD "l: 0\r\n\r"), FRAME_MORE, 0, REASON_NONE},
        {M(HEAD "l: 0\r\n\r\n"), FRAME_MESSAGE, sizeof(HEAD) + 7, REASON_NONE},
        {M(HEAD "Content-Length : 2\r\n\r\na"), FRAME_MORE, 0, REASON_NONE},
        {M(HEAD "Content-Length : 2\r\n\r\nabc"), FRAME_MESSAGE, sizeof(HEAD) + 23, REASON_NONE},
        {M(HEAD "Content-Length:\r\n 2\r\n\r\nabc"), FRAME_MESSAGE, sizeof(HEAD) + 24, REASON_NONE},
        {M(HEAD "\r\n"), FRAME_BAD, 0, REASON_sip_header_missing},
        {M(HEAD "l: 0\r\nContent-Length: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_duplicate},
        {M(HEAD "l: -1\r\n\r\n"), FRAME_BAD, 0, REASON_sip_content_length},
        {M(HEAD "l: 1 1\r\n\r\n"), FRAME_BAD, 0, REASON_sip_content_length},
        {M(HEAD "l: 4294967295\r\n\r\n"), FRAME_BAD, 0, REASON_sip_content_length},
        {M(HEAD "l: 4294967294\r\n\r\n"), FRAME_BAD, 0, REASON_sip_too_large},
        {M(HEAD "Content-Len\r\n gth: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_smuggling},
        {M(HEAD "Z: a\nl: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_smuggling},
        {M(HEAD "Z: a\rb\r\nl: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_smuggling},
        {M(HEAD "Z: a\0b\r\nl: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_smuggling},
        {M(HEAD "Zz\r\nl: 0\r\n\r\n"), FRAME_BAD, 0, REASON_sip_header_syntax},
        {M("A\nl: 0\r\n\r\n"), FRAME_BAD, 0, REASON_stream_framing},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sip_frame_scan scan = {0};
        struct sip_frame f = sip_frame_next(&scan, rows[i].text, 65535);
        if (f.kind != rows[i].kind || f.bytes != rows[i].bytes || f.reason != rows[i].reason)
            fail_msg("row %zu: kind %d, %u bytes, " STR_FMT, i, (int)f.kind, f.bytes,
                     STR_ARG(reason_info(f.reason)->name));
    }
}

/* Two messages, a ping and a line end, cut at every point. */
static void every_cut(void **state)
{
    (void)state;
    static const char text[] = HEAD "l: 5\r\n\r\na\r\n\r\n\r\n\r\n" HEAD "l: 0\r\n\r\n\r\nSIP/2.0 "
                                    "200 OK\r\nl: 1\r\n\r\nx";
    static const enum sip_frame_kind want[] = {FRAME_MESSAGE, FRAME_PING, FRAME_MESSAGE, FRAME_CRLF,
                                               FRAME_MESSAGE};
    const size_t all = sizeof(text) - 1;
    for (size_t cut = 0; cut <= all; cut++) {
        size_t at = 0, n = 0, have = cut;
        struct sip_frame_scan scan = {0};
        while (at < all) {
            struct sip_frame f = sip_frame_next(&scan, str_of(text + at, have - at), 65535);
            assert_int_not_equal(f.kind, FRAME_BAD);
            if (f.kind == FRAME_MORE) {
                assert_int_equal(have, cut);
                assert_int_not_equal(cut, all);
                have = all;
                continue;
            }
            assert_true(n < ARRAY_LEN(want) && f.kind == want[n]);
            n++;
            at += f.bytes;
            memset(&scan, 0, sizeof(scan));
        }
        assert_int_equal(n, ARRAY_LEN(want));
    }
}

static void largest(void **state)
{
    (void)state;
    static char text[300];
    const size_t head = sizeof(HEAD "l: 0\r\n\r\n") - 1;
    memcpy(text, HEAD "l: 9\r\n\r\n123456789", head + 9);
    for (uint32_t max = (uint32_t)head; max < head + 12; max++) {
        struct sip_frame_scan scan = {0};
        struct sip_frame f = sip_frame_next(&scan, str_of(text, head + 9), max);
        assert_int_equal(f.kind, max < head + 9 ? FRAME_BAD : FRAME_MESSAGE);
        assert_int_equal(f.reason, max < head + 9 ? REASON_sip_too_large : REASON_NONE);
    }
    memset(text, 'a', sizeof(text)); /* a head that never ends */
    struct sip_frame_scan scan = {0};
    assert_int_equal(sip_frame_next(&scan, str_of(text, 99), 100).kind, FRAME_MORE);
    assert_int_equal(sip_frame_next(&scan, str_of(text, 100), 100).reason, REASON_sip_too_large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
