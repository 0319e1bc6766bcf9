/* The number that callees outside see: one that the caller owns or was granted, or none at all. */
#include "call/core_int.h"
#include "call/hide.h"

/* What the caller asks to be shown (RFC 3325 9.2): empty, nothing in particular. */
static struct str asked(const struct sip_msg *m, char *buf, size_t cap)
{
    struct sip_list it = {0};
    struct sip_nameaddr na;
    struct str one;
    size_t n;
    if (!sip_list_next(m, HDR_P_PREFERRED_IDENTITY, &it, &one) ||
        sip_nameaddr_parse(one, &na) != OK || !dialled_of_uri(na.uri, buf, cap, &n))
        return STR_NONE;
    return str_of(buf, n);
}

/* "+4930123" of a number as the site writes it; empty: it is none. */
static struct str international(const struct core *c, const struct rights_site *site, struct str s,
                                struct number *x)
{
    struct dial_plan plan = policy_plan(c->policy, site);
    if (!s.n || number_of(&plan, s, x) != OK)
        return STR_NONE;
    return str_of(x->e164, x->n);
}

static bool owns(const struct directory *d, const struct directory_user *u, struct str e164)
{
    return u && e164.n && directory_number(d, e164) == u;
}

static enum reason of_user(struct call *k, const struct sip_msg *m, struct str *ret_shown)
{
    struct core *c = k->core;
    const struct directory *d = c->env.directory;
    struct str name, host = str_cut(k->user, '@', &name);
    const struct directory_user *u = directory_find(d, name, host);
    char buf[64];
    struct number x;
    struct str want = asked(m, buf, sizeof buf), first = STR_NONE;
    if (u)
        first = directory_number_of(d, u, 0);
    if (!want.n || str_eq(want, name)) {
        *ret_shown = arena_str(&k->text, first);
        return first.n && !ret_shown->p ? REASON_capacity_memory : REASON_NONE;
    }
    struct str e164 =
        international(c, policy_site(c->policy, u ? str_c(u->site_name) : STR_NONE), want, &x);
    if (owns(d, u, e164)) {
        *ret_shown = arena_str(&k->text, e164);
        return ret_shown->p ? REASON_NONE : REASON_capacity_memory;
    }
    core_count(c, REASON_right_caller);
    if (!first.n || policy_role_named(c->policy, str_c(u->role_name))->strict_caller)
        return REASON_right_caller;
    *ret_shown = k->shown = arena_str(&k->text, first); /* told in the record */
    return first.n && !k->shown.p ? REASON_capacity_memory : REASON_NONE;
}

/* Of a PBX: the numbers that it was granted, if any are named; else what it asserts is believed. */
static enum reason of_peer(struct call *k, const struct sip_msg *m, struct str *ret_shown)
{
    struct core *c = k->core;
    const struct policy_peer *p = &c->policy->peers[k->a->peer];
    struct sip_list it = {0};
    struct sip_nameaddr na;
    struct str one, uri = sip_text(m, m->from_uri), first = STR_NONE;
    char buf[64];
    size_t n = 0;
    struct number x;
    if (!p->n_callers)
        return REASON_NONE;
    if (sip_list_next(m, HDR_P_ASSERTED_IDENTITY, &it, &one) && sip_nameaddr_parse(one, &na) == OK)
        uri = na.uri;
    struct str e164 =
        dialled_of_uri(uri, buf, sizeof buf, &n)
            ? international(c, policy_site(c->policy, policy_text(c->policy, p->site)),
                            str_of(buf, n), &x)
            : STR_NONE;
    for (unsigned i = 0; i < p->n_callers; i++) {
        struct str grant = policy_text(c->policy, p->callers[i]);
        if (e164.n && policy_pattern(grant, e164)) {
            *ret_shown = arena_str(&k->text, e164);
            return ret_shown->p ? REASON_NONE : REASON_capacity_memory;
        }
        if (!first.n && str_find(grant, '.') == grant.n && str_find(grant, 'X') == grant.n)
            first = grant;
    }
    core_count(c, REASON_right_caller);
    if (!first.n)
        return REASON_right_caller;
    k->shown = first;
    *ret_shown = first;
    return REASON_NONE;
}

enum reason caller_shown(const struct leg *b, const struct sip_msg *m, struct str *ret_shown)
{
    struct call *k = b->call;
    const struct policy *p = k->core->policy;
    *ret_shown = STR_NONE;
    if (b->peer == POLICY_NONE || !p->peers[b->peer].trunk)
        return REASON_NONE;
    if (k->emergency && !k->user.n)
        return REASON_NONE;
    enum reason why = REASON_NONE;
    if (k->user.n)
        why = of_user(k, m, ret_shown);
    else if (k->a->peer != POLICY_NONE)
        why = of_peer(k, m, ret_shown);
    return k->emergency ? REASON_NONE : why;
}
