/* What single requests and subscriptions write: everything is made here from a list of what may
 * pass; nothing of the other side's Via, Route, Contact, Call-ID, tags or unknown fields is copied.
 */
#include "call/exchange.h"
#include "call/gate.h"
#include "call/hide.h"

struct str host_towards(const struct core *c, uint8_t peer)
{
    const struct policy *p = c->policy;
    if (peer != POLICY_NONE) {
        struct str realm = policy_text(p, p->peers[peer].realm_host);
        if (realm.n)
            return realm;
    }
    return policy_text(p, p->domains[0]);
}

/* RFC 3323, 3325: user hides from everybody, id and header from those that are not trusted. */
static bool hides(const struct core *c, const struct sip_msg *m, uint8_t peer)
{
    bool trusted = peer != POLICY_NONE && c->policy->peers[peer].trust_identity;
    struct str v = sip_get(m, HDR_PRIVACY), one;
    if (gate_anonymous(sip_text(m, m->from_uri)))
        return true;
    while (v.n) {
        v = str_cut(v, ';', &one);
        one = str_trim(one);
        if (str_ieq(one, STR("user")) ||
            (!trusted && (str_ieq(one, STR("id")) || str_ieq(one, STR("header")))))
            return true;
    }
    return false;
}

static bool display_ok(struct str d)
{
    for (size_t i = 0; i < d.n; i++)
        if ((uint8_t)d.p[i] < ' ' || d.p[i] == 0x7f || d.p[i] == '@')
            return false;
    return d.n && d.n <= 128 && !event_address_like(d);
}

void from_put(const struct core *c, const struct sip_msg *m, uint8_t peer, struct out *o)
{
    struct sip_nameaddr na;
    struct sip_uri u;
    struct str user = STR("anonymous");
    if (hides(c, m, peer) || sip_nameaddr_parse(sip_get(m, HDR_FROM), &na) != OK) {
        OUT_LIT(o, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
        return;
    }
    if (sip_uri_parse(na.uri, &u) == OK && u.scheme <= URI_TEL && u.user.n)
        str_cut(u.user, ';', &user);
    if (display_ok(na.display)) {
        out_ch(o, '"');
        sip_piece(o, na.display);
        OUT_LIT(o, "\" ");
    }
    OUT_LIT(o, "<sip:");
    sip_piece(o, user);
    out_ch(o, '@');
    out_put(o, host_towards(c, peer));
    out_ch(o, '>');
}

void contact_put(const struct core *c, const struct flow *f, struct str user, struct out *o)
{
    sip_begin(o, HDR_CONTACT);
    OUT_LIT(o, "<sip:");
    out_put(o, user);
    out_ch(o, '@');
    addr_put(o, &c->policy->listeners[f->listener].advertise);
    if (f->proto != PROTO_UDP) {
        OUT_LIT(o, ";transport=");
        out_put(o, proto_param((enum sip_proto)f->proto));
    }
    out_ch(o, '>');
    sip_eol(o);
}

void via_put(const struct core *c, const struct flow *f, struct str branch, struct out *o)
{
    char by[ADDR_TEXT_MAX];
    sip_begin(o, HDR_VIA);
    OUT_LIT(o, "SIP/2.0/");
    out_put(o, proto_name((enum sip_proto)f->proto));
    out_ch(o, ' ');
    out_put(o, hide_sent_by(c, f, by, sizeof by));
    OUT_LIT(o, ";rport;branch=");
    out_put(o, branch);
    sip_eol(o);
}

void event_put(enum event_package p, struct str id, struct out *o)
{
    sip_begin(o, HDR_EVENT);
    out_put(o, event_package_name(p));
    if (id.n) {
        OUT_LIT(o, ";id=");
        out_put(o, id);
    }
    sip_eol(o);
}

uint32_t expires_of(const struct sip_msg *m, uint32_t def)
{
    uint32_t n;
    struct str v = sip_get(m, HDR_EXPIRES);
    return v.n && sip_seconds_parse(v, UINT32_MAX, &n) == OK ? n : def;
}

/* RFC 3903 4.1: the tag is a token that only its giver understands. */
void etag_put(const struct sip_msg *m, enum sip_hdr h, struct out *o)
{
    struct str v = sip_get(m, h);
    for (size_t i = 0; i < v.n; i++)
        if (!lex_in(&LEX_TOKEN, v.p[i]))
            return;
    if (v.n && v.n <= 64)
        sip_put(o, h, v);
}

void fields_put(const struct exchange *x, const struct target *g, struct out *o)
{
    const struct core *c = x->core;
    const struct sip_msg *m = x->held->m;
    struct str id;
    char state[96];
    struct out st = out_of(state, sizeof state);
    bool ended;
    uint32_t expires = expires_of(m, UINT32_MAX), breadth = hide_max_breadth(m);
    bool one =
        x->method == SIP_SUBSCRIBE || g->peer != POLICY_NONE; /* after the other, if at all */
    sip_put_u32(o, HDR_MAX_BREADTH, one ? breadth : MAX(breadth / FORKS_MAX, 1u));
    if (x->method != SIP_SUBSCRIBE && x->method != SIP_NOTIFY && expires != UINT32_MAX)
        sip_put_u32(o, HDR_EXPIRES, expires);
    if (x->method == SIP_PUBLISH || x->method == SIP_NOTIFY)
        event_put(event_of(m, &id), STR_NONE, o);
    if (x->method == SIP_PUBLISH)
        etag_put(m, HDR_SIP_IF_MATCH, o);
    if (x->method == SIP_NOTIFY) {
        contact_put(c, &g->flow, str_of(x->tag, sizeof x->tag), o);
        enum reason why = event_state(sip_get(m, HDR_SUBSCRIPTION_STATE), &st, &ended, &expires);
        sip_put(o, HDR_SUBSCRIPTION_STATE, why == REASON_NONE ? out_str(&st) : STR("active"));
    }
    if (!x->user.n || g->peer == POLICY_NONE || !c->policy->peers[g->peer].trust_identity)
        return; /* who asks is not proved, or it is not to be told */
    struct str user;
    char buf[3 * REQUEST_USER_MAX];
    struct out escaped = out_of(buf, sizeof buf);
    str_cut(x->user, '@', &user);
    sip_escape_user(&escaped, user);
    sip_begin(o, HDR_P_ASSERTED_IDENTITY);
    OUT_LIT(o, "<sip:");
    out_put(o, out_str(&escaped));
    out_ch(o, '@');
    out_put(o, host_towards(c, g->peer));
    out_ch(o, '>');
    sip_eol(o);
}

enum reason exchange_body(const struct exchange *x, uint8_t peer, struct out *type,
                          struct out *body)
{
    const struct core *c = x->core;
    const struct sip_msg *m = x->held->m;
    struct str raw = sip_text(m, m->body), content = sip_get(m, HDR_CONTENT_TYPE), id;
    struct event_side side = {host_towards(c, peer), &c->cfg.hash_key};
    if (!raw.n || x->method == SIP_SUBSCRIBE)
        return REASON_NONE; /* what a SUBSCRIBE would filter by, it gets whole */
    if (x->method == SIP_MESSAGE) {
        out_put(body, raw);
        return event_text_type(content, type);
    }
    enum event_package p = event_of(m, &id);
    out_put(type, event_type(p));
    return event_body(p, content, raw, &side, body);
}

/* What the sender is told instead of the code that came. */
uint16_t exchange_told(const struct exchange *x, uint16_t code, enum reason *ret_why)
{
    bool own = code == 489 || code == 423 || (code == 412 && x->method == SIP_PUBLISH);
    uint16_t hidden = hide_code(code, x->peer != POLICY_NONE, ret_why);
    return own ? code : hidden;
}
