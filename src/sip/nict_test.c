#include "base/test.h"
#include "sip/harness.h"

/* Timer E doubles up to T2, timer F ends it: RFC 3261 17.1.2.2. */
static void unanswered_udp(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    int64_t start = r->now.us / 1000;
    (void)rig_client(r, SIP_BYE, false, 3);
    rig_wait(r, 31999);
    assert_int_equal(r->n_told, 0);
    rig_wait(r, 1);
    const int64_t at[] = {0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
    assert_int_equal(r->n_sent, ARRAY_LEN(at));
    for (unsigned i = 0; i < ARRAY_LEN(at); i++)
        assert_int_equal(r->sent[i].ms - start, at[i]);
    assert_int_equal(r->n_told, 1);
    assert_int_equal(r->told[0].why, REASON_sip_timeout);
    assert_int_equal(r->told[0].user, 3);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* In Proceeding the running E goes on, and then comes every T2. */
static void provisional_slows_down(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    int64_t start = r->now.us / 1000;
    (void)rig_client(r, SIP_OPTIONS, false, 3);
    rig_wait(r, 600);
    assert_true(rig_answer(r, 100, "OPTIONS"));
    rig_wait(r, 32000 - 600);
    const int64_t at[] = {0, 500, 1500, 5500, 9500, 13500, 17500, 21500, 25500, 29500};
    assert_int_equal(r->n_sent, ARRAY_LEN(at));
    for (unsigned i = 0; i < ARRAY_LEN(at); i++)
        assert_int_equal(r->sent[i].ms - start, at[i]);
    assert_int_equal(r->n_told, 2);
    assert_int_equal(r->told[1].why, REASON_sip_timeout);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void one_final_response(void **state)
{
    (void)state;
    for (unsigned code = 200; code <= 600; code += 100) {
        struct rig *r = rig_new(4, 16, 512);
        struct handle h = rig_client(r, SIP_REGISTER, false, 3);
        for (unsigned i = 0; i < 3; i++)
            assert_true(rig_answer(r, code, "REGISTER"));
        assert_true(rig_answer(r, 180, "REGISTER"));
        assert_int_equal(r->n_told, 1);
        assert_int_equal(r->told[0].code, code);
        assert_int_equal(blocks_used(&r->blocks), 0);
        rig_wait(r, 4999); /* timer K */
        assert_true(trans_alive(r->t, h));
        rig_wait(r, 1);
        assert_int_equal(r->n_sent, 1);
        assert_true(rig_clean(r));
        assert_false(rig_answer(r, code, "REGISTER")); /* now it is a stray */
        rig_free(r);
    }
}

static void on_stream(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = rig_client(r, SIP_BYE, true, 3);
    assert_int_equal(blocks_used(&r->blocks), 0); /* never sent again, so not kept */
    rig_wait(r, 20000);
    assert_int_equal(r->n_sent, 1);
    assert_true(rig_answer(r, 200, "BYE"));
    assert_true(r->told[0].alive);
    assert_false(trans_alive(r->t, h));
    (void)rig_client(r, SIP_BYE, true, 3);
    rig_wait(r, 32000);
    assert_int_equal(r->told[1].why, REASON_sip_timeout);
    h = rig_client(r, SIP_BYE, true, 3);
    trans_transport_failed(r->t, h, r->now);
    assert_int_equal(r->told[2].why, REASON_sip_transport_failed);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unanswered_udp),
        cmocka_unit_test(provisional_slows_down),
        cmocka_unit_test(one_final_response),
        cmocka_unit_test(on_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
