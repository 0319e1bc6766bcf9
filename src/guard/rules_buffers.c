/* The sticky buffers, all of them slices of the message: so what a pattern finds in a buffer the
 * scan over the whole message finds, too. */
#include "guard/rules_int.h"
#include "wire/sip/hdr.h"

static const struct {
    const char *name, *legacy;
    bool multi;
} buffers[] = {
#define B(id, name, legacy, multi) {name, legacy, multi},
#include "guard/rules_buffers.def"
#undef B
};
const char *rules_buffer_name(enum rules_buffer b)
{
    return b < BUF_COUNT ? buffers[b].name : "?";
}
const char *rules_buffer_legacy(enum rules_buffer b)
{
    return b < BUF_COUNT ? buffers[b].legacy : "";
}
bool rules_buffer_multi(enum rules_buffer b)
{
    return b < BUF_COUNT && buffers[b].multi;
}

void rules_buffers_init(struct rules_buffers *b, const struct rules_input *in)
{
    b->m = in->m;
    b->bytes = in->bytes;
    b->known = b->there = 0;
    b->sdp_known = false;
    b->sdp = b->line = STR_NONE;
    if (!in->m)
        return;
    struct str s = in->m->bytes;
    while (s.n && (*s.p == '\r' || *s.p == '\n'))
        s = str_skip(s, 1);
    b->line = str_head(s, MIN(str_find(s, '\r'), str_find(s, '\n')));
}

static struct str sdp_of(struct rules_buffers *b)
{
    if (!b->sdp_known) {
        b->sdp_known = true;
        if (sip_body_find(b->m, STR("application/sdp"), &b->sdp) != OK)
            b->sdp = STR_NONE;
    }
    return b->sdp;
}

/* The nth line of that type, of the session's part or of the parts of media. */
static bool sdp_line(struct str sdp, char type, bool media, uint32_t nth, struct str *ret)
{
    bool in_media = false;
    while (sdp.n) {
        struct str line = str_head(sdp, str_find(sdp, '\n'));
        sdp = str_skip(sdp, line.n + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n < 2 || line.p[1] != '=')
            continue;
        in_media = in_media || line.p[0] == 'm';
        if (line.p[0] != type || in_media != media || nth-- > 0)
            continue;
        *ret = str_skip(line, 2);
        return true;
    }
    return false;
}

static bool sdp_buffer(struct rules_buffers *b, enum rules_buffer id, uint32_t nth, struct str *ret)
{
    static const struct {
        char type;
        bool media;
    } of[BUF_COUNT] = {
        [BUF_SDP_ORIGIN] = {'o', false},
        [BUF_SDP_SESSION_NAME] = {'s', false},
        [BUF_SDP_SESSION_INFO] = {'i', false},
        [BUF_SDP_URI] = {'u', false},
        [BUF_SDP_EMAIL] = {'e', false},
        [BUF_SDP_PHONE_NUMBER] = {'p', false},
        [BUF_SDP_CONNECTION_DATA] = {'c', false},
        [BUF_SDP_BANDWIDTH] = {'b', false},
        [BUF_SDP_TIME] = {'t', false},
        [BUF_SDP_REPEAT_TIME] = {'r', false},
        [BUF_SDP_TIMEZONE] = {'z', false},
        [BUF_SDP_ENCRYPTION_KEY] = {'k', false},
        [BUF_SDP_ATTRIBUTE] = {'a', false},
        [BUF_SDP_MEDIA] = {'m', true},
        [BUF_SDP_MEDIA_INFO] = {'i', true},
        [BUF_SDP_MEDIA_CONNECTION_DATA] = {'c', true},
        [BUF_SDP_MEDIA_ENCRYPTION_KEY] = {'k', true},
    };
    return of[id].type && sdp_line(sdp_of(b), of[id].type, of[id].media, nth, ret);
}

static bool header(const struct sip_msg *m, enum sip_hdr h, uint32_t nth, struct str *ret)
{
    uint16_t it = 0;
    if (!m->first[h])
        return false;
    do {
        if (!sip_next(m, h, &it, ret))
            return false;
    } while (nth-- > 0);
    return true;
}

static struct str word(struct str line, unsigned nth)
{
    struct str w = line;
    for (;;) {
        line = str_cut(line, ' ', &w);
        if (nth-- == 0)
            return w;
    }
}

static bool line_buffer(const struct rules_buffers *b, enum rules_buffer id, struct str *ret)
{
    const struct sip_msg *m = b->m;
    bool request = id == BUF_METHOD || id == BUF_URI || id == BUF_REQUEST_LINE;
    if (id != BUF_PROTOCOL && request != m->is_request)
        return false;
    if (id == BUF_METHOD)
        *ret = sip_text(m, m->method_text);
    else if (id == BUF_URI)
        *ret = sip_text(m, m->uri);
    else if (id == BUF_STAT_CODE)
        *ret = word(b->line, 1);
    else if (id == BUF_STAT_MSG)
        *ret = sip_text(m, m->reason);
    else if (id == BUF_PROTOCOL && m->is_request)
        *ret = str_skip(b->line, str_rfind(b->line, ' ') + 1);
    else if (id == BUF_PROTOCOL)
        *ret = word(b->line, 0);
    else
        *ret = b->line;
    return true;
}

static bool look(struct rules_buffers *b, enum rules_buffer id, uint32_t nth, struct str *ret)
{
    static const uint8_t header_of[BUF_COUNT] = {
        [BUF_FROM] = HDR_FROM,
        [BUF_TO] = HDR_TO,
        [BUF_VIA] = HDR_VIA,
        [BUF_USER_AGENT] = HDR_USER_AGENT,
        [BUF_CONTENT_TYPE] = HDR_CONTENT_TYPE,
        [BUF_CONTENT_LENGTH] = HDR_CONTENT_LENGTH,
    };
    if (id == BUF_PKT) {
        *ret = b->bytes;
        return true;
    }
    if (!b->m)
        return false;
    if (id <= BUF_PROTOCOL)
        return line_buffer(b, id, ret);
    return header_of[id] ? header(b->m, (enum sip_hdr)header_of[id], nth, ret)
                         : sdp_buffer(b, id, nth, ret);
}

bool rules_buffer_get(struct rules_buffers *b, enum rules_buffer id, uint32_t nth,
                      struct str *ret_s)
{
    if (nth)
        return rules_buffer_multi(id) && look(b, id, nth, ret_s);
    uint64_t bit = UINT64_C(1) << id;
    if (!(b->known & bit)) {
        b->known |= bit;
        if (look(b, id, 0, &b->first[id]))
            b->there |= bit;
    }
    if (b->there & bit)
        *ret_s = b->first[id];
    return (b->there & bit) != 0;
}

bool rules_buffers_have(struct rules_buffers *b, uint64_t want)
{
    struct str s;
    for (uint64_t ask = want & ~b->known; ask; ask &= ask - 1)
        if (!rules_buffer_get(b, (enum rules_buffer)__builtin_ctzll(ask), 0, &s))
            return false;
    return (want & ~b->there) == 0;
}
