/* Session timers (RFC 4028) of one leg: negotiation and who refreshes. Pure values; the call arms
 * the timer. */
#ifndef SIP_STIMER_H
#define SIP_STIMER_H
#include "base/instant.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"

#define STIMER_DEFAULT_S 1800u
#define STIMER_MIN_S     90u
struct stimer {
    uint32_t interval_s; /* at start our wish, then what was agreed; 0 = off */
    uint32_t min_se_s;   /* ours, raised by the peer's; less than STIMER_MIN_S counts as that */
    bool we_refresh, peer_supports;
};
/* We are UAS: looks at Session-Expires/Min-SE/Supported of the request. REASON_NONE or
 * sip_session_interval (answer 422 with Min-SE). */
enum reason stimer_request_in(struct stimer *s, const struct sip_msg *m);
/* Our 2xx: Session-Expires, and Require: timer where due. */
void stimer_response_put(const struct stimer *s, struct out *o);
/* Our INVITE or UPDATE: Session-Expires, Min-SE. Supported: timer is the caller's to write. */
void stimer_request_put(const struct stimer *s, struct out *o);
/* The 2xx to our request; a 422 raises the interval to its Min-SE. */
void stimer_response_in(struct stimer *s, const struct sip_msg *m);
/* When to refresh (half the interval) or, if the peer refreshes, when to end the call (interval -
 * min(32 s, interval/3)). INSTANT_NEVER if off. */
struct instant stimer_due(const struct stimer *s, struct instant last_refresh);
#endif
