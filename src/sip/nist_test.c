#include "base/test.h"
#include "sip/harness.h"

#define BYE                                                                                        \
    (struct rig_request)                                                                           \
    {                                                                                              \
        .method = "BYE", .branch = "z9hG4bKb1", .to_tag = "t9"                                     \
    }

static enum trans_match arrive(struct rig *r)
{
    struct handle h;
    rig_request(r, BYE);
    return rig_match(r, 1, &h);
}

static void absorbs_and_repeats(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    assert_int_equal(arrive(r), MATCH_NEW);
    struct handle h = rig_server(r, false, 8);
    assert_int_equal(arrive(r), MATCH_ABSORBED); /* Trying: silence */
    assert_int_equal(r->n_sent, 0);
    assert_ok(rig_respond(r, h, 100));
    assert_int_equal(arrive(r), MATCH_ABSORBED);
    assert_int_equal(r->n_sent, 2);
    assert_ok(rig_respond(r, h, 200));
    rig_wait(r, 10000);
    assert_int_equal(arrive(r), MATCH_ABSORBED);
    assert_int_equal(r->n_sent, 4);
    assert_memory_equal(r->sent[3].text, r->sent[2].text, r->sent[2].n);
    assert_err(rig_respond(r, h, 200), ERR_STATE);
    rig_wait(r, 21999); /* timer J counts from the final response */
    assert_int_equal(r->n_told, 0);
    assert_int_equal(arrive(r), MATCH_ABSORBED);
    rig_wait(r, 1);
    assert_int_equal(r->n_told, 1);
    assert_true(r->told[0].what == 'e' && r->told[0].acked && r->told[0].user == 8);
    assert_true(rig_clean(r));
    assert_int_equal(arrive(r), MATCH_NEW);
    rig_free(r);
}

static void on_stream(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    assert_int_equal(arrive(r), MATCH_NEW);
    struct handle h = rig_server(r, true, 8);
    assert_ok(rig_respond(r, h, 481));
    assert_int_equal(r->n_told, 1); /* J is zero */
    assert_false(r->told[0].alive);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void transport_failed(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    assert_int_equal(arrive(r), MATCH_NEW);
    struct handle h = rig_server(r, false, 8);
    trans_transport_failed(r->t, h, r->now); /* nothing was sent yet: an old report */
    assert_true(trans_alive(r->t, h));
    assert_ok(rig_respond(r, h, 200));
    trans_transport_failed(r->t, h, r->now);
    assert_true(r->n_told == 1 && !r->told[0].acked);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absorbs_and_repeats),
        cmocka_unit_test(on_stream),
        cmocka_unit_test(transport_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
