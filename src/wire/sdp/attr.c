#include "wire/sdp/sdp.h"

const struct sdp_attr *sdp_attr_next(const struct sdp *s, struct str text,
                                     const struct sdp_section *sec, struct str name, uint16_t *it)
{
    while (*it < sec->n_attrs) {
        const struct sdp_attr *a = &s->attrs[sec->attr0 + (*it)++];
        if (a->name.len == name.n && str_ieq(span_str(text, a->name), name))
            return a;
    }
    return NULL;
}

const struct sdp_attr *sdp_attr_find(const struct sdp *s, struct str text,
                                     const struct sdp_section *sec, struct str name)
{
    uint16_t it = 0;
    return sdp_attr_next(s, text, sec, name, &it);
}

struct str sdp_attr_value(struct str text, const struct sdp_attr *a)
{
    return a == NULL || a->value.off == 0 ? STR_NONE : span_str(text, a->value);
}

struct str sdp_dir_name(enum sdp_dir d)
{
    switch (d) {
    case SDP_SENDONLY:
        return STR("sendonly");
    case SDP_RECVONLY:
        return STR("recvonly");
    case SDP_INACTIVE:
        return STR("inactive");
    case SDP_SENDRECV:
        break;
    }
    return STR("sendrecv");
}

enum sdp_dir sdp_dir_mirror(enum sdp_dir d)
{
    return d == SDP_SENDONLY ? SDP_RECVONLY : d == SDP_RECVONLY ? SDP_SENDONLY : d;
}

static bool section_dir(const struct sdp *s, struct str text, const struct sdp_section *sec,
                        enum sdp_dir *ret_d)
{
    for (unsigned i = sec->n_attrs; i-- > 0;) {
        const struct sdp_attr *a = &s->attrs[sec->attr0 + i];
        if (a->name.len != 8)
            continue; /* all four names have eight letters */
        for (enum sdp_dir d = SDP_SENDRECV; d <= SDP_INACTIVE; d++)
            if (str_ieq(span_str(text, a->name), sdp_dir_name(d))) {
                *ret_d = d;
                return true;
            }
    }
    return false;
}

enum sdp_dir sdp_direction(const struct sdp *s, struct str text, const struct sdp_media *m)
{
    enum sdp_dir d = SDP_SENDRECV;
    if (!section_dir(s, text, &m->sec, &d) && !section_dir(s, text, &s->sec, &d))
        return SDP_SENDRECV;
    return d;
}

const struct sdp_conn *sdp_media_conn(const struct sdp *s, const struct sdp_media *m)
{
    return m->sec.conn.text.len > 0 ? &m->sec.conn : &s->sec.conn;
}

enum err sdp_rtcp(const struct sdp *s, struct str text, const struct sdp_media *m,
                  struct addr *ret_a)
{
    struct str v = sdp_attr_value(text, sdp_attr_find(s, text, &m->sec, STR("rtcp")));
    if (v.p == NULL)
        return ERR_NOT_FOUND;
    struct str rest = v, port = sdp_token_next(&rest);
    uint32_t n;
    struct addr a = sdp_media_conn(s, m)->a;
    if (port.n > 5 || str_u32(port, 65535, &n) != OK || n == 0)
        return ERR_SYNTAX;
    if (rest.n > 0) {
        struct str net = sdp_token_next(&rest), family = sdp_token_next(&rest);
        if (!str_ieq(net, STR("IN")) || family.n != 3 || addr_parse_ip(rest, &a) != OK)
            return ERR_SYNTAX;
    }
    a.port = (uint16_t)n;
    *ret_a = a;
    return OK;
}

enum err sdp_payload_type(struct str token, uint8_t *ret_pt)
{
    uint32_t n;
    if (token.n > 3 || str_u32(token, 127, &n) != OK || (token.n > 1 && token.p[0] == '0'))
        return ERR_SYNTAX;
    *ret_pt = (uint8_t)n;
    return OK;
}

static const struct {
    uint32_t rate_hz;
    const char *name;
} static_types[35] = {
    [0] = {8000, "PCMU/8000"},    [3] = {8000, "GSM/8000"},     [4] = {8000, "G723/8000"},
    [5] = {8000, "DVI4/8000"},    [6] = {16000, "DVI4/16000"},  [7] = {8000, "LPC/8000"},
    [8] = {8000, "PCMA/8000"},    [9] = {8000, "G722/8000"},    [10] = {44100, "L16/44100/2"},
    [11] = {44100, "L16/44100"},  [12] = {8000, "QCELP/8000"},  [13] = {8000, "CN/8000"},
    [14] = {90000, "MPA/90000"},  [15] = {8000, "G728/8000"},   [16] = {11025, "DVI4/11025"},
    [17] = {22050, "DVI4/22050"}, [18] = {8000, "G729/8000"},   [25] = {90000, "CelB/90000"},
    [26] = {90000, "JPEG/90000"}, [28] = {90000, "nv/90000"},   [31] = {90000, "H261/90000"},
    [32] = {90000, "MPV/90000"},  [33] = {90000, "MP2T/90000"}, [34] = {90000, "H263/90000"},
};

/* a=rtpmap:<pt> <encoding name>/<clock rate>[/<parameters>] */
static bool rtpmap_of(struct str v, uint8_t pt, uint32_t *ret_rate_hz, struct str *ret_name)
{
    struct str name = v, number = sdp_token_next(&name), enc, rate;
    uint8_t got;
    uint32_t hz;
    if (sdp_payload_type(number, &got) != OK || got != pt)
        return false;
    struct str rest = str_cut(name, '/', &enc);
    str_cut(rest, '/', &rate);
    if (enc.n == 0 || str_u32(str_trim(rate), 1000000000, &hz) != OK || hz == 0)
        return false;
    *ret_rate_hz = hz;
    *ret_name = name;
    return true;
}

enum err sdp_static_type(uint8_t pt, uint32_t *ret_rate_hz, struct str *ret_name)
{
    if (pt >= ARRAY_LEN(static_types) || static_types[pt].name == NULL)
        return ERR_NOT_FOUND;
    *ret_rate_hz = static_types[pt].rate_hz;
    *ret_name = str_c(static_types[pt].name);
    return OK;
}

uint8_t sdp_ptime_ms(const struct sdp *s, struct str text, const struct sdp_media *m)
{
    struct str whole;
    uint32_t ms;
    str_cut(str_trim(sdp_attr_value(text, sdp_attr_find(s, text, &m->sec, STR("ptime")))), '.',
            &whole);
    return str_u32(whole, 255, &ms) == OK ? (uint8_t)ms : 0;
}

enum err sdp_rtpmap(const struct sdp *s, struct str text, const struct sdp_media *m, uint8_t pt,
                    uint32_t *ret_rate_hz, struct str *ret_name)
{
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(s, text, &m->sec, STR("rtpmap"), &it)) != NULL)
        if (rtpmap_of(sdp_attr_value(text, a), pt, ret_rate_hz, ret_name))
            return OK;
    return sdp_static_type(pt, ret_rate_hz, ret_name);
}
