/* A leg B answers 3xx and its zone lets redirections be followed: each Contact is looked up as if
 * the one who redirects had dialled it, with his rights; best q first, one after the other. The
 * whole call follows at most REDIRECTS_MAX of them, and none twice. */
#include "call/core_int.h"

struct contact {
    struct str uri;
    unsigned q;
};

/* "0.7" in thousandths; what is no number counts as 1 (RFC 3261 20.10). */
static unsigned thousandths(struct str q)
{
    unsigned v = 0, unit = 1000;
    for (size_t i = 0; i < q.n; i++) {
        if (i == 1 && q.p[i] == '.')
            continue;
        if (!ascii_digit(q.p[i]))
            return 1000;
        v += unit * (unsigned)(q.p[i] - '0');
        unit /= 10;
    }
    return q.n && v <= 1000 ? v : 1000;
}

static size_t contacts(const struct sip_msg *m, struct contact ret_c[REDIRECTS_MAX])
{
    struct sip_list it = {0};
    struct str v, q;
    size_t n = 0;
    for (unsigned seen = 0; seen < SIP_CONTACTS_MAX && sip_list_next(m, HDR_CONTACT, &it, &v);
         seen++) {
        struct sip_nameaddr na;
        if (sip_nameaddr_parse(v, &na) != OK || na.star)
            continue;
        struct contact c = {na.uri, sip_param(na.params, STR("q"), &q) ? thousandths(q) : 1000};
        size_t at = n < REDIRECTS_MAX ? n++ : REDIRECTS_MAX - 1;
        if (at == REDIRECTS_MAX - 1 && n == REDIRECTS_MAX && ret_c[at].uri.n && ret_c[at].q >= c.q)
            continue;
        for (; at && ret_c[at - 1].q < c.q; at--)
            ret_c[at] = ret_c[at - 1];
        ret_c[at] = c;
    }
    return n;
}

/* The URI as b's peer could have dialled it: what it calls its own domain is ours. */
static bool as_dialled(const struct leg *b, struct str uri, struct out *o)
{
    const struct policy *p = b->call->core->policy;
    struct sip_uri u;
    if (sip_uri_parse(uri, &u) != OK || u.headers.n)
        return false;
    bool own = false;
    if (b->peer != POLICY_NONE && (u.scheme == URI_SIP || u.scheme == URI_SIPS)) {
        struct str realm = policy_text(p, p->peers[b->peer].realm_host);
        struct addr at = b->flow.peer, said = u.ip;
        at.port = said.port = 0;
        own = (realm.n && str_ieq(u.host, realm)) || (said.family && addr_eq(&at, &said));
    }
    if (!own) {
        out_put(o, uri);
        return !o->full;
    }
    OUT_LIT(o, "sip:");
    out_put(o, u.user);
    out_ch(o, '@');
    out_put(o, policy_text(p, p->domains[0]));
    return !o->full;
}

static bool known(const struct redirects *r, struct str dialled, uint8_t route)
{
    for (uint8_t i = 0; i < r->n; i++)
        if (r->to[i].route == route && str_eq(r->to[i].dialled, dialled))
            return true;
    return false;
}

static enum reason allow(struct leg *b, struct redirects *r, struct str contact)
{
    struct call *k = b->call;
    struct core *c = k->core;
    char uri[400], dialled[DIALLED_MAX];
    size_t n;
    struct out u = out_of(uri, sizeof uri), o = out_of(c->fields, sizeof c->fields);
    struct sip_msg m;
    struct sip_error bad;
    struct request q;
    if (r->n > REDIRECTS_MAX)
        return REASON_redirect_loop;
    if (!as_dialled(b, contact, &u))
        return REASON_redirect_refused;
    transfer_dial(k->a, out_str(&u), 70, STR_NONE, &o);
    if (o.full || sip_parse(out_str(&o), true, &m, &bad) != OK)
        return REASON_redirect_refused;
    enum reason why = transfer_allowed(b, &m, &q);
    if (why == REASON_right_country_first)
        return why; /* the one refusal that an administrator's word ends */
    if (why != REASON_NONE || !q.route || !dialled_of_uri(out_str(&u), dialled, sizeof dialled, &n))
        return REASON_redirect_refused;
    if (!transfer_outward(b, &q, FEATURE_FORWARD_OUT))
        return REASON_right_forward;
    uint8_t route = (uint8_t)(q.route - c->policy->routes);
    if (known(r, str_of(dialled, n), route))
        return REASON_redirect_loop;
    struct str by = transfer_name(b);
    r->to[r->n].route = route;
    r->to[r->n].uri = arena_str(&k->text, out_str(&u));
    r->to[r->n].dialled = arena_str(&k->text, str_of(dialled, n));
    r->to[r->n].by = arena_str(&k->text, by);
    if (!r->to[r->n].uri.p || !r->to[r->n].dialled.p || !r->to[r->n].by.p)
        return REASON_capacity_memory;
    r->n++;
    return REASON_NONE;
}

/* The list with what A dialled as its first, which was tried. */
static struct redirects *list(struct call *k)
{
    char dialled[DIALLED_MAX];
    size_t n;
    struct redirects *r = k->redirects;
    if (r && r->policies == k->core->policies)
        return r;
    const struct sip_msg *m = k->a->held->m;
    if (!r)
        r = arena_take(&k->text, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct redirects){.policies = k->core->policies, .n = 1, .next = 1};
    r->to[0].route = k->route;
    if (dialled_of_uri(sip_text(m, m->uri), dialled, sizeof dialled, &n))
        r->to[0].dialled = arena_str(&k->text, str_of(dialled, n));
    return k->redirects = r;
}

static void record(struct call *k, struct str by, struct str uri)
{
    struct fact *f = fact_begin(k->core, FACT_TRANSFER, REASON_NONE, 302);
    f->u.transfer.session = f->u.transfer.to_session = k->session;
    TEXT_SET(f->u.transfer.kind, STR("redirect"));
    TEXT_SET(f->u.transfer.by, by);
    TEXT_SET(f->u.transfer.who, k->a->d.remote_uri);
    TEXT_SET(f->u.transfer.to, uri);
    fact_end(k->core);
}

bool redirect_next(struct call *k)
{
    struct core *c = k->core;
    struct redirects *r = k->redirects;
    while (r && r->policies == c->policies && r->next < r->n && k->n_forks < FORKS_MAX) {
        unsigned i = r->next++, before = k->n_forks;
        k->payer = r->to[i].by;
        money_dialled(k, &c->policy->routes[r->to[i].route], r->to[i].dialled);
        enum reason why =
            fork_to(k, &c->policy->routes[r->to[i].route], r->to[i].uri, r->to[i].dialled);
        if (k->n_forks > before || consult_waits(k)) {
            record(k, r->to[i].by, r->to[i].uri);
            money_forwarded(k, r->to[i].by);
            return true;
        }
        core_count(c, why);
    }
    return false;
}

enum reason redirect_take(struct leg *b, const struct sip_msg *m)
{
    struct call *k = b->call;
    struct core *c = k->core;
    struct contact to[REDIRECTS_MAX] = {0};
    if (b->zone == POLICY_NONE || !c->policy->zones[b->zone].redirect)
        return REASON_peer_redirect;
    enum reason why = REASON_redirect_refused;
    size_t n = contacts(m, to);
    struct redirects *r = list(k);
    for (size_t i = 0; r && i < n; i++) {
        enum reason one = allow(b, r, to[i].uri);
        why = one != REASON_NONE ? one : why;
        core_count(c, one);
    }
    return redirect_next(k) ? REASON_NONE : why;
}
