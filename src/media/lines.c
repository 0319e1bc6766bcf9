/* Which m-lines pass a zone, and which of their formats. */
#include "media/state.h"

#define PT_DYNAMIC 96u

static bool over_rtp(struct str proto)
{
    return str_ieq(proto, STR("RTP/AVP")) || str_ieq(proto, STR("RTP/SAVP")) ||
           str_ieq(proto, STR("RTP/AVPF")) || str_ieq(proto, STR("RTP/SAVPF"));
}

static const struct {
    enum line_kind kind;
    const char *name;
} kinds[] = {
    {LINE_AUDIO, "audio"}, {LINE_VIDEO, "video"}, {LINE_APPLICATION, "application"},
    {LINE_TEXT, "text"},   {LINE_T38, "image"},
};

enum line_kind line_kind(struct str text, const struct sdp_media *ml, enum reason *ret_why)
{
    struct str kind = span_str(text, ml->kind), proto = span_str(text, ml->proto),
               fmts = span_str(text, ml->fmts);
    bool rtp = over_rtp(proto), fax = str_ieq(proto, STR("udptl")) && str_ieq(fmts, STR("t38"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_ieq(kind, str_c(kinds[i].name)) && (kinds[i].kind == LINE_T38 ? fax : rtp))
            return kinds[i].kind;
    *ret_why = rtp || fax ? REASON_media_kind : REASON_media_transport;
    return LINE_NONE;
}

struct str line_kind_name(enum line_kind k)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == k)
            return str_c(kinds[i].name);
    return STR("audio");
}

enum reason line_allowed(const struct media_policy *p, uint8_t kind)
{
    if ((p->kinds & kind) == 0)
        return REASON_media_kind;
    return kind == LINE_T38 && !p->t38_plain ? REASON_media_plaintext : REASON_NONE;
}

/* --- formats --- */

/* One m-line whose formats are judged. */
struct judge {
    const struct media *m;
    const struct sdp *sdp;
    struct str text;
    const struct sdp_media *ml;
    uint8_t list_a, list_b;
    const uint64_t *pts; /* payload types of the offer that is answered; NULL: this is an offer */
};

static bool listed(const struct judge *j, struct str name)
{
    struct str encoding;
    str_cut(name, '/', &encoding);
    return codecs_has(j->m, j->list_a, encoding) && codecs_has(j->m, j->list_b, encoding);
}

/* A payload type that RFC 3551 fixes must be listed by that name, too, whatever a=rtpmap calls it:
 * a peer may go by either. */
static bool pt_listed(const struct judge *j, uint8_t pt)
{
    uint32_t rate_hz;
    struct str name;
    if (sdp_rtpmap(j->sdp, j->text, j->ml, pt, &rate_hz, &name) != OK || !listed(j, name))
        return false;
    return sdp_static_type(pt, &rate_hz, &name) != OK || listed(j, name);
}

static struct str encoding_of(const struct judge *j, struct str format);

/* An answer may leave out names that the offer gave. */
static bool format_passes(const struct judge *j, struct str format)
{
    uint8_t pt;
    if (sdp_payload_type(format, &pt) != OK)
        return false;
    if (j->pts != NULL && pt >= PT_DYNAMIC && encoding_of(j, format).n == 0)
        return (j->pts[pt / 64] >> pt % 64 & 1) != 0;
    return pt_listed(j, pt);
}

/* The i-th format. */
static struct str format_at(const struct judge *j, unsigned i)
{
    struct str rest = span_str(j->text, j->ml->fmts), token = STR_NONE;
    for (unsigned k = 0; k <= i; k++)
        token = sdp_token_next(&rest);
    return token;
}

static struct str encoding_of(const struct judge *j, struct str format)
{
    uint8_t pt;
    uint32_t rate_hz;
    struct str name = STR_NONE, encoding = STR_NONE;
    if (sdp_payload_type(format, &pt) == OK &&
        sdp_rtpmap(j->sdp, j->text, j->ml, pt, &rate_hz, &name) == OK)
        str_cut(name, '/', &encoding);
    return encoding;
}

/* All after the payload type in a format's a=fmtp. */
static struct str parameters_of(const struct judge *j, struct str format)
{
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(j->sdp, j->text, &j->ml->sec, STR("fmtp"), &it)) != NULL) {
        struct str rest = sdp_attr_value(j->text, a);
        if (str_eq(sdp_token_next(&rest), format))
            return rest;
    }
    return STR_NONE;
}

static bool kept(const struct judge *j, uint32_t keep, struct str format)
{
    for (unsigned i = 0; i < j->ml->n_fmts; i++)
        if ((keep >> i & 1) != 0 && str_eq(format_at(j, i), format))
            return true;
    return false;
}

/* The payload type that "apt=" names (RFC 4588). */
static struct str apt_of(struct str parameters)
{
    while (parameters.n > 0) {
        struct str one;
        parameters = str_cut(parameters, ';', &one);
        one = str_trim(one);
        if (str_istarts(one, STR("apt=")))
            return str_trim(str_skip(one, 4));
    }
    return STR_NONE;
}

/* "111/111" of a=fmtp for red (RFC 2198): every one is kept. */
static bool red_kept(const struct judge *j, uint32_t keep, struct str parameters)
{
    struct str one;
    if (parameters.n == 0 || !ascii_digit(parameters.p[0]))
        return true;
    while (parameters.n > 0) {
        parameters = str_cut(parameters, '/', &one);
        if (!kept(j, keep, str_trim(one)))
            return false;
    }
    return true;
}

/* Whether what a format stands on is kept. */
static bool footing(const struct judge *j, uint32_t keep, struct str format)
{
    struct str encoding = encoding_of(j, format);
    if (str_ieq(encoding, STR("rtx")))
        return kept(j, keep, apt_of(parameters_of(j, format)));
    if (str_ieq(encoding, STR("red")))
        return red_kept(j, keep, parameters_of(j, format));
    return true;
}

/* Formats that serve others and are no medium by themselves. */
static bool helper(struct str encoding)
{
    static const char *const names[] = {
        "telephone-event", "tone",      "cn",      "rtx",       "red",
        "ulpfec",          "parityfec", "flexfec", "flexfec-03"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(encoding, str_c(names[i])))
            return true;
    return false;
}

static bool medium_left(const struct judge *j, uint32_t keep)
{
    for (unsigned i = 0; i < j->ml->n_fmts; i++)
        if ((keep >> i & 1) != 0 && !helper(encoding_of(j, format_at(j, i))))
            return true;
    return false;
}

/* One rtx may stand on one red: each round takes at least one away. */
static uint32_t without_orphans(const struct judge *j, uint32_t keep)
{
    for (uint32_t before = 0; before != keep;) {
        before = keep;
        for (unsigned i = 0; i < j->ml->n_fmts; i++)
            if ((keep >> i & 1) != 0 && !footing(j, keep, format_at(j, i)))
                keep &= ~(1u << i);
    }
    return keep;
}

uint32_t line_formats(const struct media *m, const struct sdp *sdp, struct str text,
                      const struct sdp_media *ml, uint8_t list_a, uint8_t list_b,
                      const uint64_t *pts)
{
    const struct judge j = {m, sdp, text, ml, list_a, list_b, pts};
    if (list_a == 0 && list_b == 0)
        return FORMATS_ALL;
    uint32_t keep = 0, all = 0;
    for (unsigned i = 0; i < ml->n_fmts; i++) {
        all |= 1u << i;
        if (format_passes(&j, format_at(&j, i)))
            keep |= 1u << i;
    }
    if (keep == all)
        return keep;
    keep = without_orphans(&j, keep);
    return medium_left(&j, keep) ? keep : 0;
}

bool line_answer_formats(const struct media *m, const struct sdp *sdp, struct str text,
                         const struct sdp_media *ml, uint8_t list_a, uint8_t list_b,
                         const uint64_t *pts)
{
    const struct judge j = {m, sdp, text, ml, list_a, list_b, pts};
    if (list_a == 0 && list_b == 0)
        return true;
    for (unsigned i = 0; i < ml->n_fmts; i++)
        if (!format_passes(&j, format_at(&j, i)))
            return false;
    return true;
}

void line_payload_types(struct str text, const struct sdp_media *ml, uint32_t keep,
                        uint64_t ret_pts[2])
{
    struct str rest = span_str(text, ml->fmts);
    uint8_t pt;
    ret_pts[0] = ret_pts[1] = 0;
    for (unsigned i = 0; rest.n > 0; i++)
        if (sdp_payload_type(sdp_token_next(&rest), &pt) == OK && (keep >> i & 1) != 0)
            ret_pts[pt / 64] |= UINT64_C(1) << pt % 64;
}
