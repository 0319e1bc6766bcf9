/* Event packages that may pass (RFC 6665, 3842, 4235, 3856): which they are, which service of a
 * zone each needs, and their bodies made anew so that the receiving side sees no address of the
 * other. Pure functions over the request; linear in its bytes. */
#ifndef CALL_EVENT_H
#define CALL_EVENT_H
#include "base/out.h"
#include "base/siphash.h"
#include "call/policy.h"
#include "wire/sip/hdr.h"

enum event_package { EVENT_ABSENT, EVENT_UNKNOWN, EVENT_MWI, EVENT_DIALOG, EVENT_PRESENCE };
#define EVENTS_ALLOWED "message-summary, dialog, presence"
#define EVENT_ID_MAX   32u
/* Package of the Event field; ret_id borrows its id parameter, empty if there is none or it is no
 * token of at most EVENT_ID_MAX bytes. */
enum event_package event_of(const struct sip_msg *m, struct str *ret_id);
struct str event_package_name(enum event_package p);
struct str event_type(enum event_package p); /* content type of its bodies */

/* What a zone must serve (enum zone_service) for a request outside of calls; 0: nothing named. */
uint8_t event_service(enum sip_method m, enum event_package p);
/* May a request of that method and package pass in that zone? REASON_NONE, right_service,
 * sip_event_unknown or sip_header_missing (no Event). */
enum reason event_right(const struct policy *p, uint8_t zone, const struct sip_msg *m);

/* Content type of a MESSAGE that may pass, as it is written on the other side, into o.
 * sip_body_type if it may not (RFC 3428 8; RFC 3994). */
enum reason event_text_type(struct str content_type, struct out *o);

struct event_side {
    struct str host;           /* our domain as that side knows it */
    const struct sipkey *hash; /* names of parts become hashes under this key */
};
/* The body as the side may see it. Host, port and parameters of every sip, sips, pres and im URI
 * become the side's host; so do hosts behind any other '@' and "://"; addresses in dotted form
 * become 0.0.0.0; dialog identifiers, comments and processing instructions are left out.
 * REASON_NONE, sip_body_syntax (declarations, entities, control bytes, what never closes),
 * sip_body_type (content type is not the package's) or sip_too_large (o is full). */
enum reason event_body(enum event_package p, struct str content_type, struct str body,
                       const struct event_side *side, struct out *o);
/* Subscription-State made anew from what it may hold (RFC 6665 8.2.3): state, expires, reason,
 * retry-after. ret_expires UINT32_MAX: not given. sip_header_missing, sip_header_syntax. */
enum reason event_state(struct str value, struct out *o, bool *ret_terminated,
                        uint32_t *ret_expires);
/* A user part or text that looks like a network address. */
bool event_address_like(struct str s);
#endif
