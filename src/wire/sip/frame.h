/* Finds message boundaries in a stream (RFC 3261 18.3, RFC 5626 keep-alive): sans-I/O, the caller
 * owns the buffer. */
#ifndef WIRE_SIP_FRAME_H
#define WIRE_SIP_FRAME_H
#include "wire/sip/msg.h"

enum sip_frame_kind {
    FRAME_MORE,
    FRAME_MESSAGE,
    FRAME_PING /* CRLFCRLF */,
    FRAME_CRLF /* single, skip */,
    FRAME_BAD
};
struct sip_frame {
    enum sip_frame_kind kind;
    uint32_t bytes;     /* to take off the front of the buffer */
    enum reason reason; /* for FRAME_BAD */
};
/* scan: state between calls for one connection, so that bytes are looked at once; zero it at the
 * start and after each message taken. Cost is linear in new bytes. */
struct sip_frame_scan {
    uint32_t seen;
    uint32_t head_bytes;
    uint32_t content_length;
};
struct sip_frame sip_frame_next(struct sip_frame_scan *scan, struct str buffer,
                                uint32_t max_message);
#endif
