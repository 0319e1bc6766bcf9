#include "base/test.h"
#include "sip/harness.h"

#define INVITE                                                                                     \
    (struct rig_request)                                                                           \
    {                                                                                              \
        .method = "INVITE", .branch = "z9hG4bKi1"                                                  \
    }

static struct handle invite(struct rig *r, bool reliable)
{
    struct handle h;
    rig_request(r, INVITE);
    assert_int_equal(rig_match(r, 1, &h), MATCH_NEW);
    return rig_server(r, reliable, 21);
}

static enum trans_match again(struct rig *r)
{
    struct handle h;
    rig_request(r, INVITE);
    return rig_match(r, 1, &h);
}

static enum trans_match ack(struct rig *r, struct handle *ret_h)
{
    rig_request(r, (struct rig_request){.method = "ACK", .branch = "z9hG4bKi1", .to_tag = "t9"});
    return rig_match(r, 1, ret_h);
}

/* Timer G doubles up to T2, H gives up: RFC 3261 17.2.1. */
static void refusal_never_acked(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = invite(r, false);
    int64_t start = r->now.us / 1000;
    assert_ok(rig_respond(r, h, 486));
    rig_wait(r, 31999);
    assert_int_equal(r->n_told, 0);
    rig_wait(r, 1);
    const int64_t at[] = {0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
    assert_int_equal(r->n_sent, ARRAY_LEN(at));
    for (unsigned i = 0; i < ARRAY_LEN(at); i++)
        assert_int_equal(r->sent[i].ms - start, at[i]);
    assert_int_equal(r->n_told, 1);
    assert_int_equal(r->told[0].what, 'e');
    assert_false(r->told[0].acked);
    assert_int_equal(r->told[0].user, 21);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void refusal_acked(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = invite(r, false), found;
    assert_ok(rig_respond(r, h, 404));
    rig_wait(r, 700);
    assert_int_equal(r->n_sent, 2);
    assert_int_equal(ack(r, &found), MATCH_ABSORBED);
    assert_true(handle_eq(found, h));
    assert_int_equal(r->n_told, 1);
    assert_true(r->told[0].acked);
    assert_int_equal(blocks_used(&r->blocks), 0);
    assert_int_equal(ack(r, &found), MATCH_ABSORBED); /* repeated */
    assert_int_equal(again(r), MATCH_ABSORBED);
    rig_wait(r, 4999); /* timer I */
    assert_true(trans_alive(r->t, h));
    rig_wait(r, 1);
    assert_int_equal(r->n_sent, 2);
    assert_int_equal(r->n_told, 1);
    assert_true(rig_clean(r));
    rig_free(r);
}

static void refusal_on_stream(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = invite(r, true), found;
    assert_ok(rig_respond(r, h, 404));
    rig_wait(r, 31000);
    assert_int_equal(r->n_sent, 1); /* no timer G */
    assert_int_equal(ack(r, &found), MATCH_ABSORBED);
    assert_true(r->told[0].acked);
    assert_true(rig_clean(r)); /* I is zero */
    h = invite(r, true);
    assert_ok(rig_respond(r, h, 404));
    rig_wait(r, 32000); /* H holds for every transport */
    assert_false(r->told[1].acked);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* The repeated INVITE gets the last response again, and none before the first. */
static void repeated_invite(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = invite(r, false);
    assert_int_equal(again(r), MATCH_ABSORBED);
    assert_int_equal(r->n_sent, 0);
    assert_ok(rig_respond(r, h, 100));
    assert_ok(rig_respond(r, h, 180));
    assert_int_equal(again(r), MATCH_ABSORBED);
    assert_int_equal(r->n_sent, 3);
    assert_int_equal(r->sent[2].n, r->sent[1].n);
    assert_memory_equal(r->sent[2].text, r->sent[1].text, r->sent[1].n);
    assert_ok(rig_respond(r, h, 603));
    assert_int_equal(again(r), MATCH_ABSORBED);
    assert_memory_equal(r->sent[4].text, r->sent[3].text, r->sent[3].n);
    assert_err(rig_respond(r, h, 180), ERR_STATE);
    assert_err(rig_respond(r, h, 200), ERR_STATE);
    assert_err(rig_respond(r, h, 603), ERR_STATE);
    assert_int_equal(r->n_sent, 5);
    trans_drop(r->t, h);
    assert_true(rig_clean(r));
    rig_free(r);
}

/* RFC 6026 7.1. */
static void accepted(void **state)
{
    (void)state;
    struct rig *r = rig_new(4, 16, 512);
    struct handle h = invite(r, false), found;
    assert_ok(rig_respond(r, h, 180));
    assert_ok(rig_respond(r, h, 200));
    assert_int_equal(blocks_used(&r->blocks), 0);
    assert_int_equal(again(r), MATCH_ABSORBED); /* absorbed without an answer */
    assert_int_equal(r->n_sent, 2);
    rig_request(r, INVITE);
    assert_ok(rig_respond(r, h, 200)); /* the call repeats its 2xx */
    assert_int_equal(r->n_sent, 3);
    assert_err(rig_respond(r, h, 486), ERR_STATE);
    assert_int_equal(ack(r, &found), MATCH_ACK_2XX);
    assert_true(handle_eq(found, h));
    trans_transport_failed(r->t, h, r->now);
    rig_wait(r, 31999); /* timer L */
    assert_int_equal(r->n_told, 0);
    rig_wait(r, 1);
    assert_int_equal(r->n_told, 1);
    assert_true(r->told[0].what == 'e' && r->told[0].acked && !r->told[0].alive);
    assert_true(rig_clean(r));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal_never_acked),
        cmocka_unit_test(refusal_acked),
        cmocka_unit_test(refusal_on_stream),
        cmocka_unit_test(repeated_invite),
        cmocka_unit_test(accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
