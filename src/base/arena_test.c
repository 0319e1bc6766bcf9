#include "base/arena.h"
#include "base/test.h"

static ALIGNED(16) uint8_t mem[1024];

static void fixed(void **state)
{
    (void)state;
    struct arena a;
    arena_init_fixed(&a, mem + 1, 79); /* 15 bytes go to alignment, 64 are left */
    assert_int_equal(a.cap_bytes, 64);
    void *p = arena_take(&a, 1), *q = arena_take(&a, 17);
    assert_ptr_equal(p, mem + 16);
    assert_ptr_equal(q, mem + 32);
    assert_int_equal(a.taken_bytes, 48);
    assert_null(arena_take(&a, 17));
    assert_non_null(arena_take(&a, 16));
    assert_null(arena_take(&a, 0));
    arena_reset(&a);
    assert_int_equal(a.taken_bytes, 0);
    assert_non_null(arena_take(&a, 64));
    assert_null(arena_take(&a, 1));
    arena_reset(&a);
    assert_null(arena_take(&a, 65));
    assert_null(arena_take(&a, SIZE_MAX));
    assert_null(arena_take(&a, SIZE_MAX - 14));
    arena_init_fixed(&a, mem + 1, 3);
    assert_null(arena_take(&a, 0));
}

static void strings(void **state)
{
    (void)state;
    struct arena a;
    arena_init_fixed(&a, mem, 48);
    memset(mem, 0xee, sizeof mem);
    struct str s = arena_str(&a, STR("bob"));
    assert_str(s, "bob");
    assert_non_null(arena_str(&a, STR_NONE).p);
    uint8_t *z = arena_take_zero(&a, 16);
    assert_non_null(z);
    for (int i = 0; i < 16; i++)
        assert_int_equal(z[i], 0);
    assert_null(arena_str(&a, STR("x")).p);
    assert_null(arena_take_zero(&a, 1));
}

static void block_arenas(void **state)
{
    (void)state;
    struct blocks src;
    struct arena a, b;
    blocks_init(&src, mem, sizeof mem, 256); /* four blocks */
    arena_init_blocks(&a, &src, 3 * 256);
    arena_init_blocks(&b, &src, 1024);
    assert_null(arena_take(&a, 241)); /* more than a block can give */
    assert_int_equal(blocks_used(&src), 0);
    for (int i = 0; i < 3; i++) {
        uint8_t *p = arena_take(&a, 240);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, i, 240);
    }
    assert_null(arena_take(&a, 1)); /* its own cap */
    assert_int_equal(a.taken_bytes, 768);
    assert_non_null(arena_take(&b, 100));
    assert_non_null(arena_take(&b, 128)); /* same block */
    assert_int_equal(blocks_used(&src), 4);
    assert_null(arena_take(&b, 100)); /* the source is empty */
    arena_reset(&a);
    assert_int_equal(blocks_used(&src), 1);
    assert_int_equal(src.peak, 4);
    for (int i = 0; i < 3; i++)
        assert_non_null(arena_take(&b, 200));
    assert_null(arena_take(&b, 200));
    arena_reset(&b);
    arena_reset(&b);
    assert_int_equal(blocks_used(&src), 0);
    assert_non_null(arena_take(&a, 1)); /* usable after a reset */
    arena_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fixed), cmocka_unit_test(strings),
                                       cmocka_unit_test(block_arenas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
