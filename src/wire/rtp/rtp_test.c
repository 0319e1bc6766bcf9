#include "base/test.h"
#include "wire/rtp/rtp.h"

static void headers(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        size_t n;
        int head; /* -1: refused */
    } rows[] = {
        {0x80, 12, 12}, {0x80, 11, -1}, {0x80, 0, -1},  {0x40, 12, -1}, {0xc0, 12, -1},
        {0x00, 12, -1}, {0x8f, 72, 72}, {0x8f, 71, -1}, {0x90, 16, 16}, {0x90, 15, -1},
        {0x91, 20, 20}, {0x91, 19, -1}, {0xa0, 13, 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t p[128] = {rows[i].first, 0x88, 0x12, 0x34};
        struct rtp r;
        enum err e = rtp_parse(p, rows[i].n, &r);
        assert_err(e, rows[i].head < 0 ? ERR_SYNTAX : OK);
        if (e == OK)
            assert_int_equal(r.header_bytes, rows[i].head);
    }
    uint8_t ext[24] = {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 2};
    struct rtp r;
    assert_ok(rtp_parse(ext, 24, &r));
    assert_int_equal(r.header_bytes, 24);
    assert_err(rtp_parse(ext, 23, &r), ERR_SYNTAX);
    ext[14] = 0xff; /* an extension longer than any packet */
    assert_err(rtp_parse(ext, 24, &r), ERR_SYNTAX);
}

static void fields_there_and_back(void **state)
{
    (void)state;
    uint8_t p[12];
    struct rtp in = {.ts = 0x89abcdef,
                     .ssrc = 0x01020304,
                     .seq = 0xfffe,
                     .pt = 101,
                     .marker = true},
               out;
    rtp_put(p, &in);
    assert_ok(rtp_parse(p, sizeof p, &out));
    assert_int_equal(out.ts, in.ts);
    assert_int_equal(out.ssrc, in.ssrc);
    assert_int_equal(out.seq, in.seq);
    assert_int_equal(out.pt, in.pt);
    assert_true(out.marker);
    assert_false(out.padded);
}

static void padding(void **state)
{
    (void)state;
    static const struct {
        uint8_t count;
        bool ok;
    } rows[] = {{0, false}, {1, true}, {4, true}, {5, false}, {255, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t p[16] = {0xa0};
        struct rtp r;
        p[15] = rows[i].count;
        assert_ok(rtp_parse(p, sizeof p, &r));
        assert_int_equal(rtp_padding_ok(p, sizeof p, &r), rows[i].ok);
    }
    uint8_t empty[12] = {0xa0};
    struct rtp r;
    assert_ok(rtp_parse(empty, sizeof empty, &r));
    assert_false(rtp_padding_ok(empty, sizeof empty, &r));
}

static void telling_rtcp(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        uint8_t p[2] = {0x80, (uint8_t)b};
        assert_int_equal(rtp_is_rtcp(p, 2), b >= 192 && b <= 223);
    }
    uint8_t p[2] = {0x80, 200};
    assert_false(rtp_is_rtcp(p, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(fields_there_and_back),
        cmocka_unit_test(padding),
        cmocka_unit_test(telling_rtcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
