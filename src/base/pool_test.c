#include "base/pool.h"
#include "base/rng.h"
#include "base/test.h"

struct thing {
    uint64_t id;
    char text[13];
};
enum { CAP = 64 };
static ALIGNED(16) uint8_t mem[CAP * 64];

static void pool_fresh(struct pool *p, uint32_t cap)
{
    assert_true(pool_bytes(sizeof(struct thing), cap) <= sizeof mem);
    memset(mem, 0, sizeof mem);
    pool_init(p, mem, sizeof(struct thing), cap);
}

static void stale_handles(void **state)
{
    (void)state;
    struct pool p;
    struct handle h, h2, h3;
    pool_fresh(&p, 2);
    struct thing *t = pool_new(&p, &h);
    assert_int_equal((uintptr_t)t % 16, 0);
    t->id = 7;
    assert_ptr_equal(pool_get(&p, h), t);
    assert_true(handle_eq(pool_handle(&p, t), h));
    pool_free(&p, t);
    assert_null(pool_get(&p, h));
    struct thing *u = pool_new(&p, &h2);
    assert_ptr_equal(u, t);         /* the place is used again */
    assert_int_equal(u->id, 0);     /* and comes zeroed */
    assert_false(handle_eq(h, h2)); /* under a new name */
    assert_null(pool_get(&p, h));
    assert_non_null(pool_new(&p, &h3));
    assert_null(pool_new(&p, &h));
    assert_int_equal(p.used, 2);
    assert_int_equal(p.peak, 2);
    assert_null(pool_get(&p, HANDLE_NONE));
    assert_null(pool_get(&p, (struct handle){3, 1}));
    assert_null(pool_get(&p, (struct handle){UINT32_MAX, 1}));
    assert_null(pool_get(&p, (struct handle){h3.index, 0}));
}

static void handles_pack(void **state)
{
    (void)state;
    struct handle h = {0xffffff, 0xabcdef};
    assert_int_equal(handle_pack(h), UINT64_C(0xabcdefffffff));
    assert_true(handle_eq(handle_unpack(handle_pack(h)), h));
    assert_false(handle_is(HANDLE_NONE));
    assert_true(handle_is(h));
}

static void generation_wraps(void **state)
{
    (void)state;
    struct pool p;
    struct handle h, first, seen = {0, 0};
    pool_fresh(&p, 1);
    struct thing *t = pool_new(&p, &first);
    pool_free(&p, t);
    for (uint32_t i = 0; i < 0x1000002; i++) {
        t = pool_new(&p, &h);
        if (h.gen == 0 || h.gen > 0xffffff || h.gen == seen.gen)
            fail();
        seen = h;
        pool_free(&p, t);
    }
}

static void walk(void **state)
{
    (void)state;
    struct pool p;
    struct thing *t[5];
    pool_fresh(&p, CAP);
    for (uint64_t i = 0; i < 5; i++) {
        t[i] = pool_new(&p, NULL);
        t[i]->id = i;
    }
    pool_free(&p, t[0]);
    pool_free(&p, t[3]);
    uint64_t seen = 0;
    uint32_t it = 0;
    for (struct thing *x; (x = pool_next(&p, &it));) {
        seen |= UINT64_C(1) << x->id;
        pool_free(&p, x);
    }
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 4);
    assert_int_equal(p.used, 0);
    it = 0;
    assert_null(pool_next(&p, &it));
}

/* Against a list of what must be alive. */
static void random_life(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {42};
    struct rng r;
    struct pool p;
    struct {
        struct handle h;
        uint64_t id;
    } live[CAP], dead[CAP] = {0};
    uint32_t n = 0;
    rng_init(&r, seed);
    pool_fresh(&p, CAP);
    for (uint64_t id = 1; id < 20000; id++) {
        if (rng_below(&r, 2)) {
            struct thing *t = pool_new(&p, &live[n % CAP].h);
            assert_int_equal(t == NULL, n == CAP);
            if (t) {
                live[n++].id = t->id = id;
            }
        } else if (n) {
            uint32_t k = rng_below(&r, n);
            struct thing *t = pool_get(&p, live[k].h);
            assert_non_null(t);
            assert_int_equal(t->id, live[k].id);
            pool_free(&p, t);
            dead[id % CAP].h = live[k].h;
            live[k] = live[--n];
        }
        assert_int_equal(p.used, n);
        assert_null(pool_get(&p, dead[rng_below(&r, CAP)].h));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stale_handles),    cmocka_unit_test(handles_pack), cmocka_unit_test(walk),
        cmocka_unit_test(generation_wraps), cmocka_unit_test(random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
