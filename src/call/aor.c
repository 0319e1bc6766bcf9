#include "call/gate.h"

bool aor_of_uri(const struct policy *p, struct str uri_text, char *ret_aor, size_t cap,
                size_t *ret_n)
{
    struct sip_uri u;
    if (sip_uri_parse(uri_text, &u) != OK)
        return false;
    struct str host = u.host, domain;
    if (u.scheme == URI_TEL || u.ip.family != ADDR_NONE)
        host = policy_text(p, p->domains[0]);
    /* Our own Contact at a PBX says so which domain it stands for (upstream_put.c). */
    if (u.ip.family != ADDR_NONE && sip_param(u.params, STR("domain"), &domain) && domain.n &&
        policy_domain(p, domain))
        host = domain;
    if (u.scheme != URI_TEL &&
        ((u.scheme != URI_SIP && u.scheme != URI_SIPS) || !policy_domain(p, u.host)))
        return false;
    struct out o = out_of(ret_aor, cap);
    struct str user;
    str_cut(u.user, ';', &user);
    sip_unescape(&o, user);
    out_ch(&o, '@');
    for (size_t i = 0; i < host.n; i++)
        out_ch(&o, ascii_lower(host.p[i]));
    *ret_n = o.n;
    return !o.full && user.n;
}

bool dialled_of_uri(struct str uri_text, char *ret, size_t cap, size_t *ret_n)
{
    struct sip_uri u;
    struct out o = out_of(ret, cap);
    if (sip_uri_parse(uri_text, &u) != OK || u.scheme == URI_OTHER)
        return false;
    struct str user;
    str_cut(u.user, ';', &user);
    if (u.scheme == URI_URN) {
        if (gate_service_sos(uri_text))
            OUT_LIT(&o, "112");
    } else if (u.scheme == URI_TEL) {
        for (size_t i = 0; i < user.n; i++)
            if (!memchr("-.()", user.p[i], 4))
                out_ch(&o, user.p[i]);
    } else {
        sip_unescape(&o, user);
    }
    *ret_n = o.n;
    return !o.full && o.n;
}

/* As dispatch.c sends a REGISTER to its engine. */
static struct location_view home(const struct location_view *shards, size_t n_shards,
                                 const struct sipkey *k, struct str aor)
{
    return shards[siphash(k, aor) % n_shards];
}

size_t location_all(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                    struct str aor, struct wall now, struct binding *ret_b, size_t cap)
{
    struct location_view v = home(shards, n_shards, k, aor);
    uint64_t hash = location_hash(k, aor);
    size_t n = 0;
    for (unsigned tries = 0; tries < 4; tries++) {
        uint32_t epoch = location_epoch(v), it = 0;
        for (n = 0; n < cap && location_next(v, hash, aor, now, &it, &ret_b[n]);)
            n++;
        if (epoch == location_epoch(v))
            break;
    }
    for (size_t i = 1; i < n; i++) /* few: insertion sort, stable, by falling q */
        for (size_t j = i; j && ret_b[j].q > ret_b[j - 1].q; j--) {
            struct binding t = ret_b[j];
            ret_b[j] = ret_b[j - 1];
            ret_b[j - 1] = t;
        }
    return n;
}

/* All bindings of an AOR lie in one shard, whose versions grow with each refresh. */
static bool newer(const struct binding *a, const struct binding *b)
{
    return (int32_t)(a->version - b->version) > 0;
}

/* Of two flows of a phone, which one to call by: the connection of a restored one is gone. */
static bool better(const struct binding *a, const struct binding *b)
{
    bool a_gone = (a->flags & BINDING_RESTORED) && flow_reliable(&a->flow),
         b_gone = (b->flags & BINDING_RESTORED) && flow_reliable(&b->flow);
    return a_gone == b_gone ? newer(a, b) : b_gone;
}

static bool same_phone(const struct binding *a, const struct binding *b)
{
    return a->instance && BINDING_DEVICE(a) == BINDING_DEVICE(b);
}

size_t location_lookup(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                       struct str aor, struct wall now, struct binding *ret_b, size_t cap)
{
    size_t n = location_all(shards, n_shards, k, aor, now, ret_b, cap), kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < kept && !same_phone(&ret_b[at], &ret_b[i]))
            at++;
        if (at == kept || better(&ret_b[i], &ret_b[at]))
            ret_b[at] = ret_b[i];
        kept += at == kept;
    }
    return kept;
}

bool location_other(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                    struct str aor, struct wall now, const struct flow *tried, struct str contact,
                    struct binding *ret_b)
{
    struct binding all[LOCATION_FLOWS];
    const struct binding *was = NULL, *next = NULL;
    size_t n = location_all(shards, n_shards, k, aor, now, all, ARRAY_LEN(all));
    for (size_t i = 0; i < n; i++)
        if (all[i].instance && str_eq(str_of(all[i].contact, all[i].contact_len), contact) &&
            all[i].flow.proto == tried->proto && addr_eq(&all[i].flow.peer, &tried->peer) &&
            handle_eq(all[i].flow.conn, tried->conn))
            was = &all[i];
    for (size_t i = 0; was && i < n; i++)
        if (same_phone(&all[i], was) && newer(was, &all[i]) && (!next || newer(&all[i], next)))
            next = &all[i];
    if (next)
        *ret_b = *next;
    return next != NULL;
}

uint32_t location_moment(const struct location_view *shards, size_t n_shards,
                         const struct sipkey *k, struct str aor)
{
    return location_version(home(shards, n_shards, k, aor));
}

void location_follow(const struct location_view *shards, size_t n_shards, const struct sipkey *k,
                     struct str aor, struct wall now, struct str contact, uint32_t moment,
                     struct flow *f)
{
    struct binding all[LOCATION_FLOWS];
    const struct binding *to = NULL;
    size_t n = location_all(shards, n_shards, k, aor, now, all, ARRAY_LEN(all));
    for (size_t i = 0; i < n; i++) {
        const struct binding *b = &all[i];
        if (b->flow.proto != f->proto || (b->flags & BINDING_RESTORED) ||
            !str_eq(str_of(b->contact, b->contact_len), contact))
            continue;
        if (handle_eq(b->flow.conn, f->conn) && addr_eq(&b->flow.peer, &f->peer))
            return;
        if ((int32_t)(b->version - moment) > 0 && (!to || newer(b, to)))
            to = b;
    }
    if (to)
        *f = to->flow;
}
