/* Topology hiding: everything that a leg says is made here from a list of what may pass. Nothing of
 * the other side's Via, Route, Record-Route, Contact, Call-ID, tags, CSeq, Warning, User-Agent or
 * unknown fields is ever copied. */
#include "call/core_int.h"

struct str hide_sent_by(const struct core *c, const struct flow *f, char *buf, size_t cap)
{
    struct out o = out_of(buf, cap);
    addr_put(&o, &c->policy->listeners[f->listener].advertise);
    return out_str(&o);
}

void hide_contact(const struct leg *l, struct out *o)
{
    const struct core *c = l->call->core;
    char token[TOKEN_CHARS];
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_CONTACT, c->cfg.engine, leg_handle(l)},
               token);
    sip_begin(o, HDR_CONTACT);
    OUT_LIT(o, "<sip:");
    out_put(o, str_of(token, sizeof token));
    out_ch(o, '@');
    addr_put(o, &c->policy->listeners[l->flow.listener].advertise);
    if (l->flow.proto != PROTO_UDP) {
        OUT_LIT(o, ";transport=");
        out_put(o, proto_param((enum sip_proto)l->flow.proto));
    }
    out_ch(o, '>');
    sip_eol(o);
}

void hide_dialog_fields(const struct leg *l, const struct sip_msg *request, struct out *o)
{
    sip_copy(o, request, HDR_RECORD_ROUTE); /* the leg's own, RFC 3261 12.1.1 */
    hide_contact(l, o);
    sip_put(o, HDR_ALLOW, STR(ALLOW));
    sip_put(o, HDR_SUPPORTED, STR(SUPPORTED));
}

/* --- From, To and identity as leg B sees them --- */

/* Host part of our URIs to that leg: the peer's realm, else our first domain. */
static struct str host_for(const struct leg *b)
{
    const struct policy *p = b->call->core->policy;
    if (b->peer != POLICY_NONE) {
        struct str realm = policy_text(p, p->peers[b->peer].realm_host);
        if (realm.n)
            return realm;
    }
    return policy_text(p, p->domains[0]);
}

/* The user part of a party, escaped as it came; what cannot be one is "anonymous". */
static struct str user_of(struct str uri_text)
{
    struct sip_uri u;
    struct str user = STR("anonymous");
    if (sip_uri_parse(uri_text, &u) == OK && u.scheme <= URI_TEL && u.user.n)
        str_cut(u.user, ';', &user);
    return user;
}

/* A display name passes if it holds nothing that could be an address: peers put "name@10.1.2.3"
 * there. */
static bool display_ok(struct str d)
{
    size_t dots = 0;
    struct addr a;
    for (size_t i = 0; i < d.n; i++) {
        if ((uint8_t)d.p[i] < ' ' || d.p[i] == 0x7f || d.p[i] == '@')
            return false;
        dots += d.p[i] == '.' && i && ascii_digit(d.p[i - 1]);
    }
    return d.n <= 128 && dots < 3 && addr_parse(d, &a) != OK;
}

static void party_put(struct out *o, struct str display, struct str user, struct str host)
{
    if (display.n && display_ok(display)) {
        out_ch(o, '"');
        out_put(o, display);
        OUT_LIT(o, "\" ");
    }
    OUT_LIT(o, "<sip:");
    if (user.n) {
        out_put(o, user);
        out_ch(o, '@');
    }
    out_put(o, host);
    out_ch(o, '>');
}

static bool wants_privacy(const struct sip_msg *m)
{
    struct str v = sip_get(m, HDR_PRIVACY), one;
    while (v.n) {
        v = str_cut(v, ';', &one);
        one = str_trim(one);
        if (str_ieq(one, STR("id")) || str_ieq(one, STR("user")) || str_ieq(one, STR("header")))
            return true;
    }
    return false;
}

static bool trusted(const struct leg *l)
{
    return l->peer != POLICY_NONE && l->call->core->policy->peers[l->peer].trust_identity;
}

/* Who calls, as far as we know it ourselves: a trusted peer's assertion, or the proved user. */
static bool identity_of(const struct call *k, const struct sip_msg *m, struct sip_nameaddr *ret_na)
{
    struct sip_list it = {0};
    struct str v;
    if (trusted(k->a) && sip_list_next(m, HDR_P_ASSERTED_IDENTITY, &it, &v) &&
        sip_nameaddr_parse(v, ret_na) == OK)
        return true;
    return k->user.n && sip_nameaddr_parse(sip_get(m, HDR_FROM), ret_na) == OK;
}

enum err hide_dialog(struct leg *b, const struct sip_msg *invite, struct str target)
{
    struct call *k = b->call;
    struct core *c = k->core;
    char from[512], to[512], id[TOKEN_CHARS], tag[TOKEN_CHARS];
    struct out of = out_of(from, sizeof from), ot = out_of(to, sizeof to);
    struct sip_nameaddr na = {0};
    if (sip_nameaddr_parse(sip_get(invite, HDR_FROM), &na) != OK)
        return ERR_SYNTAX;
    if (wants_privacy(invite) && !trusted(b))
        OUT_LIT(&of, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    else
        party_put(&of, na.display, user_of(na.uri), host_for(b));
    party_put(&ot, STR_NONE, k->dialled, host_for(b));
    token_mint(&c->cfg.token_keys, (struct token){TOKEN_CALL_ID, c->cfg.engine, leg_handle(b)}, id);
    tag_of(c, leg_handle(b), tag);
    if (of.full || ot.full)
        return ERR_LIMIT;
    enum err e = dialog_uac(&b->d, &k->text, str_of(id, sizeof id), str_of(tag, sizeof tag),
                            out_str(&of), out_str(&ot), target);
    b->d.local_cseq = 1 + rng_below(&c->rng, 9999);
    return e;
}

/* --- the INVITE --- */

bool hide_reason_ok(struct str v)
{
    struct str protocol, name, value, params = str_cut(v, ';', &protocol);
    bool cause = false;
    uint32_t n;
    protocol = str_trim(protocol);
    if (!str_ieq(protocol, STR("SIP")) && !str_ieq(protocol, STR("Q.850")))
        return false;
    while (sip_param_next(&params, &name, &value)) {
        if (!str_ieq(name, STR("cause")) || str_u32(value, 999, &n) != OK)
            return false; /* text is free: it may say where it comes from */
        cause = true;
    }
    return cause;
}

static void pass_fields(const struct leg *b, const struct sip_msg *m, struct out *o)
{
    static const enum sip_hdr tokens[] = {HDR_PRIORITY, HDR_EXPIRES, HDR_PRIVACY};
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        struct str v = sip_get(m, tokens[i]);
        bool word = v.n > 0 && v.n <= 32;
        for (size_t j = 0; j < v.n && word; j++)
            word = lex_in(&LEX_ALNUM, v.p[j]) || v.p[j] == '-' || v.p[j] == ';';
        if (word)
            sip_put(o, tokens[i], v);
    }
    struct str subject = sip_get(m, HDR_SUBJECT);
    if (subject.n && display_ok(subject))
        sip_put(o, HDR_SUBJECT, subject);
    struct sip_list it = {0};
    struct str v;
    while (sip_list_next(m, HDR_REASON, &it, &v))
        if (hide_reason_ok(v))
            sip_put(o, HDR_REASON, v);
    struct sip_nameaddr na = {0};
    if (trusted(b) && identity_of(b->call, m, &na)) {
        sip_begin(o, HDR_P_ASSERTED_IDENTITY);
        party_put(o, na.display, user_of(na.uri), host_for(b));
        sip_eol(o);
    }
}

static void head_put(struct leg *b, const struct sip_msg *invite, struct str branch, struct out *o)
{
    const struct core *c = b->call->core;
    char by[ADDR_TEXT_MAX];
    sip_request_line(o, STR("INVITE"), b->d.remote_target);
    sip_begin(o, HDR_VIA);
    OUT_LIT(o, "SIP/2.0/");
    out_put(o, proto_name((enum sip_proto)b->flow.proto));
    out_ch(o, ' ');
    out_put(o, hide_sent_by(c, &b->flow, by, sizeof by));
    OUT_LIT(o, ";rport;branch=");
    out_put(o, branch);
    sip_eol(o);
    /* Lowered, so that a ring of gateways ends (RFC 3261 16.6 step 3; RFC 7332 for B2BUAs). */
    uint8_t mf = invite->max_forwards == 255 ? 70 : invite->max_forwards;
    sip_put_u32(o, HDR_MAX_FORWARDS, mf ? mf - 1u : 0);
    sip_begin(o, HDR_FROM);
    out_put(o, b->d.local_uri);
    OUT_LIT(o, ";tag=");
    out_put(o, b->d.local_tag);
    sip_eol(o);
    sip_put(o, HDR_TO, b->d.remote_uri);
    sip_put(o, HDR_CALL_ID, b->d.call_id);
    sip_put_cseq(o, ++b->d.local_cseq, STR("INVITE"));
}

void hide_invite(struct leg *b, const struct sip_msg *invite, struct str branch, struct str sdp,
                 struct str authorization, struct out *o)
{
    head_put(b, invite, branch, o);
    hide_contact(b, o);
    sip_put(o, HDR_ALLOW, STR(ALLOW));
    /* With a late offer a reliable 1xx would bring the offer, and leg A could not answer it. */
    sip_put(o, HDR_SUPPORTED, sdp.n ? STR(SUPPORTED) : STR("timer"));
    stimer_request_put(&b->st, o);
    pass_fields(b, invite, o);
    out_put(o, authorization);
    sip_end(o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
}

/* --- codes --- */

/* What the caller hears instead of B's final response. Challenges and redirects are between us and
 * B; what speaks of B's own transactions would say nothing true of A's. */
uint16_t hide_code(uint16_t code, bool from_peer, enum reason *ret_why)
{
    *ret_why = REASON_peer_refused;
    if (code >= 300 && code < 400) {
        *ret_why = REASON_peer_redirect;
        return 480;
    }
    switch (code) {
    case 401:
    case 407:
        *ret_why = REASON_peer_challenge;
        return 502;
    case 400:
    case 402:
    case 405:
    case 412:
    case 413:
    case 416:
    case 417:
    case 420:
    case 421:
    case 422:
    case 423:
    case 481:
    case 482:
    case 494:
        return 500;
    case 503: /* RFC 3261 16.7 step 6: it is B that is overloaded, not we */
        return from_peer ? 502 : 480;
    default:
        return code >= 400 && code <= 699 ? code : 500;
    }
}
