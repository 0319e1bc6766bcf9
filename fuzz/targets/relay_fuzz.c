/* Offers, answers and packets from both sides in any order: our bodies parse, never show the other
 * side, plain packets go only where SDP says, and all accounts return to zero. */
#include "media/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A body of ours: our origin, name and address everywhere, and no attribute that could hold
 * another. */
static void clean(struct str body)
{
    static const struct str never[] = {
        {"candidate", 9}, {"ssrc", 4}, {"ice-ufrag", 9}, {"fingerprint", 11}};
    struct sdp s;
    struct addr us = rig_addr("203.0.113.1", 0), a;
    CHECK(sdp_parse(body, &s) == OK);
    CHECK(str_eq(span_str(body, s.user), STR("-")) && str_eq(span_str(body, s.name), STR("-")));
    for (unsigned i = 0; i < s.n_media; i++) {
        const struct sdp_media *m = &s.media[i];
        CHECK(m->port == 0 || addr_eq_ip(&sdp_media_conn(&s, m)->a, &us));
        if (sdp_rtcp(&s, body, m, &a) == OK)
            CHECK(a.family == ADDR_NONE || addr_eq_ip(&a, &us));
        for (size_t k = 0; k < ARRAY_LEN(never); k++)
            CHECK(!sdp_attr_find(&s, body, &m->sec, never[k]));
    }
}

static void one(struct rig *r, uint8_t what, struct str arg)
{
    uint8_t buf[PKT_MAX];
    bool from_a = what & 1;
    switch (what / 2 % 4) {
    case 0:
        if (rig_offer(r, from_a, arg) == REASON_NONE)
            clean(from_a ? r->said_b : r->said_a);
        break;
    case 1:
        if (rig_answer(r, from_a, arg) == REASON_NONE)
            clean(from_a ? r->said_a : r->said_b);
        break;
    case 2:
        media_rollback(r->m, from_a ? r->a : r->b);
        break;
    default: {
        struct pkt pk = {.data = buf,
                         .len = (uint16_t)MIN(arg.n, sizeof buf),
                         .port = (uint16_t)(20000 + what % 32),
                         .peer = rig_addr(what & 64 ? "192.0.2.10" : "203.0.113.66",
                                          (uint16_t)(4000 + (what >> 7)))};
        memcpy(buf, arg.p, pk.len);
        (void)rig_turn(r, &pk);
        CHECK(pk.len <= sizeof buf);
        break;
    }
    }
    r->now = instant_add(r->now, DUR_MS(1));
}

/* Input: records of {what, two bytes of length, bytes}. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rig r;
    if (n < 2)
        return 0;
    struct media_policy a = rig_policy(data[0] & 1, data[0] & 2, data[0] & 1 && data[0] & 4,
                                       data[0] & 8),
                        b = rig_policy(data[1] & 1, data[1] & 2, data[1] & 1 && data[1] & 4,
                                       data[1] & 8);
    a.kinds = data[0] & 16 ? 31 : 0;
    b.kinds = data[1] & 16 ? 31 : 0;
    a.t38_plain = data[0] & 32;
    b.t38_plain = data[1] & 32;
    rig_open(&r, 4, 16);
    r.metered = data[0] & 64;
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 2);
    for (size_t at = 2; at + 3 <= n;) {
        size_t len = MIN((size_t)be16(data + at + 1), n - at - 3);
        one(&r, data[at], str_of((const char *)data + at + 3, len));
        at += 3 + len;
    }
    rig_close(&r);
    return 0;
}
