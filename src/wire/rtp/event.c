#include "wire/rtp/event.h"

#define EVENT_BYTES 4u
#define DIGITS      "0123456789*#ABCD"

enum err rtp_event_parse(const uint8_t *p, size_t n, struct rtp_event *ret_e)
{
    if (n < EVENT_BYTES || n % EVENT_BYTES)
        return ERR_SYNTAX;
    *ret_e = (struct rtp_event){
        .code = p[0], .end = (p[1] & 0x80) != 0, .duration = (uint16_t)(p[2] << 8 | p[3])};
    return OK;
}

char rtp_event_digit(uint8_t code)
{
    return code < sizeof DIGITS - 1 ? DIGITS[code] : '\0';
}

static unsigned close_open(struct rtp_ear *e, char *ret)
{
    if (!e->open)
        return 0;
    e->open = false;
    *ret = rtp_event_digit(e->code);
    return *ret != '\0';
}

unsigned rtp_ear_hear(struct rtp_ear *e, uint32_t ts, const struct rtp_event *ev, char ret[2])
{
    unsigned n = 0;
    if (e->any && (int32_t)(ts - e->ts) < 0)
        return 0; /* a late copy of what is over */
    if (!e->any || ts != e->ts) {
        n = close_open(e, ret); /* its ends were lost */
        *e = (struct rtp_ear){.ts = ts, .code = ev->code, .any = true, .open = true};
    }
    if (ev->end)
        n += close_open(e, ret + n);
    return n;
}
