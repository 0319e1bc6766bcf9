/* Topology hiding: everything that a leg says is made here from a list of what may pass. Nothing of
 * the other side's Via, Route, Record-Route, Contact, Call-ID, tags, CSeq, Warning, User-Agent or
 * unknown fields is ever copied. */
#include "call/hide.h"
#include "call/core_int.h"
#include "call/gate.h"

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

#define USER_CHARS 384u /* a number of a tel URI, escaped */

/* The user part of a party as it stands in a SIP URI, without parameters and without what could be
 * a host: peers put "200%4010.1.2.3" there. What cannot be one is "anonymous". buf: USER_CHARS. */
static struct str user_of(struct str uri_text, char *buf)
{
    struct sip_uri u;
    struct addr a;
    struct str user = STR_NONE;
    struct out escaped = out_of(buf, USER_CHARS);
    if (sip_uri_parse(uri_text, &u) == OK && u.scheme <= URI_TEL)
        str_cut(u.user, ';', &user);
    if (user.n && u.scheme == URI_TEL) { /* '#' has no place in a SIP URI */
        sip_escape_user(&escaped, user);
        user = escaped.full ? STR_NONE : out_str(&escaped);
    }
    user = str_head(user, str_search(user, STR("%40")));
    return user.n && addr_parse(user, &a) != OK ? user : STR("anonymous");
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

static void party_put_as(struct out *o, struct str display, struct str user, struct str verstat,
                         struct str host)
{
    if (display.n && display_ok(display)) {
        out_ch(o, '"');
        out_put(o, display);
        OUT_LIT(o, "\" ");
    }
    OUT_LIT(o, "<sip:");
    if (user.n) {
        out_put(o, user);
        out_put(o, verstat);
        out_ch(o, '@');
    }
    out_put(o, host);
    if (verstat.n)
        OUT_LIT(o, ";user=phone");
    out_ch(o, '>');
}

static void party_put(struct out *o, struct str display, struct str user, struct str host)
{
    party_put_as(o, display, user, STR_NONE, host);
}

/* What verification of a peer's call has found, for who is called here (3GPP TS 24.229 7.2A.20):
 * phones and PBXs, no trunk. Only a full attestation says that the number is the caller's. */
static struct str verstat_of(const struct leg *b, struct str user)
{
    const struct call *k = b->call;
    const struct policy *p = k->core->policy;
    bool inside = b->peer == POLICY_NONE || !p->peers[b->peer].trunk;
    if (!inside || b->shown.n || k->a->peer == POLICY_NONE || !p->peers[k->a->peer].verify ||
        !p->stir.verify || !user.n || (user.p[0] != '+' && !ascii_digit(user.p[0])))
        return STR_NONE;
    if (k->verstat != REASON_NONE && k->verstat != REASON_stir_no_identity)
        return STR(";verstat=TN-Validation-Failed");
    return k->attest == 'A' ? STR(";verstat=TN-Validation-Passed")
                            : STR(";verstat=No-TN-Validation");
}

/* What the caller wants hidden (RFC 3323, 3325, 7044). The rest of what these words ask for is
 * always done here: no field, address or session of one side is ever shown to the other. */
enum privacy { PRIVACY_ID = 1, PRIVACY_USER = 2, PRIVACY_HISTORY = 4, PRIVACY_CRITICAL = 8 };

static unsigned privacy_of(const struct sip_msg *m)
{
    struct str v = sip_get(m, HDR_PRIVACY), one;
    unsigned wants = gate_anonymous(sip_text(m, m->from_uri)) ? PRIVACY_USER : 0;
    while (v.n) {
        v = str_cut(v, ';', &one);
        one = str_trim(one);
        if (str_ieq(one, STR("id")) || str_ieq(one, STR("header")))
            wants |= PRIVACY_ID;
        else if (str_ieq(one, STR("user")))
            wants |= PRIVACY_USER;
        else if (str_ieq(one, STR("history")))
            wants |= PRIVACY_HISTORY;
        else if (str_ieq(one, STR("critical")))
            wants |= PRIVACY_CRITICAL;
    }
    return wants;
}

/* What is left to be done by those behind us. */
static void privacy_put(const struct sip_msg *m, struct out *o)
{
    unsigned wants = privacy_of(m);
    if (!(wants & (PRIVACY_ID | PRIVACY_USER | PRIVACY_HISTORY)))
        return;
    sip_begin(o, HDR_PRIVACY);
    if (wants & (PRIVACY_ID | PRIVACY_USER))
        OUT_LIT(o, "id");
    if (wants & PRIVACY_HISTORY)
        out_put(o, wants & (PRIVACY_ID | PRIVACY_USER) ? STR(";history") : STR("history"));
    if (wants & PRIVACY_CRITICAL)
        OUT_LIT(o, ";critical");
    sip_eol(o);
}

static bool trusted(const struct leg *l)
{
    return l->peer != POLICY_NONE && l->call->core->policy->peers[l->peer].trust_identity;
}

/* Who calls, as far as we know it ourselves: a trusted peer's assertion, or the proved user. */
static bool identity_put(const struct leg *b, const struct sip_msg *m, struct out *o)
{
    const struct call *k = b->call;
    struct sip_list it = {0};
    struct sip_nameaddr na = {0};
    struct str v, user;
    char buf[USER_CHARS];
    struct out escaped = out_of(buf, sizeof buf);
    if (trusted(k->a) && sip_list_next(m, HDR_P_ASSERTED_IDENTITY, &it, &v) &&
        sip_nameaddr_parse(v, &na) == OK) {
        user = b->shown.n ? b->shown : user_of(na.uri, buf);
        party_put_as(o, na.display, user, verstat_of(b, user), host_for(b));
        return true;
    }
    if (!k->user.n)
        return false;
    str_cut(k->user, '@', &user);
    sip_escape_user(&escaped, b->shown.n ? b->shown : user);
    if (gate_anonymous(sip_text(m, m->from_uri)) ||
        sip_nameaddr_parse(sip_get(m, HDR_FROM), &na) != OK)
        na.display = STR_NONE;
    party_put(o, na.display, out_str(&escaped), host_for(b));
    return !escaped.full;
}

bool hide_asserted(const struct leg *b, const struct sip_msg *m, struct out *o)
{
    return trusted(b) && identity_put(b, m, o) && !o->full;
}

enum err hide_dialog(struct leg *b, const struct sip_msg *invite, struct str target)
{
    struct call *k = b->call;
    struct core *c = k->core;
    char from[512], to[512], id[TOKEN_CHARS], tag[TOKEN_CHARS], user[USER_CHARS];
    struct out of = out_of(from, sizeof from), ot = out_of(to, sizeof to);
    struct sip_nameaddr na = {0};
    if (sip_nameaddr_parse(sip_get(invite, HDR_FROM), &na) != OK)
        return ERR_SYNTAX;
    unsigned wants = privacy_of(invite);
    if ((wants & PRIVACY_USER) || ((wants & PRIVACY_ID) && !trusted(b)))
        OUT_LIT(&of, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    else {
        struct str shown = b->shown.n ? b->shown : user_of(na.uri, user);
        party_put_as(&of, na.display, shown, verstat_of(b, shown), host_for(b));
    }
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

/* Reason (RFC 3326): protocol and cause. Text is free and may say where it comes from. */
static bool reason_parse(struct str v, struct str *ret_protocol, uint32_t *ret_cause,
                         bool *ret_text)
{
    struct str name, value, params = str_cut(v, ';', ret_protocol);
    bool cause = false;
    *ret_text = false;
    *ret_protocol = str_trim(*ret_protocol);
    if (!str_ieq(*ret_protocol, STR("SIP")) && !str_ieq(*ret_protocol, STR("Q.850")))
        return false;
    while (sip_param_next(&params, &name, &value)) {
        *ret_text |= !str_ieq(name, STR("cause"));
        if (str_ieq(name, STR("cause")) && (cause || str_u32(value, 999, ret_cause) != OK))
            return false;
        cause |= str_ieq(name, STR("cause"));
    }
    return cause;
}

bool hide_reason_ok(struct str v)
{
    struct str protocol;
    uint32_t cause;
    bool text;
    return reason_parse(v, &protocol, &cause, &text) && !text;
}

void hide_reasons(const struct sip_msg *m, struct out *o)
{
    struct sip_list it = {0};
    struct str v, protocol;
    uint32_t cause;
    bool text;
    for (unsigned n = 0; n < HIDE_REASONS_MAX && sip_list_next(m, HDR_REASON, &it, &v);) {
        if (!reason_parse(v, &protocol, &cause, &text))
            continue;
        if (n++)
            OUT_LIT(o, ", ");
        out_put(o, protocol);
        OUT_LIT(o, ";cause=");
        out_u64(o, cause);
    }
}

void hide_reasons_put(const struct sip_msg *m, struct out *o)
{
    char buf[HIDE_REASON_CHARS];
    struct out value = out_of(buf, sizeof buf);
    hide_reasons(m, &value);
    if (value.n)
        sip_put(o, HDR_REASON, out_str(&value));
}

uint8_t hide_max_forwards(const struct sip_msg *m)
{
    uint8_t n = m->max_forwards == 255 ? 70 : m->max_forwards;
    return n ? (uint8_t)(n - 1) : 0;
}

uint32_t hide_max_breadth(const struct sip_msg *m)
{
    uint32_t n;
    return str_u32(sip_get(m, HDR_MAX_BREADTH), UINT32_MAX, &n) == OK ? n : 60;
}

/* Peers get the INVITE one after the other, phones at the same time: their shares together are
 * no more than what came (RFC 5393 5.3). fork.c calls no more phones than that. */
static uint32_t breadth_of(const struct leg *b, const struct sip_msg *invite)
{
    uint32_t n = hide_max_breadth(invite);
    return b->peer != POLICY_NONE ? n : MAX(n / FORKS_MAX, 1u);
}

/* --- the way that a call has come (RFC 5806, 7044) --- */

static bool word_ok(struct str v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!lex_in(&LEX_ALNUM, v.p[i]) && v.p[i] != '-')
            return false;
    return v.n > 0 && v.n <= 32;
}

/* index-val = number *("." number) (RFC 7044 5.1) */
static bool index_ok(struct str v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!ascii_digit(v.p[i]) && v.p[i] != '.')
            return false;
    return v.n > 0 && v.n <= 32;
}

static void param_put(struct out *o, struct str name, struct str value)
{
    out_ch(o, ';');
    out_put(o, name);
    if (value.n) {
        out_ch(o, '=');
        out_put(o, value);
    }
}

/* The parameters of that list whose values are words or indices; others may hold anything. */
typedef bool value_ok(struct str v);
static void params_put(struct out *o, struct str params, const struct str *names, size_t n,
                       value_ok *ok)
{
    struct str name, value;
    while (sip_param_next(&params, &name, &value))
        for (size_t i = 0; i < n; i++)
            if (str_ieq(name, names[i]) && (!value.n || ok(value)))
                param_put(o, names[i], value);
}

static void diversion_put(const struct leg *b, const struct sip_nameaddr *na, struct out *o)
{
    static const struct str names[] = {
        {"reason", 6}, {"counter", 7}, {"limit", 5}, {"privacy", 7}, {"screen", 6}};
    char user[USER_CHARS];
    party_put(o, na->display, user_of(na->uri, user), host_for(b));
    params_put(o, na->params, names, ARRAY_LEN(names), word_ok);
}

/* Headers within the URI of an entry: why it was left, and whether it may be shown. */
static void entry_headers_put(struct str headers, struct out *o)
{
    char buf[256];
    char mark = '?';
    while (headers.n) {
        struct str one, name, protocol;
        headers = str_cut(headers, '&', &one);
        struct str value = str_cut(one, '=', &name);
        struct out plain = out_of(buf, sizeof buf);
        uint32_t cause;
        bool text;
        sip_unescape(&plain, value);
        if (str_ieq(name, STR("Reason")) && !plain.full &&
            reason_parse(out_str(&plain), &protocol, &cause, &text)) {
            out_ch(o, mark);
            OUT_LIT(o, "Reason=");
            out_put(o, protocol);
            OUT_LIT(o, "%3Bcause%3D");
            out_u64(o, cause);
            mark = '&';
        } else if (str_ieq(name, STR("Privacy")) && word_ok(out_str(&plain))) {
            out_ch(o, mark);
            OUT_LIT(o, "Privacy=");
            out_put(o, out_str(&plain));
            mark = '&';
        }
    }
}

static void history_put(const struct leg *b, const struct sip_nameaddr *na, struct out *o)
{
    static const struct str names[] = {{"index", 5}, {"rc", 2}, {"mp", 2}, {"np", 2}};
    static const struct str cause[] = {{"cause", 5}}; /* RFC 4458 */
    char user[USER_CHARS];
    struct sip_uri u = {0};
    (void)!sip_uri_parse(na->uri, &u);
    OUT_LIT(o, "<sip:");
    out_put(o, user_of(na->uri, user));
    out_ch(o, '@');
    out_put(o, host_for(b));
    params_put(o, u.params, cause, ARRAY_LEN(cause), word_ok);
    entry_headers_put(u.headers, o);
    out_ch(o, '>');
    params_put(o, na->params, names, ARRAY_LEN(names), index_ok);
}

typedef void entry_put(const struct leg *b, const struct sip_nameaddr *na, struct out *o);
static void entries_put(const struct leg *b, const struct sip_msg *m, enum sip_hdr h,
                        entry_put *put, struct out *o)
{
    struct sip_list it = {0};
    struct str v;
    for (unsigned n = 0; n < HIDE_ENTRIES_MAX && sip_list_next(m, h, &it, &v); n++) {
        struct sip_nameaddr na;
        struct sip_uri u;
        if (sip_nameaddr_parse(v, &na) != OK || na.uri.n > 256 || sip_uri_parse(na.uri, &u) != OK)
            continue;
        sip_begin(o, h);
        put(b, &na, o);
        sip_eol(o);
    }
}

static void pass_fields(const struct leg *b, const struct sip_msg *m, struct out *o)
{
    static const enum sip_hdr tokens[] = {HDR_PRIORITY, HDR_EXPIRES};
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        struct str v = sip_get(m, tokens[i]);
        if (word_ok(v))
            sip_put(o, tokens[i], v);
    }
    struct str subject = sip_get(m, HDR_SUBJECT);
    if (subject.n && display_ok(subject))
        sip_put(o, HDR_SUBJECT, subject);
    hide_reasons_put(m, o);
    privacy_put(m, o);
    if (!trusted(b))
        return;
    char who[512];
    struct out w = out_of(who, sizeof who);
    if (identity_put(b, m, &w) && !w.full)
        sip_put(o, HDR_P_ASSERTED_IDENTITY, out_str(&w));
    if (!trusted(b->call->a))
        return;
    entries_put(b, m, HDR_DIVERSION, diversion_put, o);
    entries_put(b, m, HDR_HISTORY_INFO, history_put, o);
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
    OUT_LIT(o, ";" ROUTE_MARK_NAME "=");
    const struct leg *a = b->call->a;
    uint64_t route =
        gate_route_number(&c->cfg.hash_key, a->zone, a->peer, sip_text(invite, invite->uri));
    gate_route_mark(&c->cfg.hash_key, route, branch, o);
    sip_eol(o);
    for (uint8_t i = 0; i < b->d.n_routes; i++)
        sip_put(o, HDR_ROUTE, b->d.routes[i]);
    /* Lowered, so that a ring of gateways ends (RFC 3261 16.6 step 3; RFC 7332 for B2BUAs). */
    sip_put_u32(o, HDR_MAX_FORWARDS, hide_max_forwards(invite));
    sip_put_u32(o, HDR_MAX_BREADTH, breadth_of(b, invite));
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
    stir_put(b, o);
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
