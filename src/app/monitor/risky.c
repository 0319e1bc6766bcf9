#include "app/monitor/risky.h"
#include "app/monitor/rights.h"
#include "base/out.h"
#include <stdarg.h>

struct pair { /* what is compared */
    const struct config *a, *b;
    struct risks *r;
    struct out o;
};

static void risk(struct pair *x, const char *fmt, ...) PRINTF(2, 3);
static void risk(struct pair *x, const char *fmt, ...)
{
    char text[192];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = MIN((size_t)MAX(n, 0), sizeof text - 1);
    x->r->n++;
    if (x->o.cap - x->o.n < len + 2) {
        x->r->untold++;
        return;
    }
    if (x->o.n)
        OUT_LIT(&x->o, "; ");
    out_put(&x->o, str_of(text, len));
}

static struct str old_text(const struct pair *x, struct span s)
{
    return policy_text(&x->a->policy, s);
}

static struct str new_text(const struct pair *x, struct span s)
{
    return policy_text(&x->b->policy, s);
}

/* -- caps -- */

static bool raised(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || b > a);
}

static void caps_judge(struct pair *x, const struct caps *a, const struct caps *b, const char *of,
                       struct str name)
{
    static const char *const SPANS[SPAN_COUNT] = {"an hour", "a day", "a month"};
#define RAISED(member, what)                                                                       \
    if (raised((int64_t)a->member, (int64_t)b->member))                                            \
    risk(x, "raises the cap of %s of %s" STR_FMT, what, of, STR_ARG(name))
    RAISED(calls, "calls at once");
    RAISED(attempts_min, "attempts a minute");
    RAISED(call_s, "the length of a call");
    RAISED(call_micro, "the price of a call");
#undef RAISED
    for (unsigned i = 0; i < SPAN_COUNT; i++) {
        if (raised(a->seconds[i], b->seconds[i]))
            risk(x, "raises the cap of minutes %s of %s" STR_FMT, SPANS[i], of, STR_ARG(name));
        if (raised(a->micro[i], b->micro[i]))
            risk(x, "raises the cap of money %s of %s" STR_FMT, SPANS[i], of, STR_ARG(name));
    }
}

/* -- roles -- */

static void class_bits(struct pair *x, uint16_t more, const char *how, struct str role)
{
    for (unsigned k = 0; k < CLASS_COUNT; k++) {
        struct str name = number_class_name((enum number_class)k);
        if (more >> k & 1)
            risk(x, "%s " STR_FMT " to role " STR_FMT, how, STR_ARG(name), STR_ARG(role));
    }
}

static bool has_country(const struct rights_role *r, uint16_t c)
{
    bool has = r->n_countries == RIGHTS_ALL;
    for (unsigned i = 0; !has && i < r->n_countries; i++)
        has = r->countries[i] == c;
    return has;
}

static void countries_judge(struct pair *x, const struct rights_role *a,
                            const struct rights_role *b, struct str role)
{
    if (b->n_countries == RIGHTS_ALL) {
        if (a->n_countries != RIGHTS_ALL)
            risk(x, "opens all countries to role " STR_FMT, STR_ARG(role));
        return;
    }
    for (unsigned i = 0; i < b->n_countries; i++)
        if (!has_country(a, b->countries[i]))
            risk(x, "opens the country %c%c to role " STR_FMT, b->countries[i] >> 8,
                 b->countries[i] & 0xff, STR_ARG(role));
}

static void role_judge(struct pair *x, const struct policy_role *a, const struct policy_role *b)
{
    struct str name = new_text(x, b->name);
    const struct rights_role *p = &a->rights, *q = &b->rights;
    if (b->outbound && !a->outbound)
        risk(x, "lets role " STR_FMT " call out", STR_ARG(name));
    class_bits(x, q->classes & (uint16_t)~p->classes, "opens", name);
    class_bits(x, q->off_classes & (uint16_t)~p->off_classes & q->classes & p->classes,
               "opens off hours", name);
    class_bits(x, p->step_up & (uint16_t)~q->step_up & q->classes, "opens without a code", name);
    countries_judge(x, p, q, name);
    if (p->step_up_country && !q->step_up_country)
        risk(x, "asks role " STR_FMT " for no code at a new country", STR_ARG(name));
    if (p->second_factor && !q->second_factor)
        risk(x, "takes the second factor from role " STR_FMT, STR_ARG(name));
    if (q->features & ~p->features)
        risk(x, "gives role " STR_FMT " more features", STR_ARG(name));
    if (raised(p->password_days, q->password_days))
        risk(x, "lets passwords of role " STR_FMT " live longer", STR_ARG(name));
    caps_judge(x, &a->caps, &b->caps, "an identity of role ", name);
    caps_judge(x, &a->off_caps, &b->off_caps, "an identity off hours of role ", name);
    caps_judge(x, &a->whole, &b->whole, "role ", name);
    caps_judge(x, &a->device, &b->device, "a device of role ", name);
}

/* A role that is new is compared with what the first one, "user", may. */
static void judge_roles(struct pair *x)
{
    const struct policy *p = &x->a->policy, *q = &x->b->policy;
    for (unsigned i = 0; i < q->n_roles; i++) {
        const struct policy_role *was = &p->roles[0];
        for (unsigned k = 0; k < p->n_roles; k++)
            if (str_eq(old_text(x, p->roles[k].name), new_text(x, q->roles[i].name)))
                was = &p->roles[k];
        role_judge(x, was, &q->roles[i]);
    }
}

/* One that is no longer there has no caps. */
static void judge_places(struct pair *x)
{
    static const struct caps none;
    const struct policy *p = &x->a->policy, *q = &x->b->policy;
    for (unsigned i = 0; i < p->n_places; i++) {
        const struct policy_place *was = &p->places[i];
        const struct caps *now = &none;
        char country[2] = {(char)(was->country >> 8), (char)was->country};
        struct str prefix = str_of(was->prefix, was->prefix_n);
        for (unsigned k = 0; k < q->n_places; k++)
            if (q->places[k].country == was->country &&
                str_eq(str_of(q->places[k].prefix, q->places[k].prefix_n), prefix))
                now = &q->places[k].caps;
        caps_judge(x, &was->caps, now, was->country ? "country " : "prefix +",
                   was->country ? str_of(country, sizeof country) : prefix);
    }
}

static void judge_caps(struct pair *x)
{
    const struct policy *p = &x->a->policy, *q = &x->b->policy;
    caps_judge(x, &p->system, &q->system, "the whole system", STR_NONE);
    judge_places(x);
    for (unsigned k = 0; k < CLASS_COUNT; k++)
        caps_judge(x, &p->class_caps[k], &q->class_caps[k], "class ",
                   number_class_name((enum number_class)k));
    for (unsigned i = 0; i < q->n_peers; i++)
        for (unsigned k = 0; k < p->n_peers; k++)
            if (str_eq(old_text(x, p->peers[k].name), new_text(x, q->peers[i].name)))
                caps_judge(x, &p->peers[k].caps, &q->peers[i].caps, "peer ",
                           new_text(x, q->peers[i].name));
}

/* -- what keeps strangers out -- */

static bool waived_before(const struct pair *x, const struct policy_waiver *w)
{
    const struct policy *p = &x->a->policy;
    struct str zone = new_text(x, x->b->policy.zones[w->zone].name);
    for (unsigned i = 0; i < p->n_waivers; i++) {
        const struct policy_waiver *v = &p->waivers[i];
        if (str_eq(old_text(x, p->zones[v->zone].name), zone) && (w->allow & ~v->allow) == 0 &&
            w->expires.us <= v->expires.us)
            return true;
    }
    return false;
}

static void judge_waivers(struct pair *x)
{
    const struct policy *q = &x->b->policy;
    for (unsigned i = 0; i < q->n_waivers; i++)
        if (!waived_before(x, &q->waivers[i]))
            risk(x, "waives protection of zone " STR_FMT " by " STR_FMT,
                 STR_ARG(new_text(x, q->zones[q->waivers[i].zone].name)),
                 STR_ARG(new_text(x, q->waivers[i].name)));
}

static void judge_guard(struct pair *x)
{
    const struct guard_policy *p = &x->a->policy.guard, *q = &x->b->policy.guard;
    char text[ADDR_TEXT_MAX + 8];
    if (q->dry_run && !p->dry_run)
        risk(x, "the shield only watches (guard.mode dry-run)");
    for (unsigned i = 0; i < q->n_exempt; i++) {
        bool had = false;
        for (unsigned k = 0; !had && k < p->n_exempt; k++)
            had = p->exempt[k].bits <= q->exempt[i].bits &&
                  prefix_has(&p->exempt[k], &q->exempt[i].a);
        struct out o = out_of(text, sizeof text - 1);
        addr_put_ip(&o, &q->exempt[i].a);
        text[o.n] = 0;
        if (!had)
            risk(x, "exempts %s/%u from bans", text, (unsigned)q->exempt[i].bits);
    }
    for (unsigned d = 0; d < DET_COUNT; d++)
        if (q->detectors[d].off && !p->detectors[d].off)
            risk(x, "switches the detector %s off", detector_name((enum detector)d));
}

static void judge_fraud(struct pair *x)
{
    const struct fraud_policy *p = &x->a->policy.fraud, *q = &x->b->policy.fraud;
    if (q->dry_run && !p->dry_run)
        risk(x, "fraud is only watched");
    for (unsigned s = 0; s < SIGN_COUNT; s++)
        if ((q->off_signs & ~p->off_signs) >> s & 1)
            risk(x, "the sign of fraud " STR_FMT " is not judged",
                 STR_ARG(fraud_sign_name((enum fraud_sign)s)));
    for (unsigned i = 0; i < FRAUD_LEVELS; i++)
        if (raised(p->level[i], q->level[i]))
            risk(x, "raises the score from which fraud is answered by " STR_FMT,
                 STR_ARG(fraud_act_name((enum fraud_act)i)));
}

static void judge_zones(struct pair *x)
{
    const struct policy *p = &x->a->policy, *q = &x->b->policy;
    for (unsigned i = 0; i < q->n_zones; i++) {
        const struct policy_zone *z = &q->zones[i];
        struct str name = new_text(x, z->name);
        for (unsigned k = 0; k < p->n_zones; k++) {
            const struct policy_zone *y = &p->zones[k];
            if (!str_eq(old_text(x, y->name), name))
                continue;
            if (y->authenticate && !z->authenticate)
                risk(x, "asks nobody in zone " STR_FMT " for a password", STR_ARG(name));
            if (z->client_cert < y->client_cert)
                risk(x, "asks less for certificates in zone " STR_FMT, STR_ARG(name));
            if (y->access_deny && !z->access_deny)
                risk(x, "lets in by default what zone " STR_FMT " kept out", STR_ARG(name));
        }
    }
    for (unsigned i = 0; i < q->n_peers; i++)
        for (unsigned k = 0; k < p->n_peers; k++)
            if (q->peers[i].trust_identity && !p->peers[k].trust_identity &&
                str_eq(old_text(x, p->peers[k].name), new_text(x, q->peers[i].name)))
                risk(x, "believes the callers that peer " STR_FMT " names",
                     STR_ARG(new_text(x, q->peers[i].name)));
}

/* -- who may ask -- */

static uint8_t role_before(const struct config_admins *a, const struct config_admin *w)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->at[i].id == w->id && a->at[i].group == w->group)
            return a->at[i].role;
    return !w->group && w->id == 0 ? ADMIN_ALL : ADMIN_NONE;
}

static void judge_admins(struct pair *x)
{
    const struct config_admins *p = &x->a->admins, *q = &x->b->admins;
    if (p->four_eyes && !q->four_eyes)
        risk(x, "ends the rule of four eyes");
    for (unsigned i = 0; i < q->n; i++) {
        uint8_t was = role_before(p, &q->at[i]), is = q->at[i].role;
        for (unsigned right = RIGHT_OPERATE; right <= RIGHT_ALL; right <<= 1) {
            if (!admin_may((enum admin_role)is, (uint8_t)right) ||
                admin_may((enum admin_role)was, (uint8_t)right))
                continue;
            risk(x, "makes %s %s (%u) %s", q->at[i].group ? "group" : "user", q->at[i].name,
                 q->at[i].id, admin_role_name((enum admin_role)is));
            break;
        }
    }
}

static void judge_notify(struct pair *x)
{
    const struct config_notify *p = &x->a->notify, *q = &x->b->notify;
    for (unsigned i = 0; i < p->n; i++) {
        uint32_t events = 0;
        for (unsigned k = 0; k < q->n; k++)
            if (strcmp(p->at[i].name, q->at[k].name) == 0)
                events = q->at[k].events;
        if (p->at[i].events & ~events)
            risk(x, "tells %s of less", p->at[i].name);
    }
}

static void judge_consult(struct pair *x)
{
    const struct policy_consult *p = &x->a->policy.consult, *q = &x->b->policy.consult;
    if (p->on && !q->on)
        risk(x, "asks nobody about calls");
    else if (p->on && q->fails_open && !p->fails_open)
        risk(x, "lets calls go that the service asked about them says nothing of");
}

void risks_find(const struct config *old, const struct config *new, struct risks *ret_r)
{
    static void (*const JUDGES[])(struct pair *) = {judge_admins,  judge_roles,  judge_caps,
                                                    judge_waivers, judge_guard,  judge_fraud,
                                                    judge_zones,   judge_notify, judge_consult};
    *ret_r = (struct risks){0};
    struct pair x = {old, new, ret_r, out_of(ret_r->text, sizeof ret_r->text - 1)};
    for (unsigned i = 0; i < ARRAY_LEN(JUDGES); i++)
        JUDGES[i](&x);
    ret_r->text[x.o.n] = 0;
}
