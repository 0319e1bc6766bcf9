/* SDP (RFC 8866, with 3264 and 3605) as spans into the text: no allocation, a limit on everything.
 * Kept: v o s c t, b, m and a lines. Read and dropped: i u e p r z k, which no one needs who ends
 * the session himself. Lines end in CRLF or LF. Order inside a section is not policed; repeats of
 * single lines are. */
#ifndef WIRE_SDP_SDP_H
#define WIRE_SDP_SDP_H
#include "base/addr.h"

#define SDP_TEXT_MAX  8192u
#define SDP_LINE_MAX  2048u
#define SDP_LINES_MAX 320u
#define SDP_MEDIA_MAX 8u
#define SDP_ATTRS_MAX 192u /* over the whole text */
#define SDP_FMTS_MAX  32u  /* formats of one m-line */
#define SDP_BW_MAX    4u   /* b-lines of one section */
#define SDP_TOKEN_MAX 64u

enum sdp_dir { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };

struct sdp_attr {
    struct span name;
    struct span value; /* off 0: no colon */
};
/* c=. a.family is ADDR_NONE for host names, unknown families and multicast. */
struct sdp_conn {
    struct span text; /* all after "c=" */
    struct addr a;    /* port 0 */
};
struct sdp_section { /* session or one m-line */
    struct sdp_conn conn;
    struct span bw[SDP_BW_MAX]; /* all after "b=" */
    uint8_t n_bw;
    uint16_t attr0, n_attrs; /* its run in sdp.attrs */
};
struct sdp_media {
    struct span kind, proto;
    struct span fmts; /* n_fmts tokens, single spaces between */
    uint16_t port;
    uint16_t n_ports; /* "49170/2"; 1 without */
    uint8_t n_fmts;
    struct sdp_section sec;
};
struct sdp {
    struct span user, session_id, session_version, origin; /* origin: "IN IP4 host" */
    struct span name, timing;                              /* s=, first t= */
    struct sdp_section sec;
    uint8_t n_media;
    uint16_t n_attrs;
    struct sdp_media media[SDP_MEDIA_MAX];
    struct sdp_attr attrs[SDP_ATTRS_MAX];
};

/* ERR_SYNTAX, ERR_LIMIT. The spans in ret_s point into text. */
MUST_CHECK enum err sdp_parse(struct str text, struct sdp *ret_s);

/* Attribute of a section, names without case; NULL if absent. *it starts at 0 and walks repeats. */
const struct sdp_attr *sdp_attr_next(const struct sdp *s, struct str text,
                                     const struct sdp_section *sec, struct str name, uint16_t *it);
const struct sdp_attr *sdp_attr_find(const struct sdp *s, struct str text,
                                     const struct sdp_section *sec, struct str name);
struct str sdp_attr_value(struct str text,
                          const struct sdp_attr *a); /* STR_NONE for NULL or no colon */
/* Direction of an m-line: its own, else the session's, else sendrecv. Several: the last. */
enum sdp_dir sdp_direction(const struct sdp *s, struct str text, const struct sdp_media *m);
struct str sdp_dir_name(enum sdp_dir d);
enum sdp_dir sdp_dir_mirror(enum sdp_dir d); /* how an answerer says the same */
/* c= in force for an m-line: its own, else the session's. */
const struct sdp_conn *sdp_media_conn(const struct sdp *s, const struct sdp_media *m);
/* a=rtcp:port [IN IP4 address] (RFC 3605): port and, where given, the address; absent:
 * ERR_NOT_FOUND. */
MUST_CHECK enum err sdp_rtcp(const struct sdp *s, struct str text, const struct sdp_media *m,
                             struct addr *ret_a);
/* Next token of a list with single spaces; STR_NONE at the end. */
struct str sdp_token_next(struct str *rest);
/* Payload type 0-127, decimal, no leading zeros beyond one digit. */
MUST_CHECK enum err sdp_payload_type(struct str token, uint8_t *ret_pt);
/* Name and clock rate that RFC 3551 gives a payload type; ERR_NOT_FOUND. */
MUST_CHECK enum err sdp_static_type(uint8_t pt, uint32_t *ret_rate_hz, struct str *ret_name);
/* a=ptime in whole milliseconds, 1 to 255 ("2.5" is 2); 0: absent or no such number. */
uint8_t sdp_ptime_ms(const struct sdp *s, struct str text, const struct sdp_media *m);
/* Clock rate of a=rtpmap for pt, else of the static table (RFC 3551), else ERR_NOT_FOUND. ret_name:
 * "PCMA/8000". */
MUST_CHECK enum err sdp_rtpmap(const struct sdp *s, struct str text, const struct sdp_media *m,
                               uint8_t pt, uint32_t *ret_rate_hz, struct str *ret_name);
#endif
