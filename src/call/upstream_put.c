/* What a registration of ours says, and what the server grants it (RFC 3261 10.2). */
#include "call/upstream_int.h"

#define GRANTED_MIN_S 10

static struct str host_of(const struct core *c, const struct reg *r, char *buf, size_t cap)
{
    const struct policy_peer *p = &c->policy->peers[r->peer];
    struct str domain = str_skip(reg_aor(r), str_rfind(reg_aor(r), '@') + 1);
    if (r->aor_n && !str_eq(domain, policy_text(c->policy, c->policy->domains[0])))
        return domain; /* else the same user of two domains would be one at the PBX */
    if (p->realm_host.len)
        return policy_text(c->policy, p->realm_host);
    struct out o = out_of(buf, cap);
    addr_put_host(&o, &r->to);
    return out_str(&o);
}

static void user_put(const struct core *c, const struct reg *r, struct out *o)
{
    struct str aor = reg_aor(r);
    sip_escape_user(o, r->aor_n ? str_of(aor.p, str_rfind(aor, '@'))
                                : policy_text(c->policy, c->policy->peers[r->peer].username));
}

/* What calls from there will name: the user at our own address, as its routing rules expect. */
static void contact_put(const struct core *c, const struct reg *r, struct out *o)
{
    const struct policy_peer *p = &c->policy->peers[r->peer];
    struct str domain = str_skip(reg_aor(r), str_rfind(reg_aor(r), '@') + 1);
    OUT_LIT(o, "sip:");
    user_put(c, r, o);
    out_ch(o, '@');
    addr_put(o, &c->policy->listeners[p->listener].advertise);
    if (p->proto != PROTO_UDP) {
        OUT_LIT(o, ";transport=");
        out_put(o, proto_param((enum sip_proto)p->proto));
    }
    if (r->aor_n && !str_eq(domain, policy_text(c->policy, c->policy->domains[0]))) {
        OUT_LIT(o, ";domain="); /* aor_of_uri reads it */
        out_put(o, domain);
    }
}

void reg_uri_put(const struct core *c, const struct reg *r, struct out *o)
{
    const struct policy_peer *p = &c->policy->peers[r->peer];
    char host[ADDR_TEXT_MAX];
    OUT_LIT(o, "sip:");
    if (p->realm_host.len)
        out_put(o, host_of(c, r, host, sizeof host));
    else
        addr_put(o, &r->to);
    if (p->proto != PROTO_UDP) {
        OUT_LIT(o, ";transport=");
        out_put(o, proto_param((enum sip_proto)p->proto));
    }
}

static void party_put(const struct core *c, const struct reg *r, struct out *o)
{
    char host[ADDR_TEXT_MAX];
    OUT_LIT(o, "<sip:");
    user_put(c, r, o);
    out_ch(o, '@');
    out_put(o, host_of(c, r, host, sizeof host));
    out_ch(o, '>');
}

void reg_put(struct core *c, struct reg *r, struct str branch, struct str authorization,
             struct out *o)
{
    const struct policy_peer *p = &c->policy->peers[r->peer];
    struct flow f = {.listener = p->listener};
    char by[ADDR_TEXT_MAX], uri[320], id[17], tag[17];
    struct out u = out_of(uri, sizeof uri);
    uint64_t n = rng_u64(&c->rng);
    hex_encode((const uint8_t *)&n, 8, tag);
    hex_encode((const uint8_t *)&r->hash, 8, id);
    reg_uri_put(c, r, &u);
    o->full |= u.full;
    sip_request_line(o, STR("REGISTER"), out_str(&u));
    sip_begin(o, HDR_VIA);
    OUT_LIT(o, "SIP/2.0/");
    out_put(o, proto_name((enum sip_proto)p->proto));
    out_ch(o, ' ');
    out_put(o, hide_sent_by(c, &f, by, sizeof by));
    OUT_LIT(o, ";rport;branch=");
    out_put(o, branch);
    sip_eol(o);
    sip_put_u32(o, HDR_MAX_FORWARDS, 70);
    sip_begin(o, HDR_FROM);
    party_put(c, r, o);
    OUT_LIT(o, ";tag=");
    out_put(o, str_of(tag, 16));
    sip_eol(o);
    sip_begin(o, HDR_TO);
    party_put(c, r, o);
    sip_eol(o);
    sip_put(o, HDR_CALL_ID, str_of(id, 16));
    sip_put_cseq(o, ++r->cseq, STR("REGISTER"));
    sip_begin(o, HDR_CONTACT);
    out_ch(o, '<');
    contact_put(c, r, o);
    out_ch(o, '>');
    sip_eol(o);
    sip_put_u32(o, HDR_EXPIRES, r->leaving ? 0 : r->ask_s);
    out_put(o, authorization);
    sip_end(o, STR_NONE, STR_NONE);
}

/* How long our Contact was granted: what its own line says, else the message (10.2.4). */
uint32_t reg_granted(const struct core *c, const struct reg *r, const struct sip_msg *m)
{
    char uri[320];
    struct out o = out_of(uri, sizeof uri);
    struct sip_list it = {0};
    struct str v, e;
    struct sip_nameaddr na;
    struct sip_uri mine, u;
    uint32_t s = r->ask_s;
    contact_put(c, r, &o);
    if (sip_get(m, HDR_EXPIRES).p && sip_seconds_parse(sip_get(m, HDR_EXPIRES), UINT32_MAX, &s))
        s = r->ask_s;
    while (sip_uri_parse(out_str(&o), &mine) == OK && sip_list_next(m, HDR_CONTACT, &it, &v)) {
        if (sip_nameaddr_parse(v, &na) != OK || sip_uri_parse(na.uri, &u) != OK ||
            !str_eq(u.user, mine.user) || !str_eq(u.host, mine.host) || u.port != mine.port)
            continue;
        if (sip_param(na.params, STR("expires"), &e) && str_u32(e, UINT32_MAX, &s) != OK)
            s = r->ask_s;
        break;
    }
    return MIN(MAX(s, GRANTED_MIN_S), REG_EXPIRES_MAX_S);
}
