/* Registrar: RFC 3261 section 10.3, RFC 5626 instance-id, RFC 3581. The whole request is judged
 * before anything of it is stored. */
#include "call/gates.h"
#include "wire/sip/build.h"

struct change {
    struct binding b;
    bool remove;
};

static void fail(struct registrar_result *res, enum reason why)
{
    res->reason = why;
    res->code = reason_info(why)->code;
}

static bool expires_of(const struct registrar *g, const struct sip_msg *m, struct str params,
                       uint32_t *ret_s)
{
    struct str v = sip_get(m, HDR_EXPIRES);
    uint32_t s = g->policy->limits.register_default_s;
    if (v.p && sip_seconds_parse(v, UINT32_MAX, &s) != OK)
        s = g->policy->limits.register_default_s; /* RFC 3261 20.19: malformed counts as absent */
    if (sip_param(params, STR("expires"), &v) && str_u32(v, UINT32_MAX, &s) != OK)
        s = g->policy->limits.register_default_s;
    if (s && s < g->policy->limits.register_min_s)
        return false;
    *ret_s = MIN(s, g->policy->limits.register_max_s);
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

static uint64_t instance_of(const struct registrar *g, struct str params)
{
    struct str instance, reg_id = STR_NONE;
    if (!sip_param(params, STR("+sip.instance"), &instance) || !instance.n)
        return 0;
    (void)sip_param(params, STR("reg-id"), &reg_id);
    uint64_t h = siphash(&g->hash_key, instance) ^ (siphash(&g->hash_key, reg_id) << 1);
    return h ? h : 1;
}

/* Where the phone will be called: over the flow it registered on; behind no NAT, over UDP, at the
 * address it names if that lies in its own zone. Anything else would let a registration aim
 * Ringwall at third parties. */
static struct flow flow_of(const struct registrar *g, const struct request *r,
                           const struct sip_uri *u)
{
    struct flow f = r->flow;
    struct addr a = u->ip;
    if (f.proto == PROTO_UDP && a.family != ADDR_NONE && !g->policy->zones[r->zone].nat &&
        policy_zone_of(g->policy, f.listener, &a) == r->zone) {
        a.port = u->port ? u->port : 5060;
        f.peer = a;
    }
    return f;
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
    if (!expires_of(g, r->m, na.params, &seconds))
        return REASON_reg_interval_brief;
    memset(b, 0, sizeof *b);
    b->aor_hash = location_hash(&g->hash_key, aor);
    b->expires.us = r->now.wall.us + (int64_t)seconds * 1000000;
    b->flow = flow_of(g, r, &u);
    b->cseq = r->m->cseq;
    b->call_id_hash = (uint32_t)siphash(&g->hash_key, sip_text(r->m, r->m->call_id));
    b->q = q_of(na.params);
    b->instance = instance_of(g, na.params);
    b->aor_len = (uint8_t)aor.n;
    b->contact_len = (uint8_t)na.uri.n;
    memcpy(b->aor, aor.p, aor.n);
    memcpy(b->contact, na.uri.p, na.uri.n);
    c->remove = seconds == 0;
    return REASON_NONE;
}

static bool same_contact(const struct binding *a, const struct binding *b)
{
    if (a->instance || b->instance)
        return a->instance == b->instance;
    return str_eq(str_of(a->contact, a->contact_len), str_of(b->contact, b->contact_len));
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
    size_t total = n_have;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < n_have; k++)
            if (same_contact(&have[k], &c[i].b)) {
                known = true;
                if (older(&have[k], &c[i].b))
                    return REASON_reg_order;
            }
        total += !known && !c[i].remove;
    }
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
            known |= same_contact(&have[k], &c[i].b);
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
    while (location_next(g->own, hash, aor, r->now.wall, &it, &b)) {
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

#define REG_MAX 16u

void registrar_register(const struct registrar *g, const struct request *r, struct out *fields,
                        struct registrar_result *res)
{
    struct change c[REG_MAX];
    struct binding have[REG_MAX];
    char aor_text[LOCATION_AOR_MAX];
    size_t n = 0, aor_n, n_have;
    struct sip_list it = {0};
    struct str element;
    res->code = 200;
    res->reason = REASON_NONE;
    res->n_facts = 0;
    if (!aor_of_uri(g->policy, sip_text(r->m, r->m->to_uri), aor_text, sizeof aor_text, &aor_n)) {
        fail(res, REASON_reg_domain);
        return;
    }
    struct str aor = str_of(aor_text, aor_n);
    n_have = location_lookup(&g->own, 1, &g->hash_key, aor, r->now.wall, have, REG_MAX);
    while (sip_list_next(r->m, HDR_CONTACT, &it, &element)) {
        if (str_eq(str_trim(element), STR("*"))) {
            if (n || sip_list_next(r->m, HDR_CONTACT, &it, &element))
                fail(res, REASON_reg_contact_syntax);
            else
                remove_all(g, r, have, n_have, res);
            return;
        }
        enum reason why =
            n < REG_MAX ? contact_read(g, r, aor, element, &c[n]) : REASON_reg_contacts_limit;
        if (why != REASON_NONE) {
            fail(res, why);
            if (why == REASON_reg_interval_brief)
                sip_put_u32(fields, HDR_MIN_EXPIRES, g->policy->limits.register_min_s);
            return;
        }
        n++;
    }
    enum reason why = judge(g, c, n, have, n_have);
    if (why != REASON_NONE) {
        fail(res, why);
        return;
    }
    apply(g, r, c, n, have, n_have, res);
    if (res->code == 200)
        list_put(g, r, aor, fields);
}
