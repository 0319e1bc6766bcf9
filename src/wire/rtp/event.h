/* Digits in RTP: telephone-event payloads (RFC 4733 section 2). */
#ifndef WIRE_RTP_EVENT_H
#define WIRE_RTP_EVENT_H
#include "base/cc.h"
#include "base/err.h"

struct rtp_event {
    uint16_t duration; /* in units of the clock */
    uint8_t code;      /* 0-9, 10 *, 11 #, 12-15 A-D; others are no digits */
    bool end;
};
/* The first event of a payload. ERR_SYNTAX: not a whole number of events, or none. */
MUST_CHECK enum err rtp_event_parse(const uint8_t *p, size_t n, struct rtp_event *ret_e);
char rtp_event_digit(uint8_t code); /* NUL: none */

/* Who listens to one stream: each event is repeated in many packets of one timestamp, and its end
 * comes three times, or never if those are lost. Zeroed at first. */
struct rtp_ear {
    uint32_t ts;
    uint8_t code;
    bool any, open;
};
/* The digits that this packet completes; how many (0 to 2). */
unsigned rtp_ear_hear(struct rtp_ear *e, uint32_t ts, const struct rtp_event *ev, char ret[2]);
#endif
