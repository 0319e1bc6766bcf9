#include "media/state.h"

static void profile(struct str proto, struct remote *r)
{
    static const struct {
        const char *name;
        bool secure, feedback;
    } known[] = {{"RTP/AVP", false, false},
                 {"RTP/SAVP", true, false},
                 {"RTP/AVPF", false, true},
                 {"RTP/SAVPF", true, true}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(proto, str_c(known[i].name))) {
            r->secure = known[i].secure;
            r->feedback = known[i].feedback;
        }
}

static bool formats_ok(struct str fmts)
{
    uint8_t pt;
    while (fmts.n > 0)
        if (sdp_payload_type(sdp_token_next(&fmts), &pt) != OK)
            return false;
    return true;
}

static bool broadcast(const struct addr *a)
{
    static const uint8_t all[4] = {255, 255, 255, 255};
    return a->family == ADDR_V4 && memcmp(a->ip, all, sizeof all) == 0;
}

/* RTCP: the next port, or a=rtcp's. Another address than RTP's would let an offer point our RTCP at
 * a third party, so only its port counts. */
static enum reason rtcp_of(const struct sdp *sdp, struct str text, const struct sdp_media *ml,
                           struct remote *r)
{
    struct addr a;
    enum err e = sdp_rtcp(sdp, text, ml, &a);
    if (e == ERR_SYNTAX)
        return REASON_sdp_syntax;
    r->rtcp = r->rtp;
    r->rtcp.port = e == OK ? a.port : r->rtp.port < 65535 ? (uint16_t)(r->rtp.port + 1) : 0;
    r->mux = sdp_attr_find(sdp, text, &ml->sec, STR("rtcp-mux")) != NULL;
    return REASON_NONE;
}

enum reason mline_read(const struct sdp *sdp, struct str text, const struct sdp_media *ml,
                       const struct media_policy *p, struct remote *ret_r)
{
    struct remote r = {.on = true};
    enum reason why = REASON_media_not_acceptable;
    if (ml->port == 0 || ml->n_ports != 1)
        return why;
    r.kind = (uint8_t)line_kind(text, ml, &why);
    if (r.kind == LINE_NONE)
        return why;
    bool rtp = r.kind != LINE_T38;
    profile(span_str(text, ml->proto), &r);
    if (rtp && !formats_ok(span_str(text, ml->fmts)))
        return REASON_sdp_syntax;
    r.rtp = sdp_media_conn(sdp, ml)->a;
    if (addr_any(&r.rtp)) /* hold of RFC 2543: whichever family its zero is written in */
        r.rtp = (struct addr){.family = p->local_ip.family};
    r.rtp.port = ml->port;
    if (r.rtp.family != p->local_ip.family || broadcast(&r.rtp))
        return REASON_media_not_acceptable;
    r.held = addr_any(&r.rtp) || sdp_direction(sdp, text, ml) != SDP_SENDRECV;
    r.ptime_ms = sdp_ptime_ms(sdp, text, ml);
    why = rtp ? rtcp_of(sdp, text, ml, &r) : REASON_NONE;
    if (why == REASON_NONE)
        *ret_r = r;
    return why;
}

enum reason mline_security(const struct sdp *sdp, struct str text, const struct sdp_media *ml,
                           const struct media_policy *p, const struct remote *r)
{
    bool keys = sdp_attr_find(sdp, text, &ml->sec, STR("crypto")) != NULL;
    if (r->kind == LINE_T38)
        return REASON_NONE; /* line_allowed has judged */
    if (r->secure) {
        if (keys && !p->signalling_secure)
            return REASON_media_key_exposed;
        return keys ? REASON_NONE : REASON_media_crypto_unsupported;
    }
    if (p->plain_allowed)
        return REASON_NONE; /* keys beside RTP/AVP (RFC 8643) are not used */
    return keys && !p->signalling_secure ? REASON_media_key_exposed : REASON_media_plaintext;
}

static unsigned rank(const struct media_policy *p, enum srtp_suite s)
{
    unsigned i = 0;
    for (enum srtp_suite at; (at = suite_preferred(p, i)) != SUITE_NONE; i++)
        if (at == s)
            return i;
    return SUITE_COUNT;
}

enum reason mline_crypto_choose(const struct sdp *sdp, struct str text, const struct sdp_media *ml,
                                const struct media_policy *p, struct crypto_choice *ret_c)
{
    unsigned best = SUITE_COUNT;
    uint16_t it = 0;
    const struct sdp_attr *a;
    while ((a = sdp_attr_next(sdp, text, &ml->sec, STR("crypto"), &it)) != NULL) {
        struct sdes line;
        struct crypto_choice c;
        if (sdes_parse(sdp_attr_value(text, a), &line) != OK ||
            suite_take(&line, &c.suite, c.key) != OK)
            continue; /* what one line asks for and we do not serve, another may not */
        unsigned at = rank(p, c.suite);
        if (at < best) {
            c.tag = line.tag;
            c.life = line.lifetime;
            *ret_c = c;
            best = at;
        }
        mem_wipe(&c, sizeof c);
    }
    return best < SUITE_COUNT ? REASON_NONE : REASON_media_crypto_unsupported;
}

enum reason mline_crypto_answer(const struct sdp *sdp, struct str text, const struct sdp_media *ml,
                                const struct media_policy *p, struct crypto_choice *ret_c)
{
    uint16_t it = 0;
    const struct sdp_attr *a = sdp_attr_next(sdp, text, &ml->sec, STR("crypto"), &it);
    struct sdes line;
    if (a == NULL || sdp_attr_next(sdp, text, &ml->sec, STR("crypto"), &it) != NULL ||
        sdes_parse(sdp_attr_value(text, a), &line) != OK)
        return REASON_media_answer_bad;
    struct crypto_choice c;
    enum err e = suite_take(&line, &c.suite, c.key);
    if (e == ERR_UNSUPPORTED)
        return REASON_media_crypto_unsupported;
    /* Tags of our offers are the places in the order of preference, from 1. */
    c.tag = line.tag;
    c.life = line.lifetime;
    if (e != OK || line.tag == 0 || suite_preferred(p, line.tag - 1) != c.suite)
        return REASON_media_answer_bad;
    *ret_c = c;
    mem_wipe(&c, sizeof c);
    return REASON_NONE;
}
