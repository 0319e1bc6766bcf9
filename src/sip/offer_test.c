/* RFC 6337 section 2.2: the six patterns of table 1, and what must be refused. */
#include "base/test.h"
#include "sip/offer.h"

static enum offer_kind in(struct offer *o, enum offer_place p)
{
    return offer_in(o, p).kind;
}
static enum offer_kind out(struct offer *o, enum offer_place p)
{
    return offer_out(o, p).kind;
}

/* 1: offer in INVITE, answer in 2xx; with unreliable and repeated copies around it. */
static void pattern_1(void **state)
{
    (void)state;
    struct offer o = {0};
    assert_true(offer_invite_sent(&o));
    assert_int_equal(out(&o, PLACE_REQUEST), SDP_OFFER);
    assert_int_equal(in(&o, PLACE_UNRELIABLE), SDP_PREVIEW);
    assert_int_equal(in(&o, PLACE_UNRELIABLE), SDP_PREVIEW);
    assert_int_equal(in(&o, PLACE_RELIABLE), SDP_ANSWER);
    assert_int_equal(in(&o, PLACE_RELIABLE), SDP_REPEAT);
    offer_invite_ended(&o, true);
    assert_int_equal(o.state, OFFER_SETTLED);
}

/* 2: none in INVITE, offer in 2xx, answer in ACK. */
static void pattern_2(void **state)
{
    (void)state;
    struct offer o = {0};
    assert_int_equal(offer_invite_received(&o), REASON_NONE);
    assert_int_equal(out(&o, PLACE_RELIABLE), SDP_OFFER);
    offer_invite_ended(&o, true);
    assert_int_equal(o.state, OFFER_SENT);
    assert_int_equal(in(&o, PLACE_REQUEST), SDP_REFUSED); /* nothing new before the ACK */
    assert_int_equal(in(&o, PLACE_ACK), SDP_ANSWER);
    assert_int_equal(in(&o, PLACE_ACK), SDP_REPEAT);
}

/* 3: offer in INVITE, answer in reliable 1xx; 4: offer in reliable 1xx, answer in PRACK. */
static void patterns_3_4(void **state)
{
    (void)state;
    struct offer o = {0};
    assert_int_equal(offer_invite_received(&o), REASON_NONE);
    assert_int_equal(in(&o, PLACE_REQUEST), SDP_OFFER);
    assert_int_equal(out(&o, PLACE_RELIABLE), SDP_ANSWER);
    assert_int_equal(in(&o, PLACE_PRACK),
                     SDP_OFFER); /* 5: a second offer in PRACK, answer in its 2xx */
    assert_int_equal(out(&o, PLACE_RELIABLE), SDP_ANSWER);
    assert_int_equal(out(&o, PLACE_RELIABLE), SDP_REPEAT);
    offer_invite_ended(&o, true);
    o = (struct offer){0};
    assert_true(offer_invite_sent(&o));
    assert_int_equal(in(&o, PLACE_RELIABLE), SDP_OFFER);
    assert_int_equal(out(&o, PLACE_PRACK), SDP_ANSWER);
    assert_int_equal(in(&o, PLACE_RELIABLE), SDP_REPEAT);
}

/* 6: UPDATE, and glare on every way. */
static void pattern_6_and_glare(void **state)
{
    (void)state;
    struct offer o = {.state = OFFER_SETTLED};
    assert_int_equal(out(&o, PLACE_REQUEST), SDP_OFFER);
    struct offer_verdict v = offer_in(&o, PLACE_REQUEST);
    assert_true(v.kind == SDP_REFUSED && v.reason == REASON_sip_glare);
    assert_int_equal(offer_invite_received(&o), REASON_sip_glare);
    assert_false(offer_invite_sent(&o));
    assert_int_equal(in(&o, PLACE_RELIABLE), SDP_ANSWER);
    assert_int_equal(in(&o, PLACE_REQUEST), SDP_OFFER);
    v = offer_in(&o, PLACE_REQUEST);
    assert_true(v.kind == SDP_REFUSED && v.reason == REASON_sip_busy_invite);
    assert_int_equal(offer_invite_received(&o), REASON_sip_busy_invite);
    assert_int_equal(out(&o, PLACE_REQUEST), SDP_REFUSED);
    assert_false(offer_invite_sent(&o));
    offer_failed(&o); /* ours to their UPDATE was a refusal */
    assert_true(offer_invite_sent(&o));
    assert_int_equal(offer_invite_received(&o), REASON_sip_glare); /* 14.2: 491 */
    offer_invite_ended(&o, false);
    assert_int_equal(offer_invite_received(&o), REASON_NONE);
    assert_int_equal(offer_invite_received(&o), REASON_sip_busy_invite); /* 14.2: 500 */
    assert_false(offer_invite_sent(&o));
}

static void refused_invite(void **state)
{
    (void)state;
    struct offer o = {0};
    assert_true(offer_invite_sent(&o));
    assert_int_equal(out(&o, PLACE_REQUEST), SDP_OFFER);
    offer_invite_ended(&o, false);
    assert_int_equal(o.state, OFFER_IDLE);
    assert_int_equal(in(&o, PLACE_ACK), SDP_REFUSED);
    assert_int_equal(in(&o, PLACE_UNRELIABLE), SDP_REFUSED);
}

/* Every cell: a refusal changes nothing and has a reason; out is the mirror of in. */
static void every_cell(void **state)
{
    (void)state;
    for (unsigned s = 0; s < OFFER_STATES; s++)
        for (unsigned p = 0; p < OFFER_PLACES; p++) {
            struct offer o = {.state = (uint8_t)s};
            struct offer_verdict v = offer_in(&o, (enum offer_place)p);
            assert_int_equal(v.kind == SDP_REFUSED, v.reason != REASON_NONE);
            if (v.kind == SDP_REFUSED || v.kind == SDP_PREVIEW)
                assert_int_equal(o.state, s);
            if (v.kind == SDP_OFFER)
                assert_int_equal(o.state, OFFER_RECEIVED);
            if (v.kind == SDP_ANSWER || v.kind == SDP_REPEAT)
                assert_int_equal(o.state, OFFER_SETTLED);
            struct offer m = {.state = (uint8_t)(s == OFFER_SENT       ? OFFER_RECEIVED
                                                 : s == OFFER_RECEIVED ? OFFER_SENT
                                                                       : s)};
            assert_int_equal(offer_out(&m, (enum offer_place)p).kind, v.kind);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pattern_1),      cmocka_unit_test(pattern_2),
        cmocka_unit_test(patterns_3_4),   cmocka_unit_test(pattern_6_and_glare),
        cmocka_unit_test(refused_invite), cmocka_unit_test(every_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
