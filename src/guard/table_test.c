/* Who has a slot, and who gives his up when a set is full. */
#include "base/test.h"
#include "guard/guard_int.h"

#define HALF 600u
static struct table t;
static uint8_t *mem;

static void make(uint32_t cap)
{
    t = (struct table){.n_sets = 1, .n_gauges = 2, .extra = 8};
    size_t n = table_bytes(&t, cap);
    mem = calloc(1, n);
    assert_ptr_equal((uint8_t *)table_init(&t, mem, cap), mem + n);
}

static int teardown(void **state)
{
    (void)state;
    free(mem);
    mem = NULL;
    return 0;
}

/* The nth key of the first set. */
static uint64_t key(uint64_t n)
{
    return (n + 1) << 32;
}

static void sizes(void **state)
{
    (void)state;
    static const uint32_t cap[] = {1, 32, 33, 64, 65, 1000};
    static const uint32_t sets[] = {4, 4, 8, 8, 16, 128};
    for (size_t i = 0; i < ARRAY_LEN(cap); i++) {
        t = (struct table){0};
        assert_true(table_bytes(&t, cap[i]) > 0);
        assert_int_equal(t.sets, sets[i]);
    }
}

static void found_again(void **state)
{
    (void)state;
    make(32);
    assert_null(table_get(&t, key(1)));
    struct slot *s = table_take(&t, key(1), PROOF_PROVEN, HALF, 77);
    assert_non_null(s);
    assert_true(s->key == key(1) && s->proof == PROOF_PROVEN && s->at == 77 && s->score == 0);
    assert_ptr_equal(table_get(&t, key(1)), s);
    assert_ptr_equal(table_take(&t, key(1), PROOF_CLAIMED, HALF, 99), s);
    assert_int_equal(s->proof, PROOF_PROVEN); /* what is known of it stays */
    assert_null(table_get(&t, key(1) + 1));   /* the same tag, another key */
    assert_int_equal(t.evicted, 0);
    /* what belongs to a slot lies in it */
    assert_true((uint8_t *)slot_extra(&t, s) + t.extra <= (uint8_t *)s + t.slot_bytes);
    assert_true((uint8_t *)slot_gauge(&t, s, 1) < (uint8_t *)slot_extra(&t, s));
    assert_true((uint8_t *)slot_set(s, 0) >= (uint8_t *)s->tail);
}

static void fill(enum proof p)
{
    for (uint64_t n = 0; n < WAYS; n++)
        assert_non_null(table_take(&t, key(n), p, HALF, 100 + (uint32_t)n));
}

/* All worth the same: who was not seen for the longest time goes. */
static void oldest(void **state)
{
    (void)state;
    make(32);
    fill(PROOF_CLAIMED);
    table_get(&t, key(0))->at = 500;
    struct slot *s = table_take(&t, key(50), PROOF_CLAIMED, HALF, 501);
    assert_non_null(s);
    assert_int_equal(t.evicted, 1);
    assert_null(table_get(&t, key(1)));
    assert_non_null(table_get(&t, key(0)));
    assert_true(s->key == key(50) && s->score == 0 && s->firing == 0);
    /* other sets are not touched */
    assert_non_null(table_take(&t, key(7) | 1, PROOF_CLAIMED, HALF, 501));
    assert_int_equal(t.evicted, 1);
}

static void least_worth(void **state)
{
    (void)state;
    make(32);
    fill(PROOF_CLAIMED);
    for (uint64_t n = 0; n < WAYS; n++)
        table_get(&t, key(n))->score = n == 5 ? 10u << 8 : 20u << 8;
    table_get(&t, key(5))->at = 1000;
    assert_non_null(table_take(&t, key(50), PROOF_CLAIMED, HALF, 1000));
    assert_null(table_get(&t, key(5)));
    /* points fade: an old high score is worth less than a young low one */
    for (uint64_t n = 0; n < WAYS; n++) {
        struct slot *s = table_get(&t, n == 5 ? key(50) : key(n));
        s->score = n == 3 ? 40u << 8 : 20u << 8;
        s->score_at = n == 3 ? 0 : 10 * HALF;
    }
    assert_non_null(table_take(&t, key(60), PROOF_CLAIMED, HALF, 10 * HALF));
    assert_null(table_get(&t, key(3)));
}

/* A flood of claimed names pushes out nobody who has proved himself. */
static void proof_stays(void **state)
{
    (void)state;
    make(32);
    fill(PROOF_PROVEN);
    for (uint64_t n = 100; n < 200; n++)
        assert_null(table_take(&t, key(n), PROOF_CLAIMED, HALF, 10000));
    assert_int_equal(t.refused, 100);
    assert_int_equal(t.evicted, 0);
    for (uint64_t n = 0; n < WAYS; n++)
        assert_non_null(table_get(&t, key(n)));
    assert_non_null(table_take(&t, key(300), PROOF_PROVEN, HALF, 10000));
    assert_int_equal(t.evicted, 1);
    /* the one that has proved least goes first, however high its score */
    struct slot *least = table_get(&t, key(4));
    least->proof = PROOF_CLAIMED;
    least->score = 900u << 8;
    least->at = least->score_at = 10000;
    assert_non_null(table_take(&t, key(301), PROOF_CLAIMED, HALF, 10000));
    assert_null(table_get(&t, key(4)));
}

#define T(f) cmocka_unit_test_teardown(f, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), T(found_again), T(oldest),
                                       T(least_worth), T(proof_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
