/* Offer and answer (RFC 3264, 6337) of one leg: what a session description is where it stands, and
 * glare (RFC 3261 14.2, 3311 5.2). A pure value and one table; the descriptions themselves are the
 * call's. */
#ifndef SIP_OFFER_H
#define SIP_OFFER_H
#include "base/reasons.h"

enum offer_state {
    OFFER_IDLE,
    OFFER_SENT,     /* by us, not answered yet */
    OFFER_RECEIVED, /* by us to be answered */
    OFFER_SETTLED,  /* answered: a further copy in this INVITE's responses says nothing */
    OFFER_STATES
};
enum offer_place {
    PLACE_REQUEST, /* INVITE, UPDATE */
    PLACE_PRACK,
    PLACE_ACK,
    PLACE_UNRELIABLE, /* 1xx of an INVITE without 100rel */
    PLACE_RELIABLE,   /* reliable 1xx, or 2xx, of INVITE, UPDATE, PRACK */
    OFFER_PLACES
};
enum offer_kind {
    SDP_REFUSED, /* has no place here: reason tells; a response's is ignored */
    SDP_OFFER,
    SDP_ANSWER,
    SDP_PREVIEW, /* unreliable copy of the answer to come: for early media, changes no state */
    SDP_REPEAT,  /* copy of the answer that was given: to be ignored */
};
struct offer {
    uint8_t state;                     /* enum offer_state */
    bool invite_sent, invite_received; /* an INVITE without final response */
};
struct offer_verdict {
    enum offer_kind kind;
    enum reason reason; /* SDP_REFUSED: sip_glare 491, sip_busy_invite 500, media_answer_bad */
};
/* An INVITE begins: REASON_NONE, or sip_glare if ours is open, sip_busy_invite if theirs is. Ours
 * may begin when offer_invite_sent gives true. */
enum reason offer_invite_received(struct offer *o);
MUST_CHECK bool offer_invite_sent(struct offer *o);
/* Its final response: ok is false for 3xx-6xx, with which an offer under way ends unanswered. */
void offer_invite_ended(struct offer *o, bool ok);
/* A description came or goes out. */
struct offer_verdict offer_in(struct offer *o, enum offer_place where);
struct offer_verdict offer_out(struct offer *o, enum offer_place where);
/* UPDATE or PRACK that carried the offer was refused. */
void offer_failed(struct offer *o);
#endif
