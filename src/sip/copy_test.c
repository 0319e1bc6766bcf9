#include "base/test.h"
#include "sip/copy.h"

#define N     8u
#define BLOCK 128u
static uint8_t mem[N * BLOCK] ALIGNED(64);

static void lengths(void **state)
{
    (void)state;
    struct blocks b;
    struct copies c;
    blocks_init(&b, mem, sizeof mem, BLOCK);
    copies_init(&c, &b);
    assert_int_equal(blocks_used(&b), 0);
    assert_in_range(c.room, BLOCK - 32, BLOCK - 8);
    char text[N * BLOCK], scratch[N * BLOCK];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 + i / 256);
    for (size_t n = 1; n <= (size_t)N * c.room; n++) {
        void *head = NULL;
        assert_ok(copy_keep(&c, str_of(text, n), &head));
        assert_int_equal(blocks_used(&b), (n + c.room - 1) / c.room);
        memset(scratch, 1, sizeof scratch);
        assert_str_eq(copy_read(&c, head, n, scratch), str_of(text, n));
        assert_true(n == sizeof scratch || scratch[n] == 1); /* not a byte further */
        assert_true(copy_equal(&c, head, str_of(text, n)));
        text[n - 1] ^= 1;
        assert_false(copy_equal(&c, head, str_of(text, n)));
        text[n - 1] ^= 1;
        copy_release(&c, &head);
        assert_null(head);
        assert_int_equal(blocks_used(&b), 0);
    }
    void *head = NULL;
    assert_err(copy_keep(&c, str_of(text, (size_t)N * c.room + 1), &head), ERR_FULL);
    assert_null(head);
    assert_int_equal(blocks_used(&b), 0); /* what was taken on the way is given back */
    copy_release(&c, &head);
    assert_int_equal(copy_read(&c, NULL, 5, scratch).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
