/* Dialogs (RFC 3261 section 12): identifiers, sequence numbers, route set and remote target of one
 * leg. Texts live in the caller's arena. Ringwall mints its own Call-ID and tag for every leg, so
 * both are tokens that lead back to the leg. */
#ifndef SIP_DIALOG_H
#define SIP_DIALOG_H
#include "base/arena.h"
#include "sip/flow.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"

#define DIALOG_ROUTES_MAX 8u
struct dialog {
    struct str call_id, local_tag, remote_tag;
    /* From and To of our requests, as "display <uri>" without tag. */
    struct str local_uri, remote_uri;
    struct str remote_target;             /* peer's Contact URI */
    struct str routes[DIALOG_ROUTES_MAX]; /* in the order of our Route headers, each "<uri>" */
    uint8_t n_routes;
    bool confirmed, uac;
    uint32_t local_cseq, remote_cseq; /* remote_cseq 0 with have_remote_cseq false = none yet */
    bool have_remote_cseq;
};
/* UAS side: from the request that we will answer. ERR_FULL: arena; ERR_SYNTAX: Contact or
 * Record-Route not usable; ERR_LIMIT: more than DIALOG_ROUTES_MAX. d is to be thrown away then. */
MUST_CHECK enum err dialog_uas(struct dialog *d, struct arena *a, const struct sip_msg *invite,
                               struct str local_tag);
/* UAC side: before the request is sent (our Call-ID, tag and URIs given). */
MUST_CHECK enum err dialog_uac(struct dialog *d, struct arena *a, struct str call_id,
                               struct str local_tag, struct str local_uri, struct str remote_uri,
                               struct str target);
/* Then from each response to the INVITE: 101-199 with a To tag make or replace the early dialog, a
 * 2xx confirms it and decides the routes; others change nothing. ERR_STATE: a 2xx of another fork
 * than the confirmed one, a dialog of its own. ERR_FULL, ERR_SYNTAX, ERR_LIMIT as above. */
MUST_CHECK enum err dialog_response(struct dialog *d, struct arena *a, const struct sip_msg *m);
/* Target refresh (re-INVITE, UPDATE and their 2xx); without Contact nothing changes. */
MUST_CHECK enum err dialog_target(struct dialog *d, struct arena *a, const struct sip_msg *m);
/* Checks the CSeq of an in-dialog request and takes it: REASON_NONE or sip_cseq_order. ACK and
 * CANCEL are not checked. */
enum reason dialog_cseq(struct dialog *d, const struct sip_msg *m);
/* Head of an in-dialog request: request line, Via (branch, sent_by = "host:port"), Max-Forwards 70,
 * Route, From, To, Call-ID, CSeq (cseq 0: the next one is taken; ACK gives the INVITE's). The
 * caller goes on with Contact and so on, then sip_end. */
void dialog_request(struct dialog *d, struct out *o, struct str method, uint32_t cseq,
                    struct str proto, struct str sent_by, struct str branch);
/* Where the next request goes: the first route, else the target. A first route without ";lr"
 * becomes the Request-URI, too (RFC 3261 12.2.1.1). */
struct str dialog_next_hop(const struct dialog *d);
#endif
