#include "media/state.h"
#include "wire/sdp/build.h"

#define ATTR_VALUE_MAX 1024u

bool leg_offers_srtp(const struct media_policy *p)
{
    return p->signalling_secure && (p->offer_srtp || !p->plain_allowed);
}

/* Which attributes say something about codecs and nothing about hosts. All others are dropped:
 * candidates, fingerprints, SSRC names, labels, and what nobody has read yet. */
enum attr_kind { ATTR_DROP, ATTR_PT, ATTR_PT_FB, ATTR_NUMBER, ATTR_TEXT };

static enum attr_kind attr_kind(struct str name)
{
    static const struct {
        const char *name;
        enum attr_kind kind;
    } allowed[] = {{"rtpmap", ATTR_PT},        {"fmtp", ATTR_PT},         {"rtcp-fb", ATTR_PT_FB},
                   {"ptime", ATTR_NUMBER},     {"maxptime", ATTR_NUMBER}, {"minptime", ATTR_NUMBER},
                   {"framerate", ATTR_NUMBER}, {"silenceSupp", ATTR_TEXT}};
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (str_ieq(name, str_c(allowed[i].name)))
            return allowed[i].kind;
    return ATTR_DROP;
}

static bool in_formats(struct str pt, struct str fmts)
{
    while (fmts.n > 0)
        if (str_eq(sdp_token_next(&fmts), pt))
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

static bool attr_passes(struct str name, struct str value, struct str fmts, bool feedback)
{
    struct str rest = value, first = sdp_token_next(&rest);
    if (value.n == 0 || value.n > ATTR_VALUE_MAX)
        return false;
    switch (attr_kind(name)) {
    case ATTR_PT:
        return rest.n > 0 && in_formats(first, fmts);
    case ATTR_PT_FB:
        return feedback && rest.n > 0 && (str_eq(first, STR("*")) || in_formats(first, fmts));
    case ATTR_NUMBER:
        return number(str_trim(value));
    case ATTR_TEXT:
        return value.n <= 64;
    case ATTR_DROP:
        break;
    }
    return false;
}

static void put_attrs(const struct body *b, const struct sdp_media *ml, bool feedback,
                      struct out *o)
{
    struct str fmts = span_str(b->text, ml->fmts);
    for (unsigned i = 0; i < ml->sec.n_attrs; i++) {
        const struct sdp_attr *a = &b->sdp->attrs[ml->sec.attr0 + i];
        struct str name = span_str(b->text, a->name), value = sdp_attr_value(b->text, a);
        if (attr_passes(name, value, fmts, feedback))
            sdp_put_attr(o, name, value);
    }
}

static void put_bandwidth(const struct body *b, const struct sdp_media *ml, struct out *o)
{
    static const char *const known[] = {"AS:", "TIAS:", "CT:", "RS:", "RR:"};
    for (unsigned i = 0; i < ml->sec.n_bw; i++) {
        struct str v = span_str(b->text, ml->sec.bw[i]);
        for (size_t k = 0; k < ARRAY_LEN(known); k++)
            if (str_starts(v, str_c(known[k]))) {
                OUT_LIT(o, "b=");
                out_put(o, v);
                OUT_LIT(o, "\r\n");
            }
    }
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

static void put_rejected(const struct body *b, const struct sdp_media *ml, struct str proto,
                         struct out *o)
{
    struct str fmts = span_str(b->text, ml->fmts), first = sdp_token_next(&fmts);
    sdp_put_media(o, span_str(b->text, ml->kind), 0, proto, first);
}

static void put_mline(struct media *m, const struct media_leg *l, const struct body *b, unsigned i,
                      struct out *o)
{
    const struct sdp_media *ml = &b->sdp->media[i];
    struct str proto = span_str(b->text, ml->proto);
    const struct stream *s = leg_stream(m, l, i);
    bool feedback = b->answer && s != NULL ? s->next.feedback : has_feedback(proto);
    bool secure = b->answer && s != NULL ? s->next.secure : leg_offers_srtp(&l->policy);
    if (s == NULL || (b->mask >> i & 1) == 0) {
        put_rejected(b, ml, b->answer && s != NULL ? proto_name(secure, feedback) : proto, o);
        return;
    }
    sdp_put_media(o, span_str(b->text, ml->kind), s->port, proto_name(secure, feedback),
                  span_str(b->text, ml->fmts));
    put_bandwidth(b, ml, o);
    put_attrs(b, ml, feedback, o);
    if (secure)
        put_crypto(l, s, b->answer, o);
    if (!b->answer || s->next.mux)
        sdp_put_attr(o, STR("rtcp-mux"), STR_NONE);
    sdp_put_attr(o, sdp_dir_name(direction(b, ml)), STR_NONE);
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
