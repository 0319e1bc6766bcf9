/* Inside wire/sip only: the grammar steps that msg, hdr, build and frame share. */
#ifndef WIRE_SIP_GRAMMAR_H
#define WIRE_SIP_GRAMMAR_H
#include "wire/sip/hdr.h"

enum { HDR_MANDATORY = 1, HDR_SINGLE = 2, HDR_LIST = 4 };
extern const uint8_t sip_hdr_flags[HDR_COUNT];
/* name[0..n) with `readable` bytes that may be read from name on (speed only). */
enum sip_hdr sip_hdr_find(const char *name, size_t n, size_t readable);

/* One header field line with its folds. */
struct sip_line {
    enum sip_hdr id;
    struct str name, value; /* value without LWS at its ends */
    const char *next;       /* behind its CRLF */
};
enum sip_line_kind {
    LINE_FIELD,
    LINE_EMPTY /* end of the headers */,
    LINE_OPEN /* no CRLF */,
    LINE_BAD
};
/* Cost: linear in the line. On LINE_BAD: reterr_reason, ret->next where; ret->name.p is the start.
 */
enum sip_line_kind sip_line_next(const char *p, const char *end, struct sip_line *ret,
                                 enum reason *reterr_reason);
/* Content-Length = 1*DIGIT, at most UINT32_MAX - 1. */
bool sip_content_length(struct str value, uint32_t *ret_v);

/* Host and port of URIs and Via; NULL on a syntax error. ret_ip has family ADDR_NONE for a name. */
const char *sip_host_scan(const char *p, const char *end, struct str *ret_host,
                          struct addr *ret_ip);
const char *sip_port_scan(const char *p, const char *end, uint16_t *ret_port); /* behind the ':' */

/* One element of a list; the result is where it stopped: at ',' or end. NULL on a syntax error;
 * then v holds what was understood before it (host.n > 0: enough to answer). */
const char *sip_via_scan(const char *p, const char *end, struct sip_via *v);
struct sip_na {
    struct sip_nameaddr a;
    struct str tag;
};
const char *sip_na_scan(const char *p, const char *end, struct sip_na *ret_a);

/* generic-param behind its ';'. Values of quoted strings come without quotes. NULL on an error. */
struct sip_pair {
    struct str name, value;
};
const char *sip_pair_scan(const char *p, const char *end, struct sip_pair *ret_p);
/* Date of RFC 3261 20.17: "Sat, 13 Nov 2010 23:29:00 GMT". */
bool sip_date_valid(struct str s);
/* Writes a value that came out of a parsed message: folds become one space and a quoted NUL is left
 * out; nothing else needs care there. */
void sip_put_unfolded(struct out *o, struct str s);
#endif
