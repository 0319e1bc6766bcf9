/* RFC 3264 section 4, RFC 6337 table 1 (the six patterns), RFC 3311 5.2. */
#include "sip/offer.h"

struct cell {
    uint8_t kind, next;
    uint16_t reason;
};
#define NO(r)                                                                                      \
    {                                                                                              \
        SDP_REFUSED, 0, REASON_##r                                                                 \
    }
#define IS(k, s)                                                                                   \
    {                                                                                              \
        SDP_##k, OFFER_##s, REASON_NONE                                                            \
    }

static const struct cell IN[OFFER_STATES][OFFER_PLACES] = {
    [OFFER_IDLE] = {[PLACE_REQUEST] = IS(OFFER, RECEIVED),
                    [PLACE_PRACK] = IS(OFFER, RECEIVED),
                    [PLACE_ACK] = NO(media_answer_bad),
                    [PLACE_UNRELIABLE] = NO(media_answer_bad),
                    [PLACE_RELIABLE] = IS(OFFER, RECEIVED)},
    [OFFER_SENT] = {[PLACE_REQUEST] = NO(sip_glare),
                    [PLACE_PRACK] = IS(ANSWER, SETTLED),
                    [PLACE_ACK] = IS(ANSWER, SETTLED),
                    [PLACE_UNRELIABLE] = IS(PREVIEW, SENT),
                    [PLACE_RELIABLE] = IS(ANSWER, SETTLED)},
    [OFFER_RECEIVED] = {[PLACE_REQUEST] = NO(sip_busy_invite),
                        [PLACE_PRACK] = NO(sip_busy_invite),
                        [PLACE_ACK] = NO(media_answer_bad),
                        [PLACE_UNRELIABLE] = NO(media_answer_bad),
                        [PLACE_RELIABLE] = NO(media_answer_bad)},
    [OFFER_SETTLED] = {[PLACE_REQUEST] = IS(OFFER, RECEIVED),
                       [PLACE_PRACK] = IS(OFFER, RECEIVED),
                       [PLACE_ACK] = IS(REPEAT, SETTLED),
                       [PLACE_UNRELIABLE] = IS(REPEAT, SETTLED),
                       [PLACE_RELIABLE] = IS(REPEAT, SETTLED)},
};

enum reason offer_invite_received(struct offer *o)
{
    if (o->invite_sent)
        return REASON_sip_glare;
    if (o->invite_received)
        return REASON_sip_busy_invite;
    if (o->state == OFFER_SENT)
        return REASON_sip_glare;
    if (o->state == OFFER_RECEIVED)
        return REASON_sip_busy_invite;
    o->invite_received = true;
    o->state = OFFER_IDLE;
    return REASON_NONE;
}

bool offer_invite_sent(struct offer *o)
{
    bool settled = !o->invite_sent && !o->invite_received && o->state != OFFER_SENT &&
                   o->state != OFFER_RECEIVED;
    if (!settled)
        return false;
    o->invite_sent = true;
    o->state = OFFER_IDLE;
    return true;
}

void offer_invite_ended(struct offer *o, bool ok)
{
    o->invite_sent = o->invite_received = false;
    if (!ok)
        offer_failed(o);
}

struct offer_verdict offer_in(struct offer *o, enum offer_place where)
{
    const struct cell *c = &IN[o->state][where];
    if (c->kind != SDP_REFUSED)
        o->state = c->next;
    return (struct offer_verdict){(enum offer_kind)c->kind, (enum reason)c->reason};
}

static uint8_t mirrored(uint8_t state)
{
    if (state == OFFER_SENT)
        return OFFER_RECEIVED;
    return state == OFFER_RECEIVED ? OFFER_SENT : state;
}

/* The table holds for both sides, with sent and received changed over. */
struct offer_verdict offer_out(struct offer *o, enum offer_place where)
{
    struct offer peer = *o;
    peer.state = mirrored(o->state);
    struct offer_verdict v = offer_in(&peer, where);
    o->state = mirrored(peer.state);
    return v;
}

void offer_failed(struct offer *o)
{
    if (o->state == OFFER_SENT || o->state == OFFER_RECEIVED)
        o->state = OFFER_IDLE;
}
