/* Building SIP messages into a bounded writer. Order of calls is order in the message; sip_end
 * writes Content-Length, the empty line and the body. Header values given here are written as they
 * are, except that CR, LF and NUL are refused: o->full is set, so that no value can smuggle a line.
 */
#ifndef WIRE_SIP_BUILD_H
#define WIRE_SIP_BUILD_H
#include "wire/sip/msg.h"

void sip_request_line(struct out *o, struct str method, struct str uri);
void sip_status_line(struct out *o, unsigned code,
                     struct str reason); /* empty reason: the standard phrase */
struct str sip_phrase(unsigned code);    /* standard reason phrase, or of its class */
void sip_put(struct out *o, enum sip_hdr h, struct str value);
void sip_put_u32(struct out *o, enum sip_hdr h, uint32_t v);
void sip_put_named(struct out *o, struct str name, struct str value);
void sip_put_cseq(struct out *o, uint32_t n, struct str method);
/* Begins "Name: " so that the value can be written in pieces; ends with sip_eol. Pieces from a peer
 * go through out_sip_text, which refuses CR, LF, NUL. */
void sip_begin(struct out *o, enum sip_hdr h);
void sip_eol(struct out *o);
void sip_piece(struct out *o, struct str s);
void sip_end(struct out *o, struct str content_type,
             struct str body); /* empty body: Content-Length: 0 */
/* The head of a response to request m (status line, all Via with received/rport filled for the
 * source, From, To with to_tag added when m has none, Call-ID, CSeq): RFC 3261 8.2.6, 3581. source
 * may be NULL. The caller goes on with further fields and sip_end. */
void sip_reply(struct out *o, const struct sip_msg *m, unsigned code, struct str reason,
               struct str to_tag, const struct addr *source);
/* Copies every field of that id from m. */
void sip_copy(struct out *o, const struct sip_msg *m, enum sip_hdr h);
#endif
