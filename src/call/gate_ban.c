/* What the shield knows of a request: whose it is, and how the ban board wants that treated. An
 * emergency call passes every ban; so does what belongs to a call that is known. */
#include "call/gate.h"

uint16_t gate_mark(const struct gate_env *e, const struct addr *source)
{
    struct addr a = *source;
    a.port = 0; /* NAT may move it between the challenge and its answer */
    return (uint16_t)addr_hash(&e->nonce_key, &a);
}

static uint64_t device_of(const struct gate_env *e, const struct request *r)
{
    struct str contact = sip_get(r->m, HDR_CONTACT), instance;
    struct addr a = guard_source(&r->flow.peer);
    size_t at = str_search(contact, STR("+sip.instance=\""));
    if (at < contact.n) {
        str_cut(str_skip(contact, at + strlen("+sip.instance=\"")), '"', &instance);
        return siphash(&e->hash_key, instance);
    }
    return addr_hash(&e->hash_key, &a) ^ r->agent;
}

void gate_keys(const struct gate_env *e, struct request *r)
{
    char text[LOCATION_AOR_MAX];
    size_t n;
    struct str agent = sip_get(r->m, HDR_USER_AGENT), claimed = gate_claimed(r->m);
    if (e->geo)
        r->country = geo_country(e->geo, &r->flow.peer);
    r->emergency = r->emergency || gate_dials_emergency(r->m);
    if (r->in_dialog)
        return;
    if (agent.n)
        r->agent = siphash(&e->hash_key, agent);
    if (aor_of_uri(e->policy, claimed, text, sizeof text, &n))
        r->aor_hash = location_hash(&e->hash_key, str_of(text, n));
    else if (claimed.n)
        r->aor_hash = siphash(&e->hash_key, claimed);
    if (r->m->method != SIP_REGISTER &&
        dialled_of_uri(sip_text(r->m, r->m->uri), text, sizeof text, &n))
        r->number = siphash(&e->hash_key, str_of(text, n));
    r->device = device_of(e, r);
}

static void hit(const struct gate_env *e, const struct ban_view *v)
{
    if (e->ban_hits && v->slot < e->bans_cap)
        e->ban_hits[v->slot]++;
}

static struct verdict treated(const struct gate_env *e, struct request *r, const struct ban_view *v,
                              enum reason dropped, enum reason refused)
{
    if (v->treat == TREAT_WEIGH)
        return gate_pass();
    hit(e, v);
    r->treat = MAX(r->treat, v->treat);
    switch ((enum treat)v->treat) {
    case TREAT_DROP:
    case TREAT_BAN:
    case TREAT_KICK:
        return gate_drop(dropped);
    case TREAT_REFUSE:
        return gate_refuse(refused);
    case TREAT_LOCK:
        r->locked = true;
        break;
    case TREAT_CHALLENGE:
        r->dialog_authenticated = false;
        break;
    case TREAT_LOG:
    case TREAT_WEIGH:
    case TREAT_TARPIT:
    case TREAT_COUNT:
        break;
    }
    return gate_pass();
}

static bool spared(const struct request *r)
{
    return r->peer != POLICY_NONE || r->emergency || (r->in_dialog && r->dialog_authenticated);
}

struct verdict gate_ban_source(const struct gate_env *e, struct request *r)
{
    const struct policy_zone *z = &e->policy->zones[r->zone];
    struct ban_view v;
    if (spared(r))
        return gate_pass();
    if ((z->n_access || z->access_deny) && !access_allows(z->access, z->n_access, !z->access_deny,
                                                          &r->flow.peer, r->country, r->flow.proto))
        return r->flow.proto == PROTO_UDP ? gate_drop(REASON_shield_access)
                                          : gate_refuse(REASON_shield_access);
    if (!e->bans_cap || !ban_of_source(e->bans, e->bans_cap, &r->flow.peer, r->now.wall, &v))
        return gate_pass();
    return treated(e, r, &v, REASON_shield_banned, REASON_shield_refused);
}

struct verdict gate_ban_party(const struct gate_env *e, struct request *r)
{
    struct ban_view v;
    if (!e->bans_cap || r->emergency || (r->in_dialog && r->dialog_authenticated) ||
        !ban_of_party(e->bans, e->bans_cap, &r->flow.peer, r->aor_hash, r->device, r->number,
                      r->now.wall, &v))
        return gate_pass();
    return treated(e, r, &v, REASON_shield_party, REASON_shield_party);
}
