/* The header fields with structure of their own, parsed when asked for. Views borrow the text. */
#ifndef WIRE_SIP_HDR_H
#define WIRE_SIP_HDR_H
#include "wire/sip/msg.h"

/* Via (RFC 3261 20.42, RFC 3581). */
struct sip_via {
    struct str transport, host, branch, received, params;
    uint16_t port, rport_value; /* 0 = none */
    bool rport;
};
MUST_CHECK enum err sip_via_parse(struct str s, struct sip_via *ret_v);

/* From, To, Contact, Route, Refer-To, P-Asserted-Identity...: name-addr / addr-spec with params.
 * Outside <> a URI's ; and ? belong to the header, as the RFC says; '?' there is an error. */
struct sip_nameaddr {
    struct str display; /* quotes stripped, escapes kept */
    struct str uri;     /* text; parse with sip_uri_parse */
    struct str params;  /* header parameters, after the first ';' */
    bool star;          /* Contact: * */
};
MUST_CHECK enum err sip_nameaddr_parse(struct str s, struct sip_nameaddr *ret_a);

/* Digest challenge and credentials (RFC 7616, 8760). Values unquoted, escapes kept. */
struct sip_auth {
    struct str scheme; /* "Digest", "Bearer"... */
    struct str realm, nonce, opaque, algorithm, qop, uri, response, username, cnonce, nc, stale;
    struct str rest; /* all after the scheme, for schemes other than Digest */
};
MUST_CHECK enum err sip_auth_parse(struct str s, struct sip_auth *ret_a);

struct sip_rack {
    uint32_t rseq, cseq;
    struct str method;
};
MUST_CHECK enum err sip_rack_parse(struct str s, struct sip_rack *ret_r);
/* Session-Expires (RFC 4028): seconds and refresher: 'a' uac, 's' uas, 0 none. */
struct sip_session_expires {
    uint32_t seconds;
    char refresher;
};
MUST_CHECK enum err sip_session_expires_parse(struct str s, struct sip_session_expires *ret_s);
/* Whole value is digits (with params behind ';' ignored), at most max. */
MUST_CHECK enum err sip_seconds_parse(struct str s, uint32_t max, uint32_t *ret_v);
/* media type "type/subtype" and its parameters, without case. */
struct sip_media_type {
    struct str type, subtype, params;
};
MUST_CHECK enum err sip_media_type_parse(struct str s, struct sip_media_type *ret_t);
/* Finds the part of that type in the body: the body itself, or a part of multipart (RFC 2046; depth
 * <= 3, parts <= 16). ERR_NOT_FOUND if there is none. */
MUST_CHECK enum err sip_body_find(const struct sip_msg *m, struct str type_subtype,
                                  struct str *ret_part);
#endif
