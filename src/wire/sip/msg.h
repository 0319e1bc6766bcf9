/* SIP messages: zero-copy, one pass, a limit on every element (RFC 3261 section 25, 4475, 5118).
 * sip_parse fills a struct sip_msg with spans into the message and parses what every gateway needs
 * at once; other header fields are parsed when asked for (hdr.h). Cost is linear in the bytes. */
#ifndef WIRE_SIP_MSG_H
#define WIRE_SIP_MSG_H
#include "base/addr.h"
#include "base/reasons.h"
#include "wire/sip/uri.h"

#define SIP_MSG_MAX         65535u /* bytes of a message */
#define SIP_HEADERS_MAX     128u   /* header field lines */
#define SIP_HEADER_LINE_MAX 8192u  /* bytes of one unfolded field */
#define SIP_VIAS_MAX        70u
#define SIP_CONTACTS_MAX    32u

enum sip_hdr {
    HDR_OTHER = 0,
#define H(id, name, compact, flags) HDR_##id,
#include "wire/sip/headers.def"
#undef H
    HDR_COUNT
};
struct str sip_hdr_name(enum sip_hdr h);  /* canonical long form */
enum sip_hdr sip_hdr_id(struct str name); /* long or compact, any case; HDR_OTHER if unknown */

enum sip_method {
    SIP_OTHER = 0,
    SIP_INVITE,
    SIP_ACK,
    SIP_BYE,
    SIP_CANCEL,
    SIP_REGISTER,
    SIP_OPTIONS,
    SIP_PRACK,
    SIP_UPDATE,
    SIP_INFO,
    SIP_REFER,
    SIP_NOTIFY,
    SIP_SUBSCRIBE,
    SIP_MESSAGE,
    SIP_PUBLISH,
    SIP_METHOD_COUNT
};
struct str sip_method_name(enum sip_method m);
enum sip_method sip_method_id(struct str token); /* exact case, RFC 3261 7.1 */

struct sip_field {
    uint8_t id;              /* enum sip_hdr */
    struct span name, value; /* value trimmed, folds inside kept as they are */
};
struct sip_msg {
    struct str bytes; /* the message, headers and body; borrowed for the life of this struct */
    bool is_request;
    enum sip_method method;       /* of the request, or of CSeq in a response */
    struct span method_text, uri; /* request */
    uint16_t code;                /* response, 100-699 */
    struct span reason;
    struct span body;
    uint16_t n_fields;
    struct sip_field fields[SIP_HEADERS_MAX];
    uint8_t first[HDR_COUNT]; /* 1-based index of the first field of that id in fields; 0 = none */
    /* parsed at once: */
    struct span via_branch, via_host; /* topmost Via: without "z9hG4bK"? no: the whole branch */
    uint16_t via_port;                /* 0 = none */
    bool via_rport;                   /* rport parameter present */
    struct span via_transport;
    struct span from_uri, from_tag, to_uri, to_tag; /* tags empty if absent */
    struct span call_id;
    uint32_t cseq;
    uint8_t max_forwards;    /* 255 if absent */
    uint32_t content_length; /* UINT32_MAX if absent */
};
/* Why a message was refused: the reason, and where (byte offset) for people. */
struct sip_error {
    enum reason reason;
    uint16_t at;
    bool answerable; /* request whose Via, From, To, Call-ID, CSeq were understood well enough that
                        sip_reply can answer it */
};
/* Parses one whole message. stream: framed on a stream, so Content-Length must be present and
 * exact; on a datagram octets beyond Content-Length are ignored (RFC 3261 18.3). On an error ret_m
 * holds what was understood so far and reterr says why; returns the err that goes with it. */
MUST_CHECK enum err sip_parse(struct str bytes, bool stream, struct sip_msg *ret_m,
                              struct sip_error *reterr);
static inline struct str sip_text(const struct sip_msg *m, struct span s)
{
    return span_str(m->bytes, s);
}
static inline bool sip_has(const struct sip_msg *m, enum sip_hdr h)
{
    return m->first[h] != 0;
}
/* Value of the first field of that id; empty with p NULL if absent. */
struct str sip_get(const struct sip_msg *m, enum sip_hdr h);
/* Walks the fields of that id: *it = 0 at start; false at the end. */
bool sip_next(const struct sip_msg *m, enum sip_hdr h, uint16_t *it, struct str *ret_value);
/* Walks the comma-separated elements over all fields of that id (commas in quotes and <> are not
 * separators; one that never closes takes the rest of its field). State in it; start zeroed. */
struct sip_list {
    uint16_t field;
    struct str rest;
};
bool sip_list_next(const struct sip_msg *m, enum sip_hdr h, struct sip_list *it,
                   struct str *ret_element);
/* True if a list header (Supported, Require, Allow...) holds the token, without case. */
bool sip_list_has(const struct sip_msg *m, enum sip_hdr h, struct str token);
#endif
