/* Which m-lines pass a zone, and which of their formats. */
#include "media/state.h"

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

/* One format, looked up once: what follows compares names only, however formats lean on each other.
 */
struct format {
    struct str token, encoding, parameters; /* of a=rtpmap or RFC 3551; of a=fmtp */
    uint8_t pt;
    bool valid;
};
struct judge {
    const struct media *m;
    uint8_t list_a, list_b;
    const uint64_t *pts; /* payload types of the offer that is answered; NULL: this is an offer */
    unsigned n;
    struct format f[SDP_FMTS_MAX];
};

static struct str encoding_of(struct str name)
{
    struct str encoding;
    str_cut(name, '/', &encoding);
    return encoding;
}

/* Every a=fmtp goes to its format; the first counts. */
static void judge_parameters(struct judge *j, const struct sdp *sdp, struct str text,
                             const struct sdp_media *ml)
{
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(sdp, text, &ml->sec, STR("fmtp"), &it)) != NULL) {
        struct str rest = sdp_attr_value(text, a), token = sdp_token_next(&rest);
        for (unsigned i = 0; i < j->n; i++)
            if (j->f[i].parameters.p == NULL && str_eq(j->f[i].token, token))
                j->f[i].parameters = rest;
    }
}

static void judge_init(struct judge *j, const struct sdp *sdp, struct str text,
                       const struct sdp_media *ml)
{
    struct str rest = span_str(text, ml->fmts), name;
    uint32_t rate_hz;
    j->n = 0;
    while (rest.n > 0 && j->n < SDP_FMTS_MAX) {
        struct format *f = &j->f[j->n++];
        *f = (struct format){.token = sdp_token_next(&rest)};
        f->valid = sdp_payload_type(f->token, &f->pt) == OK;
        if (f->valid && sdp_rtpmap(sdp, text, ml, f->pt, &rate_hz, &name) == OK)
            f->encoding = encoding_of(name);
    }
    judge_parameters(j, sdp, text, ml);
}

static bool listed(const struct judge *j, struct str encoding)
{
    return codecs_has(j->m, j->list_a, encoding) && codecs_has(j->m, j->list_b, encoding);
}

/* A payload type that RFC 3551 fixes must be listed by that name, too, whatever a=rtpmap calls it:
 * a peer may go by either. An answer may leave out names that the offer gave. */
static bool format_passes(const struct judge *j, const struct format *f)
{
    uint32_t rate_hz;
    struct str name;
    if (!f->valid)
        return false;
    if (f->encoding.n == 0)
        return j->pts != NULL && (j->pts[f->pt / 64] >> f->pt % 64 & 1) != 0;
    if (!listed(j, f->encoding))
        return false;
    return sdp_static_type(f->pt, &rate_hz, &name) != OK || listed(j, encoding_of(name));
}

static bool kept(const struct judge *j, uint32_t keep, struct str token)
{
    for (unsigned i = 0; i < j->n; i++)
        if ((keep >> i & 1) != 0 && str_eq(j->f[i].token, token))
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
    for (unsigned i = 0; parameters.n > 0; i++) {
        parameters = str_cut(parameters, '/', &one);
        if (i == SDP_FMTS_MAX || !kept(j, keep, str_trim(one)))
            return false;
    }
    return true;
}

/* Whether what a format stands on is kept. */
static bool footing(const struct judge *j, uint32_t keep, const struct format *f)
{
    if (str_ieq(f->encoding, STR("rtx")))
        return kept(j, keep, apt_of(f->parameters));
    if (str_ieq(f->encoding, STR("red")))
        return red_kept(j, keep, f->parameters);
    return true;
}

/* An rtx may stand on a red and so on: each round takes at least one away, and past a few they
 * stand on nothing that anybody means. */
#define ROUNDS_MAX 4u
static uint32_t without_orphans(const struct judge *j, uint32_t keep)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        uint32_t before = keep;
        for (unsigned i = 0; i < j->n; i++)
            if ((keep >> i & 1) != 0 && !footing(j, keep, &j->f[i]))
                keep &= ~(1u << i);
        if (before == keep)
            return keep;
    }
    return 0;
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
    for (unsigned i = 0; i < j->n; i++)
        if ((keep >> i & 1) != 0 && !helper(j->f[i].encoding))
            return true;
    return false;
}

uint32_t line_formats(const struct media *m, const struct sdp *sdp, struct str text,
                      const struct sdp_media *ml, uint8_t list_a, uint8_t list_b,
                      const uint64_t *pts)
{
    struct judge j = {.m = m, .list_a = list_a, .list_b = list_b, .pts = pts};
    uint32_t keep = 0, all = 0;
    if (list_a == 0 && list_b == 0)
        return FORMATS_ALL;
    judge_init(&j, sdp, text, ml);
    for (unsigned i = 0; i < j.n; i++) {
        all |= 1u << i;
        if (format_passes(&j, &j.f[i]))
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
    struct judge j = {.m = m, .list_a = list_a, .list_b = list_b, .pts = pts};
    if (list_a == 0 && list_b == 0)
        return true;
    judge_init(&j, sdp, text, ml);
    for (unsigned i = 0; i < j.n; i++)
        if (!format_passes(&j, &j.f[i]))
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
