/* Writing SDP: line by line for what we say ourselves, and a whole parsed text again (tests,
 * fuzzers). */
#ifndef WIRE_SDP_BUILD_H
#define WIRE_SDP_BUILD_H
#include "wire/sdp/sdp.h"

/* v, o (user "-"), s=-, c; the address is ours. b= lines and t=0 0 are to follow. */
void sdp_put_session(struct out *o, uint64_t session_id, uint64_t version, const struct addr *ip);
void sdp_put_media(struct out *o, struct str kind, uint16_t port, struct str proto,
                   struct str fmts);
void sdp_put_attr(struct out *o, struct str name,
                  struct str value); /* no colon if value.p is NULL */
/* Everything that the parser keeps. sdp_parse of the result gives the same again. */
void sdp_put(struct out *o, const struct sdp *s, struct str text);
#endif
