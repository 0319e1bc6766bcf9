#include "base/test.h"
#include "media/stats.h"

static struct reception r;
static struct instant now;

static void packet(uint32_t ssrc, uint16_t seq, uint32_t ts, int64_t after_us)
{
    struct rtp p = {.ssrc = ssrc, .seq = seq, .ts = ts, .pt = 8};
    now.us += after_us;
    reception_packet(&r, &p, 172, 8000, now);
}

static struct media_stats fresh(void)
{
    struct media_stats s;
    reception_read(&r, &s);
    return s;
}

static int setup(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    now.us = 1000000;
    return 0;
}

static void loss_by_extended_numbers(void **state)
{
    (void)state;
    assert_int_equal(fresh().lost, 0);
    for (uint32_t i = 0; i < 70000; i++)
        if (i % 100 != 50)
            packet(7, (uint16_t)(i + 60000), i * 160, 20000);
    assert_int_equal(fresh().packets, 69300);
    assert_int_equal(fresh().lost, 700);
    assert_int_equal(fresh().octets, 69300 * 172);
}

static void disorder_and_copies_are_not_loss(void **state)
{
    (void)state;
    static const uint16_t order[] = {10, 12, 11, 13, 13, 15, 14, 65535};
    for (size_t i = 0; i + 1 < ARRAY_LEN(order); i++)
        packet(7, order[i], order[i] * 160u, 20000);
    assert_int_equal(fresh().lost, 0);
    assert_int_equal(fresh().packets, 7);
}

static void new_source_and_restart_begin_anew(void **state)
{
    (void)state;
    packet(7, 1, 0, 20000);
    packet(7, 5, 640, 80000); /* three lost */
    packet(8, 30000, 0, 20000);
    packet(8, 30001, 160, 20000);
    assert_int_equal(fresh().lost, 3);
    packet(8, 100, 320, 20000); /* the same source jumps back */
    packet(8, 102, 640, 40000);
    assert_int_equal(fresh().lost, 4);
    packet(8, 102 + 3000, 0, 20000); /* as far as loss may go */
    assert_int_equal(fresh().lost, 4 + 2999);
    packet(8, 102 + 6001, 0, 20000); /* one farther */
    assert_int_equal(fresh().lost, 4 + 2999);
}

/* RFC 3550 A.8: J += (|D| - J) / 16. Every second packet 4 ms late: |D| is 4 ms always, so J goes
 * to 4 ms. */
static void jitter_converges(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 400; i++)
        packet(7, i, i * 160u, i % 2 ? 24000 : 16000);
    assert_in_range(fresh().jitter_us, 3700, 4100);
    assert_in_range(fresh().max_jitter_us, fresh().jitter_us, 4200);
    uint32_t before = r.jitter16;
    packet(7, 400, 400 * 160u + 8000u * 3600, 20000); /* a new timeline is not jitter */
    assert_int_equal(r.jitter16, before);
}

static void even_stream_has_none(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 400; i++)
        packet(7, i, i * 160u, 20000);
    assert_int_equal(fresh().jitter_us, 0);
    assert_true(fresh().first_us == 1020000 && fresh().last_us == now.us);
    struct rtp p = {.ssrc = 7, .seq = 400, .ts = 5, .pt = 99};
    reception_packet(&r, &p, 20, 0, now); /* unknown clock */
    assert_int_equal(fresh().jitter_us, 0);
    assert_int_equal(fresh().payload_type, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loss_by_extended_numbers, setup),
        cmocka_unit_test_setup(disorder_and_copies_are_not_loss, setup),
        cmocka_unit_test_setup(new_source_and_restart_begin_anew, setup),
        cmocka_unit_test_setup(jitter_converges, setup),
        cmocka_unit_test_setup(even_stream_has_none, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
