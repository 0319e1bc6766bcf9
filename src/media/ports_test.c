#include "base/test.h"
#include "media/ports.h"

static struct ports p;
static struct rng rng;
static uint64_t mem[64];

static int setup(void **state)
{
    (void)state;
    uint8_t seed[32] = {1};
    rng_init(&rng, seed);
    assert_true(ports_bytes(8) <= sizeof mem);
    ports_init(&p, mem, 8);
    for (uint16_t port = 20000; port < 20008; port += 2)
        assert_ok(ports_add(&p, port));
    return 0;
}

static struct instant ms(int64_t t)
{
    return (struct instant){t * 1000};
}

static void adding(void **state)
{
    (void)state;
    assert_err(ports_add(&p, 20001), ERR_RANGE);
    assert_err(ports_add(&p, 0), ERR_RANGE);
    assert_err(ports_add(&p, 20000), ERR_EXISTS);
    for (uint16_t port = 20008; port < 20016; port += 2)
        assert_ok(ports_add(&p, port));
    assert_err(ports_add(&p, 20016), ERR_FULL);
}

static void each_pair_once_and_in_no_order(void **state)
{
    (void)state;
    uint16_t got[4];
    unsigned ups = 0;
    for (int round = 0; round < 20; round++) {
        int64_t t = round * 10000;
        for (unsigned i = 0; i < 4; i++) {
            assert_ok(ports_take(&p, &rng, ms(t), &got[i]));
            for (unsigned k = 0; k < i; k++)
                assert_int_not_equal(got[k], got[i]);
            ups += i && got[i] == got[i - 1] + 2;
        }
        assert_int_equal(p.n_taken, 4);
        assert_err(ports_take(&p, &rng, ms(t), &got[0]), ERR_FULL);
        for (unsigned i = 0; i < 4; i++)
            ports_give(&p, got[i], ms(t));
        assert_int_equal(p.n_taken, 0);
    }
    assert_in_range(ups, 1, 40); /* of 60: a counter would make all */
}

static void rest_is_shortened_only_under_need(void **state)
{
    (void)state;
    uint16_t a, b;
    assert_ok(ports_take(&p, &rng, ms(0), &a));
    ports_give(&p, a, ms(0));
    for (int i = 0; i < 3; i++) {
        assert_ok(ports_take(&p, &rng, ms(PORTS_REST_MS - 1), &b));
        assert_int_not_equal(a, b);
    }
    assert_ok(ports_take(&p, &rng, ms(PORTS_REST_MS - 1), &b)); /* no other is free */
    assert_int_equal(a, b);
    ports_give(&p, a, ms(5000));
    assert_err(ports_take(&p, &rng, ms(5000 + PORTS_REST_MIN_MS - 1), &b), ERR_FULL);
    assert_ok(ports_take(&p, &rng, ms(5000 + PORTS_REST_MIN_MS), &b));
}

static void what_the_platform_should_open(void **state)
{
    (void)state;
    uint16_t a;
    assert_int_equal(ports_want(&p, 4), 0);
    assert_ok(ports_take(&p, &rng, ms(0), &a));
    assert_int_equal(ports_want(&p, 4), 1);
    ports_give(&p, a, ms(0)); /* resting pairs are not ready */
    assert_int_equal(ports_want(&p, 4), 1);
    assert_int_equal(ports_want(&p, 100), 4); /* no more than there is room for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(adding, setup),
        cmocka_unit_test_setup(each_pair_once_and_in_no_order, setup),
        cmocka_unit_test_setup(rest_is_shortened_only_under_need, setup),
        cmocka_unit_test_setup(what_the_platform_should_open, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
