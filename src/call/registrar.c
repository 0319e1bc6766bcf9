/* Registrar: RFC 3261 section 10.3, RFC 5626 section 6 (flows), RFC 3327 (Path), RFC 3581. The
 * whole request is judged before anything of it is stored. */
#include "call/gates.h"
#include "wire/sip/build.h"

/* Longest registration over UDP from where NAT may be: its refresh keeps the mapping alive, which
 * routers forget after 30 s to a few minutes. Streams live by their own keep-alive. */
#define NAT_EXPIRES_S 120
/* RFC 5626 4.4.1: a flow without a keep-alive for so long (and some) may be given up. */
#define FLOW_TIMER_S 120

struct change {
    struct binding b;
    bool remove, flow /* it has a reg-id that counts */;
};

static void fail(struct registrar_result *res, enum reason why)
{
    res->reason = why;
    res->code = reason_info(why)->code;
}

static bool expires_of(const struct registrar *g, const struct request *r, struct str params,
                       uint32_t *ret_s)
{
    const struct sip_msg *m = r->m;
    struct str v = sip_get(m, HDR_EXPIRES);
    uint32_t s = g->policy->limits.register_default_s;
    if (v.p && sip_seconds_parse(v, UINT32_MAX, &s) != OK)
        s = g->policy->limits.register_default_s; /* RFC 3261 20.19: malformed counts as absent */
    if (sip_param(params, STR("expires"), &v) && str_u32(v, UINT32_MAX, &s) != OK)
        s = g->policy->limits.register_default_s;
    if (s && s < g->policy->limits.register_min_s)
        return false;
    uint32_t most = g->policy->limits.register_max_s;
    if (g->policy->zones[r->zone].nat && r->flow.proto == PROTO_UDP)
        most = MIN(most, MAX(NAT_EXPIRES_S, g->policy->limits.register_min_s));
    *ret_s = MIN(s, most);
    return true;
}

static uint16_t q_of(struct str params)
{
    struct str v;
    if (!sip_param(params, STR("q"), &v) || !v.n)
        return 1000;
    if (v.p[0] == '1')
        return 1000;
    unsigned q = 0, scale = 100;
    for (size_t i = 2; i < v.n && i < 5 && ascii_digit(v.p[i]); i++, scale /= 10)
        q += (unsigned)(v.p[i] - '0') * scale;
    return (uint16_t)q;
}

/* The key of a phone that names itself, and of each of its flows (RFC 5626 section 6): a reg-id
 * without +sip.instance is ignored. false: the reg-id is none. */
static bool instance_of(const struct registrar *g, struct str params, uint64_t *ret_key)
{
    struct str instance, v;
    uint32_t reg_id = 0;
    *ret_key = 0;
    if (!sip_param(params, STR("+sip.instance"), &instance) || !instance.n)
        return true;
    if (sip_param(params, STR("reg-id"), &v) && (str_u32(v, INT32_MAX, &reg_id) != OK || !reg_id))
        return false;
    uint32_t device = (uint32_t)(siphash(&g->hash_key, instance) >> 32);
    *ret_key = (uint64_t)(device ? device : 1) << 32 | reg_id;
    return true;
}

/* What the phone says of itself is not where its packets come from. */
static bool behind_nat(const struct registrar *g, const struct request *r, const struct sip_uri *u)
{
    const struct addr *src = &r->flow.peer;
    struct addr via;
    if (!g->policy->zones[r->zone].nat)
        return false;
    if (u->ip.family != ADDR_NONE &&
        (!addr_eq_ip(&u->ip, src) ||
         (r->flow.proto == PROTO_UDP && (u->port ? u->port : 5060) != src->port)))
        return true;
    return addr_parse_ip(sip_text(r->m, r->m->via_host), &via) == OK && !addr_eq_ip(&via, src);
}

/* Where the phone will be called: over the flow it registered on; behind no NAT, over UDP, at the
 * address it names if that lies in its own zone. Anything else would let a registration aim
 * Ringwall at third parties. */
static struct flow flow_of(const struct registrar *g, const struct request *r,
                           const struct sip_uri *u)
{
    struct flow f = r->flow;
    struct addr a = u->ip;
    if (f.proto == PROTO_UDP && !sip_get(r->m, HDR_PATH).p && a.family != ADDR_NONE &&
        !g->policy->zones[r->zone].nat && policy_zone_of(g->policy, f.listener, &a) == r->zone) {
        a.port = u->port ? u->port : 5060;
        f.peer = a;
    }
    return f;
}

/* Path behind the Contact, as the value of our Route: each a loose route, the proxy that is nearest
 * to us first. It aims no request elsewhere: they go by the flow that the REGISTER came by. */
static enum reason path_read(const struct request *r, struct binding *b)
{
    struct sip_list it = {0};
    struct str v, lr;
    struct sip_nameaddr na;
    struct sip_uri u;
    struct out o = out_of(b->contact + b->contact_len, LOCATION_CONTACT_MAX - b->contact_len);
    while (sip_list_next(r->m, HDR_PATH, &it, &v)) {
        if (sip_nameaddr_parse(v, &na) != OK || sip_uri_parse(na.uri, &u) != OK ||
            !sip_param(u.params, STR("lr"), &lr))
            return REASON_reg_path;
        if (o.n)
            out_ch(&o, ',');
        out_ch(&o, '<');
        sip_piece(&o, na.uri);
        out_ch(&o, '>');
    }
    b->path_len = (uint8_t)o.n;
    return o.full ? REASON_reg_path : REASON_NONE;
}

static enum reason contact_read(const struct registrar *g, const struct request *r, struct str aor,
                                struct str element, struct change *c)
{
    struct sip_nameaddr na;
    struct sip_uri u;
    uint32_t seconds;
    struct binding *b = &c->b;
    if (sip_nameaddr_parse(element, &na) != OK || na.star || sip_uri_parse(na.uri, &u) != OK ||
        (u.scheme != URI_SIP && u.scheme != URI_SIPS))
        return REASON_reg_contact_syntax;
    if (na.uri.n > LOCATION_CONTACT_MAX || aor.n > LOCATION_AOR_MAX)
        return REASON_reg_contact_long;
    if (!expires_of(g, r, na.params, &seconds))
        return REASON_reg_interval_brief;
    memset(b, 0, sizeof *b);
    b->aor_hash = location_hash(&g->hash_key, aor);
    b->expires.us = r->now.wall.us + (int64_t)seconds * 1000000;
    b->flow = flow_of(g, r, &u);
    b->cseq = r->m->cseq;
    b->call_id_hash = (uint32_t)siphash(&g->hash_key, sip_text(r->m, r->m->call_id));
    b->q = q_of(na.params);
    if (!instance_of(g, na.params, &b->instance))
        return REASON_reg_flow_id;
    if (behind_nat(g, r, &u))
        b->flags |= BINDING_NAT;
    if (r->quarantined)
        b->flags |= BINDING_QUARANTINED;
    b->device = r->device_id;
    b->aor_len = (uint8_t)aor.n;
    b->contact_len = (uint8_t)na.uri.n;
    memcpy(b->aor, aor.p, aor.n);
    memcpy(b->contact, na.uri.p, na.uri.n);
    c->remove = seconds == 0;
    c->flow = BINDING_FLOW(b) != 0;
    return path_read(r, b);
}

/* RFC 3261 10.3 step 7: an older CSeq of the same Call-ID must not undo a newer one. */
static bool older(const struct binding *have, const struct binding *b)
{
    return have->call_id_hash == b->call_id_hash && b->cseq <= have->cseq &&
           !(have->cseq == b->cseq && have->expires.us >= b->expires.us);
}

static enum reason judge(const struct registrar *g, const struct change *c, size_t n,
                         const struct binding *have, size_t n_have)
{
    size_t total = n_have, kept = 0, flows = 0;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        kept += !c[i].remove;
        flows += !c[i].remove && c[i].flow;
        for (size_t k = 0; k < n_have; k++)
            if (location_same(&have[k], &c[i].b)) {
                known = true;
                if (older(&have[k], &c[i].b))
                    return REASON_reg_order;
            }
        total += !known && !c[i].remove;
    }
    if (flows && kept > 1) /* RFC 5626 6: else it is not clear which one this flow leads to */
        return REASON_reg_flow_id;
    if (total > g->policy->limits.contacts_per_user)
        return REASON_reg_contacts_limit;
    if (total > n_have && g->own->used + (total - n_have) > g->own->cap)
        return REASON_capacity_bindings;
    return REASON_NONE;
}

static void fact(struct registrar_result *res, const struct request *r, enum fact_kind kind,
                 const struct binding *b)
{
    if (res->n_facts >= ARRAY_LEN(res->facts))
        return;
    struct fact *f = &res->facts[res->n_facts++];
    memset(f, 0, fact_size(kind));
    f->kind = (uint8_t)kind;
    f->bytes = (uint16_t)fact_size(kind);
    f->wall_us = r->now.wall.us;
    TEXT_SET(f->u.reg.aor, str_of(b->aor, b->aor_len));
    TEXT_SET(f->u.reg.contact, str_of(b->contact, b->contact_len));
    f->u.reg.source = r->flow.peer;
    f->u.reg.proto = r->flow.proto;
    f->u.reg.expires_us = b->expires.us;
}

static void apply(const struct registrar *g, const struct request *r, const struct change *c,
                  size_t n, const struct binding *have, size_t n_have, struct registrar_result *res)
{
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < n_have; k++)
            known |= location_same(&have[k], &c[i].b);
        if (c[i].remove) {
            if (location_del(g->own, &c[i].b))
                fact(res, r, FACT_UNREGISTERED, &c[i].b);
        } else if (location_put(g->own, &c[i].b) != OK) {
            fail(res, REASON_capacity_bindings);
            return;
        } else if (!known) {
            fact(res, r, FACT_REGISTERED, &c[i].b);
        }
    }
}

static void list_put(const struct registrar *g, const struct request *r, struct str aor,
                     struct out *o)
{
    struct binding b;
    uint64_t hash = location_hash(&g->hash_key, aor);
    uint32_t it = 0;
    while (location_next(location_own(g->own), hash, aor, r->now.wall, &it, &b)) {
        sip_begin(o, HDR_CONTACT);
        out_ch(o, '<');
        sip_piece(o, str_of(b.contact, b.contact_len));
        OUT_LIT(o, ">;expires=");
        out_u64(o, (uint64_t)((b.expires.us - r->now.wall.us + 999999) / 1000000));
        if (b.q != 1000) {
            OUT_LIT(o, ";q=0.");
            out_ch(o, (char)('0' + b.q / 100));
            out_ch(o, (char)('0' + b.q / 10 % 10));
            out_ch(o, (char)('0' + b.q % 10));
        }
        sip_eol(o);
    }
}

static void remove_all(const struct registrar *g, const struct request *r,
                       const struct binding *have, size_t n_have, struct registrar_result *res)
{
    uint32_t zero;
    struct str v = sip_get(r->m, HDR_EXPIRES);
    if (!v.p || sip_seconds_parse(v, UINT32_MAX, &zero) != OK || zero != 0) {
        fail(res, REASON_reg_contact_syntax); /* RFC 3261 10.2.2: * only with Expires: 0 */
        return;
    }
    uint32_t id = (uint32_t)siphash(&g->hash_key, sip_text(r->m, r->m->call_id));
    for (size_t k = 0; k < n_have; k++)
        if (have[k].call_id_hash == id && r->m->cseq <= have[k].cseq) {
            fail(res, REASON_reg_order);
            return;
        }
    for (size_t k = 0; k < n_have; k++)
        if (location_del(g->own, &have[k]))
            fact(res, r, FACT_UNREGISTERED, &have[k]);
}

static bool supports(const struct sip_msg *m, struct str option)
{
    static const enum sip_hdr where[] = {HDR_SUPPORTED, HDR_REQUIRE};
    struct str tag;
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        struct sip_list it = {0};
        while (sip_list_next(m, where[i], &it, &tag))
            if (str_ieq(str_trim(tag), option))
                return true;
    }
    return false;
}

enum hop { HOP_NONE, HOP_PLAIN, HOP_OUTBOUND };

/* The first proxy that the request met, and whether it keeps flows ("ob", RFC 5626 5.1). */
static enum hop first_hop(const struct sip_msg *m)
{
    struct sip_list it = {0};
    struct str v, ob;
    struct sip_nameaddr na;
    struct sip_uri u;
    enum hop hop = HOP_NONE;
    for (unsigned n = 0; sip_list_next(m, HDR_VIA, &it, &v); n++)
        hop = n ? HOP_PLAIN : HOP_NONE;
    if (hop == HOP_NONE)
        return hop;
    it = (struct sip_list){0};
    while (sip_list_next(m, HDR_PATH, &it, &v)) /* the first proxy wrote the last */
        hop = sip_nameaddr_parse(v, &na) == OK && sip_uri_parse(na.uri, &u) == OK &&
                      sip_param(u.params, STR("ob"), &ob)
                  ? HOP_OUTBOUND
                  : HOP_PLAIN;
    return hop;
}

static bool flow_asked(const struct request *r, const struct change *c, size_t n)
{
    return n == 1 && !c->remove && c->flow && supports(r->m, STR("outbound"));
}

/* Over a stream the phone is told that its flow is kept and how often to show that it lives. Over
 * UDP that needs STUN (RFC 5626 4.4.2), which is not spoken here: it is a plain registration.
 * Behind a proxy that keeps flows, the proxy tells. */
static void outbound_put(const struct request *r, const struct change *c, size_t n, struct out *o)
{
    enum hop hop = first_hop(r->m);
    if (!flow_asked(r, c, n) || (hop == HOP_NONE && !flow_reliable(&r->flow)))
        return;
    sip_put(o, HDR_REQUIRE, STR("outbound"));
    if (hop == HOP_NONE)
        sip_put_u32(o, HDR_FLOW_TIMER, FLOW_TIMER_S);
}

#define REG_MAX 16u

/* All contacts of the request. false: res says why not, or they were "*" and all is done. */
static bool contacts_read(const struct registrar *g, const struct request *r, struct str aor,
                          const struct binding *have, size_t n_have, struct change *c,
                          size_t *ret_n, struct registrar_result *res)
{
    struct sip_list it = {0};
    struct str element;
    size_t n = 0;
    while (sip_list_next(r->m, HDR_CONTACT, &it, &element)) {
        if (str_eq(str_trim(element), STR("*"))) {
            if (n || sip_list_next(r->m, HDR_CONTACT, &it, &element))
                fail(res, REASON_reg_contact_syntax);
            else
                remove_all(g, r, have, n_have, res);
            return false;
        }
        enum reason why =
            n < REG_MAX ? contact_read(g, r, aor, element, &c[n]) : REASON_reg_contacts_limit;
        if (why != REASON_NONE) {
            fail(res, why);
            return false;
        }
        n++;
    }
    *ret_n = n;
    return true;
}

void registrar_register(const struct registrar *g, const struct request *r, struct out *fields,
                        struct registrar_result *res)
{
    struct change c[REG_MAX];
    struct binding have[REG_MAX];
    char aor_text[LOCATION_AOR_MAX];
    size_t n, aor_n, n_have;
    res->code = 200;
    res->reason = REASON_NONE;
    res->n_facts = 0;
    if (!aor_of_uri(g->policy, sip_text(r->m, r->m->to_uri), aor_text, sizeof aor_text, &aor_n)) {
        fail(res, REASON_reg_domain);
        return;
    }
    struct str aor = str_of(aor_text, aor_n);
    struct location_view own = location_own(g->own);
    n_have = location_all(&own, 1, &g->hash_key, aor, r->now.wall, have, REG_MAX);
    if (!contacts_read(g, r, aor, have, n_have, c, &n, res)) {
        if (res->reason == REASON_reg_interval_brief)
            sip_put_u32(fields, HDR_MIN_EXPIRES, g->policy->limits.register_min_s);
        return;
    }
    enum reason why = judge(g, c, n, have, n_have);
    if (why == REASON_NONE && flow_asked(r, c, n) && first_hop(r->m) == HOP_PLAIN)
        why = REASON_reg_first_hop;
    if (why != REASON_NONE) {
        fail(res, why);
        return;
    }
    apply(g, r, c, n, have, n_have, res);
    if (res->code != 200)
        return;
    list_put(g, r, aor, fields);
    outbound_put(r, c, n, fields);
    if (supports(r->m, STR("path")))
        sip_copy(fields, r->m, HDR_PATH);
}
