#include "base/cur.h"
#include "base/test.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

static void reads(void **state)
{
    (void)state;
    struct cur c = cur_of(bytes, sizeof bytes);
    assert_int_equal(cur_u8(&c), 1);
    assert_int_equal(cur_u16(&c), 0x0203);
    assert_int_equal(cur_u24(&c), 0x040506);
    assert_int_equal(cur_u32(&c), 0x0708090a);
    assert_int_equal(cur_left(&c), 8);
    assert_int_equal(cur_u64(&c), UINT64_C(0x0b0c0d0e0f101112));
    assert_int_equal(cur_left(&c), 0);
    assert_false(c.bad);
    assert_int_equal(cur_u8(&c), 0);
    assert_true(c.bad);
}

static void sticky(void **state)
{
    (void)state;
    struct cur c = cur_of(bytes, 3);
    assert_int_equal(cur_u32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cur_u8(&c), 0); /* there is a byte, but after the failure it is not given */
    assert_int_equal(cur_left(&c), 0);
    c = cur_of(bytes, 3);
    assert_int_equal(cur_take(&c, 3).n, 3);
    assert_non_null(cur_take(&c, 0).p);
    assert_false(c.bad);
    assert_null(cur_take(&c, 1).p);
    assert_true(c.bad);
    c = cur_of(bytes, 3);
    cur_skip(&c, SIZE_MAX);
    assert_true(c.bad);
    c = cur_of(NULL, 0);
    assert_int_equal(cur_u16(&c), 0);
    assert_true(c.bad);
    for (size_t n = 0; n < 8; n++) { /* each read on one byte too few, and on enough */
        c = cur_of(bytes, n);
        (void)cur_u64(&c);
        assert_true(c.bad);
        c = cur_of(bytes, n);
        (void)cur_u24(&c);
        assert_int_equal(c.bad, n < 3);
        c = cur_of(bytes, n);
        (void)cur_u16(&c);
        assert_int_equal(c.bad, n < 2);
    }
}

static void stores(void **state)
{
    (void)state;
    uint8_t b[9];
    be64_put(b + 1, UINT64_C(0xf1e2d3c4b5a69788));
    assert_int_equal(be64(b + 1), UINT64_C(0xf1e2d3c4b5a69788));
    assert_int_equal(b[1], 0xf1);
    be32_put(b + 1, 0x80000001);
    assert_int_equal(be32(b + 1), 0x80000001);
    be16_put(b + 1, 0xfffe);
    assert_int_equal(be16(b + 1), 0xfffe);
    assert_int_equal(be32(b + 1), 0xfffe0001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(sticky),
                                       cmocka_unit_test(stores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
