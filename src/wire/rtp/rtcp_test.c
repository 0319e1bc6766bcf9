#include "base/test.h"
#include "wire/rtp/rtcp.h"

static const struct sipkey key = {1, 2};

/* RR without blocks, SDES with CNAME "alice@192.0.2.1" and TOOL "phone", BYE with reason "gone". */
static const uint8_t compound[] = {
    0x80, 201, 0,   1,   1,   2,   3,   4,   0x81, 202, 0,   7,   1,   2,
    3,    4,   1,   15,  'a', 'l', 'i', 'c', 'e',  '@', '1', '9', '2', '.',
    '0',  '.', '2', '.', '1', 6,   5,   'p', 'h',  'o', 'n', 'e', /* 28 bytes */
};

static size_t make(uint8_t *p)
{
    /* SDES: 4 header, 4 SSRC, 17 CNAME, 7 TOOL, END and padding to 36. */
    memset(p, 0, 64);
    memcpy(p, compound, sizeof compound);
    p[8 + 3] = 8;
    size_t n = 8 + 36;
    static const uint8_t bye[] = {0x81, 203, 0, 3, 1, 2, 3, 4, 4, 'g', 'o', 'n', 'e', 0, 0, 0};
    memcpy(p + n, bye, sizeof bye);
    return n + sizeof bye;
}

static void names_are_hidden(void **state)
{
    (void)state;
    uint8_t p[80], q[80];
    size_t n = make(p);
    assert_ok(rtcp_check(p, n));
    memcpy(q, p, n);
    rtcp_hide(p, n, &key);
    struct str all = str_of((char *)p, n);
    assert_int_equal(str_search(all, STR("alice")), all.n);
    assert_int_equal(str_search(all, STR("192.0")), all.n);
    assert_int_equal(str_search(all, STR("phone")), all.n);
    assert_int_equal(str_search(all, STR("gone")), all.n);
    assert_ok(rtcp_check(p, n));
    assert_memory_equal(p, q, 18); /* header, SSRCs, item type and length stay */
    rtcp_hide(q, n, &key);
    assert_memory_equal(p, q, n); /* one name, one pseudonym */
    make(q);
    struct sipkey other = {3, 4};
    rtcp_hide(q, n, &other);
    assert_memory_not_equal(p, q, n);
}

static void frames(void **state)
{
    (void)state;
    static const struct {
        uint8_t p[32];
        size_t n;
        enum err want;
    } rows[] = {
        {{0x80, 201, 0, 1}, 8, OK},
        {{0x80, 201, 0, 1}, 7, ERR_SYNTAX},
        {{0x80, 201, 0, 2}, 8, ERR_SYNTAX},
        {{0x40, 201, 0, 1}, 8, ERR_SYNTAX},
        {{0x80, 191, 0, 1}, 8, ERR_SYNTAX},
        {{0x80, 192, 0, 1}, 8, OK},
        {{0x80, 223, 0, 1}, 8, OK},
        {{0x80, 224, 0, 1}, 8, ERR_SYNTAX},
        {{0x81, 201, 0, 1}, 8, ERR_SYNTAX}, /* a report block is missing */
        {{0x80, 200, 0, 6}, 28, OK},
        {{0x80, 200, 0, 5}, 24, ERR_SYNTAX},
        {{0xa0, 201, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4}, 12, OK},
        {{0xa0, 201, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}, 12, ERR_SYNTAX},
        {{0xa0, 201, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}, 12, ERR_SYNTAX},
        {{0xa0, 201, 0, 2, 0, 0, 0, 0, 0, 0, 0, 12}, 12, ERR_SYNTAX},
        {{0x80, 201, 0, 1, 0, 0, 0, 0, 0x80, 201, 0, 1}, 12, ERR_SYNTAX},
        {{0xa0, 201, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 201, 0, 1}, 20, ERR_SYNTAX},
        {{0x81, 202, 0, 1}, 8, ERR_SYNTAX}, /* a chunk without END */
        {{0x81, 202, 0, 2}, 12, OK},
        {{0x81, 202, 0, 2, 0, 0, 0, 0, 1, 9}, 12, ERR_SYNTAX},
        {{0x82, 203, 0, 1}, 8, ERR_SYNTAX},
        {{0x81, 203, 0, 2, 0, 0, 0, 0, 4}, 12, ERR_SYNTAX},
        {{0x81, 203, 0, 2, 0, 0, 0, 0, 3}, 12, OK},
        {{0x80, 204, 0, 1}, 8, ERR_SYNTAX},
        {{0x80, 204, 0, 2}, 12, OK},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err e = rtcp_check(rows[i].p, rows[i].n);
        if (e != rows[i].want)
            print_error("row %zu\n", i);
        assert_err(e, rows[i].want);
    }
    uint8_t p[80];
    size_t n = make(p);
    for (size_t cut = 1; cut < n; cut++)
        if (cut != 8 && cut != 44)
            assert_err(rtcp_check(p, cut), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_hidden),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
