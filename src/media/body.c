#include "media/state.h"
#include "wire/sdp/build.h"

#define ATTR_VALUE_MAX 1024u
#define T38_VALUE_MAX  32u
#define BANDWIDTH_KBPS 100000u /* AS, CT */
#define BANDWIDTH_BPS  100000000u

bool leg_offers_srtp(const struct media_policy *p)
{
    return p->signalling_secure && (p->offer_srtp || !p->plain_allowed);
}

/* Which attributes say something about codecs and nothing about hosts. All others are dropped:
 * candidates, fingerprints, SSRC names, labels, and what nobody has read yet. */
enum attr_kind { ATTR_DROP, ATTR_PT, ATTR_PT_ANY, ATTR_PT_FB, ATTR_NUMBER, ATTR_TEXT };

static enum attr_kind attr_kind(struct str name)
{
    static const struct {
        const char *name;
        enum attr_kind kind;
    } allowed[] = {
        {"rtpmap", ATTR_PT},        {"fmtp", ATTR_PT},          {"rtcp-fb", ATTR_PT_FB},
        {"ptime", ATTR_NUMBER},     {"maxptime", ATTR_NUMBER},  {"minptime", ATTR_NUMBER},
        {"framerate", ATTR_NUMBER}, {"silenceSupp", ATTR_TEXT}, {"imageattr", ATTR_PT_ANY},
        {"framesize", ATTR_PT},     {"quality", ATTR_NUMBER},   {"content", ATTR_TEXT}};
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (str_ieq(name, str_c(allowed[i].name)))
            return allowed[i].kind;
    return ATTR_DROP;
}

/* The m-line that is told, and which of its formats. */
struct line {
    const struct body *b;
    const struct sdp_media *ml;
    uint32_t keep;
    bool feedback;
};

static bool in_formats(struct str pt, const struct line *l)
{
    struct str rest = span_str(l->b->text, l->ml->fmts);
    for (unsigned i = 0; rest.n > 0; i++)
        if (str_eq(sdp_token_next(&rest), pt) && (l->keep >> i & 1) != 0)
            return true;
    return false;
}

static bool number(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && s.p[i] != '.')
            return false;
    return s.n > 0 && s.n <= 12;
}

/* The one name that the format was judged by: no second one for the same payload type. */
static bool rtpmap_judged(const struct line *l, struct str pt_text, struct str rest)
{
    uint8_t pt;
    uint32_t rate_hz;
    struct str name;
    return sdp_payload_type(pt_text, &pt) == OK &&
           sdp_rtpmap(l->b->sdp, l->b->text, l->ml, pt, &rate_hz, &name) == OK && name.p == rest.p;
}

static bool attr_passes(const struct line *l, struct str name, struct str value)
{
    struct str rest = value, first = sdp_token_next(&rest);
    bool all = str_eq(first, STR("*"));
    if (value.n == 0 || value.n > ATTR_VALUE_MAX)
        return false;
    switch (attr_kind(name)) {
    case ATTR_PT:
        return rest.n > 0 && in_formats(first, l) &&
               (!str_ieq(name, STR("rtpmap")) || rtpmap_judged(l, first, rest));
    case ATTR_PT_ANY:
        return rest.n > 0 && (all || in_formats(first, l));
    case ATTR_PT_FB:
        return l->feedback && rest.n > 0 && (all || in_formats(first, l));
    case ATTR_NUMBER:
        return number(str_trim(value));
    case ATTR_TEXT:
        return value.n <= 64;
    case ATTR_DROP:
        break;
    }
    return false;
}

/* T.38 annex D: what the two machines must agree upon; numbers and words, no vendor's text. */
static bool t38_passes(struct str name, struct str value)
{
    static const char *const known[] = {
        "T38FaxVersion",         "T38MaxBitRate",   "T38FaxFillBitRemoval", "T38FaxTranscodingMMR",
        "T38FaxTranscodingJBIG", "T38FaxMaxBuffer", "T38FaxMaxDatagram",    "T38FaxRateManagement",
        "T38FaxUdpEC",           "T38FaxMaxIFP",    "T38FaxUdpECDepth",     "T38ModemType"};
    if (value.n > T38_VALUE_MAX)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (!ascii_digit(value.p[i]) &&
            (ascii_lower(value.p[i]) < 'a' || ascii_lower(value.p[i]) > 'z'))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(name, str_c(known[i])))
            return true;
    return false;
}

static void put_attrs(const struct line *l, bool t38, struct out *o)
{
    for (unsigned i = 0; i < l->ml->sec.n_attrs; i++) {
        const struct sdp_attr *a = &l->b->sdp->attrs[l->ml->sec.attr0 + i];
        struct str name = span_str(l->b->text, a->name), value = sdp_attr_value(l->b->text, a);
        if (t38 ? t38_passes(name, value) : attr_passes(l, name, value))
            sdp_put_attr(o, name, value);
    }
}

/* b= of one section, each type once, in our own figures; what nobody could mean is left out. */
static void put_bandwidth(struct str text, const struct sdp_section *sec, struct out *o)
{
    static const struct {
        const char *type;
        uint32_t max;
    } known[] = {{"AS:", BANDWIDTH_KBPS},
                 {"CT:", BANDWIDTH_KBPS},
                 {"TIAS:", BANDWIDTH_BPS},
                 {"RS:", BANDWIDTH_BPS},
                 {"RR:", BANDWIDTH_BPS}};
    uint32_t seen = 0, n;
    for (unsigned i = 0; i < sec->n_bw; i++) {
        struct str v = span_str(text, sec->bw[i]), figure;
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            struct str type = str_c(known[k].type);
            figure = str_skip(v, type.n);
            if (!str_starts(v, type) || (seen >> k & 1) != 0 ||
                str_u32(figure, known[k].max, &n) != OK)
                continue;
            seen |= 1u << k;
            OUT_LIT(o, "b=");
            out_put(o, type);
            out_u64(o, n);
            OUT_LIT(o, "\r\n");
        }
    }
}

static void put_formats(const struct line *l, struct out *o)
{
    struct str rest = span_str(l->b->text, l->ml->fmts);
    for (unsigned i = 0; rest.n > 0; i++) {
        struct str one = sdp_token_next(&rest);
        if ((l->keep >> i & 1) == 0)
            continue;
        out_ch(o, ' ');
        out_put(o, one);
    }
    OUT_LIT(o, "\r\n");
}

/* Hold of RFC 2543 (c=0.0.0.0) in today's words. */
static enum sdp_dir direction(const struct body *b, const struct sdp_media *ml)
{
    enum sdp_dir d = sdp_direction(b->sdp, b->text, ml);
    if (!addr_any(&sdp_media_conn(b->sdp, ml)->a))
        return d;
    return d == SDP_SENDRECV ? SDP_SENDONLY : d == SDP_RECVONLY ? SDP_INACTIVE : d;
}

static void put_crypto(const struct media_leg *l, const struct stream *s, bool answer,
                       struct out *o)
{
    uint8_t key[SRTP_KEY_MAX];
    for (unsigned i = 0;; i++) {
        enum srtp_suite suite = answer ? s->keys->next_suite : suite_preferred(&l->policy, i);
        if (suite == SUITE_NONE || (answer && i > 0))
            break;
        suite_own_key(s->keys->seed, suite, key);
        sdes_put(o, answer ? s->keys->next_tag : i + 1, str_c(srtp_suite_name(suite)), key,
                 srtp_key_bytes(suite));
    }
    mem_wipe(key, sizeof key);
}

static struct str proto_name(bool secure, bool feedback)
{
    if (secure)
        return feedback ? STR("RTP/SAVPF") : STR("RTP/SAVP");
    return feedback ? STR("RTP/AVPF") : STR("RTP/AVP");
}

static bool has_feedback(struct str proto)
{
    return str_ends(proto, STR("F")) || str_ends(proto, STR("f"));
}

/* A word of the other side's m-line that is told though the line is refused: letters, digits and
 * what joins them, so that it cannot be an address. */
static struct str harmless(struct str word, struct str instead)
{
    for (size_t i = 0; i < word.n; i++) {
        char c = ascii_lower(word.p[i]);
        if ((c < 'a' || c > 'z') && !ascii_digit(c) && c != '-' && c != '/')
            return instead;
    }
    return word;
}

static void put_rejected(const struct line *l, struct str proto, struct out *o)
{
    struct str fmts = span_str(l->b->text, l->ml->fmts), first = sdp_token_next(&fmts);
    sdp_put_media(o, harmless(span_str(l->b->text, l->ml->kind), STR("application")), 0,
                  harmless(proto, STR("RTP/AVP")), harmless(first, STR("0")));
}

static void put_mline(struct media *m, const struct media_leg *leg, const struct body *b,
                      unsigned i, struct out *o)
{
    struct line l = {.b = b, .ml = &b->sdp->media[i]};
    struct str proto = span_str(b->text, l.ml->proto);
    const struct stream *s = leg_stream(m, leg, i);
    if (s == NULL || (b->mask >> i & 1) == 0) {
        bool own = b->answer && s != NULL && s->next.on && s->next.kind != LINE_T38;
        put_rejected(&l, own ? proto_name(s->next.secure, s->next.feedback) : proto, o);
        return;
    }
    enum line_kind kind = b->answer ? s->next.kind : s->offered_kind;
    bool t38 = kind == LINE_T38, secure = b->answer ? s->next.secure : s->offered_secure;
    enum sdp_dir dir = direction(b, l.ml);
    l.feedback = b->answer ? s->next.feedback : has_feedback(proto);
    l.keep = b->keep[i];
    OUT_LIT(o, "m=");
    out_put(o, line_kind_name(kind));
    out_ch(o, ' ');
    out_u64(o, s->port);
    out_ch(o, ' ');
    out_put(o, t38 ? STR("udptl") : proto_name(secure, l.feedback));
    put_formats(&l, o);
    put_bandwidth(b->text, &l.ml->sec, o);
    put_attrs(&l, t38, o);
    if (secure)
        put_crypto(leg, s, b->answer, o);
    if (!t38 && (!b->answer || s->next.mux))
        sdp_put_attr(o, STR("rtcp-mux"), STR_NONE);
    if (!t38 || dir != SDP_SENDRECV)
        sdp_put_attr(o, sdp_dir_name(dir), STR_NONE);
}

/* The session part carries the version, which depends on what follows it: written again if that
 * changed. */
enum err body_write(struct media *m, struct media_leg *l, const struct body *b, struct out *o)
{
    size_t start = o->n;
    if (l->session_id == 0)
        l->session_id = (rng_u64(m->cfg.rng) >> 2) + 1;
    uint32_t version = l->version == 0 ? 1 : l->version;
    for (;;) {
        o->n = start;
        sdp_put_session(o, l->session_id, version, &l->policy.local_ip);
        size_t media = o->n;
        put_bandwidth(b->text, &b->sdp->sec, o);
        OUT_LIT(o, "t=0 0\r\n");
        for (unsigned i = 0; i < b->sdp->n_media; i++)
            put_mline(m, l, b, i, o);
        if (o->full || o->n - start > MEDIA_SDP_MAX)
            return ERR_FULL;
        uint64_t hash = siphash(&m->hide_key, str_skip(out_str(o), media));
        if (l->version == 0 || hash == l->body_hash || version > l->version) {
            l->body_hash = hash;
            l->version = version;
            return OK;
        }
        version = l->version + 1;
    }
}
