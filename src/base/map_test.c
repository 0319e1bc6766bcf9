#include "base/map.h"
#include "base/rng.h"
#include "base/test.h"

enum { CAP = 32 };
static ALIGNED(16) uint8_t mem[4096];

static void basics(void **state)
{
    (void)state;
    struct map m;
    uint32_t it = 0;
    assert_true(map_bytes(CAP) <= sizeof mem);
    map_init(&m, mem, CAP);
    assert_int_equal(map_find(&m, 5, &it), 0);
    assert_ok(map_put(&m, 5, 1));
    assert_ok(map_put(&m, 5, 2));
    it = 0;
    assert_int_equal(map_find(&m, 5, &it), 1);
    assert_int_equal(map_find(&m, 5, &it), 2);
    assert_int_equal(map_find(&m, 5, &it), 0);
    assert_false(map_del(&m, 5, 3));
    assert_false(map_del(&m, 6, 1));
    assert_true(map_del(&m, 5, 1));
    assert_false(map_del(&m, 5, 1));
    it = 0;
    assert_int_equal(map_find(&m, 5, &it), 2);
    assert_int_equal(m.used, 1);
}

static void full(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, mem, CAP);
    for (uint32_t i = 1; i <= CAP; i++)
        assert_ok(map_put(&m, 9, i)); /* the worst case: one run */
    assert_err(map_put(&m, 9, 99), ERR_FULL);
    uint32_t it = 0;
    assert_int_equal(map_find(&m, 10, &it), 0); /* ends though everything collides */
    assert_true(map_del(&m, 9, 7));
    assert_ok(map_put(&m, 9, 99));
    map_init(&m, mem, 1);
    assert_ok(map_put(&m, 1, 1));
    assert_err(map_put(&m, 1, 2), ERR_FULL);
}

static void random_life(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {7};
    struct rng r;
    struct map m;
    bool have[8][CAP + 1] = {{false}}; /* few hashes, so that runs meet and wrap */
    uint32_t used = 0;
    rng_init(&r, seed);
    map_init(&m, mem, CAP);
    for (int i = 0; i < 40000; i++) {
        uint64_t h = rng_below(&r, 8);
        uint32_t v = 1 + rng_below(&r, CAP);
        if (have[h][v]) {
            assert_true(map_del(&m, h, v));
            have[h][v] = false;
            used--;
        } else {
            enum err e = map_put(&m, h, v);
            assert_err(e, used == CAP ? ERR_FULL : OK);
            have[h][v] = e == OK;
            used += e == OK;
        }
        h = rng_below(&r, 8);
        bool seen[CAP + 1] = {false};
        uint32_t it = 0;
        while ((v = map_find(&m, h, &it))) {
            assert_false(seen[v]);
            seen[v] = true;
        }
        assert_memory_equal(seen, have[h], sizeof seen);
        assert_int_equal(m.used, used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(basics), cmocka_unit_test(full),
                                       cmocka_unit_test(random_life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
