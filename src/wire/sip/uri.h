/* SIP, SIPS, TEL and URN URIs: RFC 3261 section 25.1 (addr-spec), RFC 3966, RFC 8141. Views borrow
 * the text; nothing is unescaped unless a function says so. */
#ifndef WIRE_SIP_URI_H
#define WIRE_SIP_URI_H
#include "base/addr.h"
#include "base/lex.h"
#include "base/out.h"

enum uri_scheme { URI_SIP, URI_SIPS, URI_TEL, URI_URN, URI_OTHER };

#define URI_MAX 2048u /* bytes of one URI; beyond it ERR_LIMIT */

struct sip_uri {
    enum uri_scheme scheme;
    struct str text;     /* the whole URI */
    struct str user;     /* sip: before @, without password; tel: number; urn: all after "urn:" */
    struct str password; /* empty if absent */
    struct str host;     /* without brackets for IPv6 */
    struct str params;   /* after the first ';' behind the host, without it */
    struct str headers;  /* after '?', without it */
    uint16_t port;       /* 0 = not given */
    struct addr ip;      /* family ADDR_NONE when host is a name */
};
/* The whole of s must be one URI. ERR_SYNTAX (also for a parameter given twice), ERR_LIMIT. An
 * unknown scheme parses as URI_OTHER. */
MUST_CHECK enum err sip_uri_parse(struct str s, struct sip_uri *ret_u);
/* Parameter by name without case; false if absent. A flag parameter has an empty value. */
bool sip_param(struct str params, struct str name, struct str *ret_value);
/* Next parameter of a ";"-separated list; *it starts as the list. False at the end. */
bool sip_param_next(struct str *it, struct str *ret_name, struct str *ret_value);
/* Percent-decodes into o (bytes as they are; %00 included). */
void sip_unescape(struct out *o, struct str s);
/* Writes user with everything outside RFC 3261 "user" escaped. */
void sip_escape_user(struct out *o, struct str user);
/* RFC 3261 section 19.1.4 equivalence of two SIP/SIPS URIs. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);
#endif
