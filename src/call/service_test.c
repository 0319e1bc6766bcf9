#include "base/rng.h"
#include "call/fixture_test.h"
#include "call/service.h"

#define CAP 40u
static const struct wall NOW = {1000}, LATER = {2000};
static struct service_board *board;
static char buf[SERVICE_ROUTE_MAX];

static int setup(void **state)
{
    (void)state;
    board = test_calloc(1, service_bytes(CAP));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_free(board);
    return 0;
}

static struct str get(uint64_t key)
{
    return service_get(board, CAP, key, NOW, buf);
}

static void keeps_replaces_and_forgets(void **state)
{
    (void)state;
    assert_int_equal(get(7).n, 0);
    assert_ok(service_put(board, CAP, 7, STR("<sip:a.test;lr>"), LATER, NOW));
    assert_str(get(7), "<sip:a.test;lr>");
    assert_int_equal(get(8).n, 0);
    assert_ok(service_put(board, CAP, 7, STR("<sip:b.test;lr>"), LATER, NOW));
    assert_str(get(7), "<sip:b.test;lr>");
    service_del(board, CAP, 8);
    assert_str(get(7), "<sip:b.test;lr>");
    service_del(board, CAP, 7);
    assert_int_equal(get(7).n, 0);
}

static void ends_with_its_registration(void **state)
{
    (void)state;
    assert_ok(service_put(board, CAP, 7, STR("<sip:a.test;lr>"), LATER, NOW));
    assert_str(service_get(board, CAP, 7, (struct wall){LATER.us - 1}, buf), "<sip:a.test;lr>");
    assert_int_equal(service_get(board, CAP, 7, LATER, buf).n, 0);
}

/* 128 slots: keys that differ by that meet in one chain. */
static uint64_t twin(uint64_t i)
{
    return 120 + i * 128;
}

static void a_chain_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(service_bytes(CAP),
                     sizeof(struct service_board) + 128 * sizeof(struct service_slot));
    for (uint64_t i = 1; i <= 32; i++)
        assert_ok(service_put(board, CAP, twin(i), STR("<sip:a.test;lr>"), LATER, NOW));
    assert_int_equal(service_put(board, CAP, twin(33), STR("<sip:a.test;lr>"), LATER, NOW),
                     ERR_FULL);
    assert_ok(service_put(board, CAP, twin(32), STR("<sip:c.test;lr>"), LATER, NOW));
    service_del(board, CAP, twin(3)); /* the chain goes on behind it */
    assert_str(get(twin(32)), "<sip:c.test;lr>");
    assert_ok(service_put(board, CAP, twin(33), STR("<sip:d.test;lr>"), LATER, NOW));
    assert_str(get(twin(33)), "<sip:d.test;lr>");
    /* What has run out makes room. */
    assert_ok(
        service_put(board, CAP, twin(34), STR("<sip:e.test;lr>"), (struct wall){3000}, LATER));
    assert_str(get(twin(34)), "<sip:e.test;lr>");
}

static struct service_slot *slot_of(uint64_t key)
{
    for (uint32_t i = 0; i < 128; i++)
        if (board->slot[i].row.key == key)
            return &board->slot[i];
    return NULL;
}

static void what_a_dead_writer_left_is_absent_and_taken_again(void **state)
{
    (void)state;
    assert_ok(service_put(board, CAP, 7, STR("<sip:a.test;lr>"), LATER, NOW));
    slot_of(7)->seq |= 1;
    assert_int_equal(get(7).n, 0);
    assert_ok(service_put(board, CAP, 7, STR("<sip:b.test;lr>"), LATER, NOW));
    assert_str(get(7), "<sip:b.test;lr>");
    assert_int_equal(slot_of(7)->seq & 1, 0);
}

static void no_chain_ends_where_a_lock_comes_round(void **state)
{
    (void)state;
    assert_ok(service_put(board, CAP, twin(1), STR("<sip:a.test;lr>"), LATER, NOW));
    assert_ok(service_put(board, CAP, twin(2), STR("<sip:b.test;lr>"), LATER, NOW));
    slot_of(twin(1))->seq = UINT32_MAX - 1;
    assert_ok(service_put(board, CAP, twin(1), STR("<sip:c.test;lr>"), LATER, NOW));
    assert_str(get(twin(2)), "<sip:b.test;lr>");
}

/* Readers believe nothing that another engine wrote. */
static void unsound_rows_are_not_used(void **state)
{
    (void)state;
    char most[SERVICE_ROUTE_MAX];
    memset(most, 'x', sizeof most);
    assert_ok(service_put(board, CAP, 7, str_of(most, sizeof most), LATER, NOW));
    assert_int_equal(get(7).n, SERVICE_ROUTE_MAX);
    struct service_slot *s = slot_of(7);
    s->row.n = SERVICE_ROUTE_MAX + 1;
    assert_int_equal(get(7).n, 0);
    s->row.n = 0;
    assert_int_equal(get(7).n, 0);
    s->row.n = 9;
    assert_int_equal(get(7).n, 9);
    for (int ch = 0; ch < 256; ch++) {
        s->row.route[8] = (char)ch;
        assert_int_equal(get(7).n, ch < ' ' || ch == 0x7f ? 0 : 9);
    }
}

/* Another engine's board may hold anything: what comes back is text, and the reader stays inside.
 */
static void noise_gives_text_or_nothing(void **state)
{
    (void)state;
    struct rng r;
    uint8_t seed[32] = {4};
    unsigned found = 0;
    rng_init(&r, seed);
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < service_bytes(CAP); i++)
            ((uint8_t *)board)[i] = (uint8_t)rng_below(&r, 256);
        board->any = 1;
        for (uint32_t i = 0; i < 128; i++) { /* some that are nearly right */
            struct service_slot *s = &board->slot[i];
            s->seq &= rng_below(&r, 4) ? ~1u : ~0u;
            s->row.key = rng_below(&r, 2) ? i : rng_u64(&r);
            s->row.n = rng_below(&r, 2) ? rng_below(&r, 260) : s->row.n;
            s->row.until.us = INT64_MAX;
            for (uint32_t k = 0; k < SERVICE_ROUTE_MAX && i % 2; k++)
                s->row.route[k] = (char)(' ' + rng_below(&r, 90));
        }
        for (uint64_t key = 1; key < 128; key++) {
            struct str v = get(key);
            assert_true(v.n <= SERVICE_ROUTE_MAX);
            found += v.n > 0;
            for (size_t k = 0; k < v.n; k++)
                assert_true((uint8_t)v.p[k] >= ' ' && v.p[k] != 0x7f);
        }
    }
    assert_true(found > 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(keeps_replaces_and_forgets),
                                       T(ends_with_its_registration),
                                       T(a_chain_is_bounded),
                                       T(what_a_dead_writer_left_is_absent_and_taken_again),
                                       T(no_chain_ends_where_a_lock_comes_round),
                                       T(unsound_rows_are_not_used),
                                       T(noise_gives_text_or_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
