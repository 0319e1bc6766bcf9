/* Reliable provisional responses (RFC 3262) of one leg: counting RSeq, matching RAck, the schedule
 * of retransmission. Pure values: the call keeps the response's bytes and arms the timer. */
#ifndef SIP_REL_H
#define SIP_REL_H
#include "base/instant.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"

bool rel_supported(const struct sip_msg *m); /* Supported or Require: 100rel */
bool rel_required(const struct sip_msg *m);  /* Require: 100rel */

/* UAS: our reliable 1xx to one INVITE. One is under way at a time (section 3). */
struct rel_uas {
    uint32_t rseq; /* of the last one sent */
    uint32_t cseq; /* of the INVITE */
    uint32_t interval_ms;
    bool waiting; /* for the PRACK of rseq */
    struct instant due, give_up;
};
/* first_rseq: random, 1 to 2^31 - 1. */
void rel_uas_init(struct rel_uas *r, uint32_t invite_cseq, uint32_t first_rseq);
/* Before sending one: the RSeq for it, and the schedule begins. ERR_STATE while another waits: a
 * 2xx must then wait too if the 1xx held an offer or answer. */
MUST_CHECK enum err rel_uas_send(struct rel_uas *r, struct instant now, uint32_t *ret_rseq);
void rel_rseq_put(struct out *o, uint32_t rseq); /* Require: 100rel and RSeq */
/* A PRACK came: REASON_NONE, it acknowledges (also when repeated: answer 200), or
 * sip_no_transaction (481). *ret_fresh: the first time. */
enum reason rel_uas_prack(struct rel_uas *r, const struct sip_msg *prack, bool *ret_fresh);
enum rel_tick {
    REL_WAIT,
    REL_RESEND,
    REL_GIVE_UP /* no PRACK in 64*T1: refuse the INVITE with 504 */
};
/* At due: T1, doubling, for 64*T1 from the first. due is moved. */
enum rel_tick rel_uas_tick(struct rel_uas *r, struct instant now);
void rel_uas_stop(struct rel_uas *r); /* a final response went out */
static inline struct instant rel_uas_due(const struct rel_uas *r)
{
    return r->waiting ? r->due : INSTANT_NEVER;
}

/* UAC: reliable 1xx of one early dialog (each fork counts for itself). Zeroed at start. */
struct rel_uac {
    uint32_t rseq;
    bool have;
};
enum rel_in {
    REL_NO,    /* not a reliable 1xx */
    REL_NEW,   /* take it, and send a PRACK with its RSeq */
    REL_AGAIN, /* retransmission: ignore; the PRACK's own transaction repeats it */
    REL_GAP,   /* one before it is missing: ignore, it will come again */
};
enum rel_in rel_uac_in(struct rel_uac *r, const struct sip_msg *m, uint32_t *ret_rseq);
void rel_rack_put(struct out *o, uint32_t rseq, uint32_t invite_cseq);
#endif
