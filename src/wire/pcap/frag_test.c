#include "base/test.h"
#include "wire/pcap/frag.h"

#define WHOLE 3000u
static struct frags *fs;
static uint8_t whole[WHOLE];

static int setup(void **state)
{
    (void)state;
    fs = calloc(1, sizeof *fs);
    for (unsigned i = 0; i < WHOLE; i++)
        whole[i] = (uint8_t)(i * 7 + i / 256);
    be16_put(whole, 5060);
    be16_put(whole + 2, 5062);
    be16_put(whole + 4, WHOLE);
    return fs ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(fs);
    return 0;
}

static struct frame piece(uint32_t id, unsigned off, unsigned n)
{
    return (struct frame){.kind = FRAME_FRAGMENT,
                          .proto = 17,
                          .frag_more = off + n < WHOLE,
                          .frag_off = (uint16_t)off,
                          .frag_id = id,
                          .src = {.family = ADDR_V4, .ip = {192, 0, 2, 1}},
                          .dst = {.family = ADDR_V4, .ip = {192, 0, 2, 2}},
                          .data = whole + off,
                          .len = n};
}

static bool push(struct frame *f, int64_t us)
{
    return frag_push(fs, f, (struct instant){us});
}

static void in_any_order(void **state)
{
    (void)state;
    static const unsigned ORDERS[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}};
    static const unsigned AT[] = {0, 1000, 2000};
    for (uint32_t i = 0; i < ARRAY_LEN(ORDERS); i++) {
        for (unsigned k = 0; k < 3; k++) {
            struct frame f = piece(i, AT[ORDERS[i][k]], 1000), again = f;
            assert_int_equal(push(&f, 1), k == 2);
            if (k < 2) {
                assert_false(push(&again, 1)); /* twice is harmless */
                continue;
            }
            assert_int_equal(f.kind, FRAME_UDP);
            assert_int_equal(f.len, WHOLE - 8);
            assert_memory_equal(f.data, whole + 8, WHOLE - 8);
            assert_int_equal(f.src.port, 5060);
        }
    }
    assert_int_equal(fs->whole, ARRAY_LEN(ORDERS));
    assert_int_equal(fs->overlapping, 0);
}

static void overlap_ends_it(void **state)
{
    (void)state;
    struct frame a = piece(1, 0, 1000), b = piece(1, 992, 1008), c = piece(1, 1000, 1000),
                 d = piece(1, 2000, 1000);
    assert_false(push(&a, 1));
    assert_false(push(&b, 1));
    assert_int_equal(fs->overlapping, 1);
    assert_false(push(&c, 1));
    assert_false(push(&d, 1)); /* the first piece went with the rest */
}

static void behind_the_end(void **state)
{
    (void)state;
    struct frame last = piece(1, 2000, 1000), past = piece(1, 2000, 1000);
    past.frag_off = 3000;
    past.frag_more = true;
    assert_false(push(&last, 1));
    assert_false(push(&past, 1));
    assert_int_equal(fs->overlapping, 1);
    struct frame early = piece(2, 2000, 1000), end = piece(2, 0, 1000);
    end.frag_more = false; /* the end lies before what is here */
    assert_false(push(&early, 1));
    assert_false(push(&end, 1));
    assert_int_equal(fs->overlapping, 2);
}

static void wrong_pieces(void **state)
{
    (void)state;
    struct frame odd = piece(1, 0, 1001), none = piece(1, 0, 0);
    odd.frag_more = true;
    assert_false(push(&odd, 1));
    assert_false(push(&none, 1));
    assert_int_equal(fs->wrong, 2);
}

static void late_and_too_many(void **state)
{
    (void)state;
    struct frame a = piece(1, 0, 1000), b = piece(1, 1000, 1000), c = piece(1, 2000, 1000);
    assert_false(push(&a, 1));
    assert_false(push(&b, 2 + FRAG_WAIT_US));
    assert_false(push(&c, 2 + FRAG_WAIT_US)); /* the first is forgotten */
    assert_int_equal(fs->late, 1);
    for (uint32_t i = 0; i <= FRAG_SLOTS; i++) {
        struct frame f = piece(100 + i, 0, 1000);
        assert_false(push(&f, 3 + FRAG_WAIT_US + i));
    }
    assert_true(fs->evicted >= 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(in_any_order), T(overlap_ends_it), T(behind_the_end),
                                       T(wrong_pieces), T(late_and_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
