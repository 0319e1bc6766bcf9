/* What the shield knows of a request: whose it is, and how the ban board wants that treated.
 *
 * A call for help passes bans, locks and access lists: a ban judges behaviour, the country of an
 * address is a guess, and whoever calls need not even prove himself (gate_identity.c). What holds
 * for it is what the network is made of: listeners, zones, encryption, certificates. The same goes
 * for what belongs to a call that is up: of a banned source it can still be ended. */
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
        return device_hash(siphash(&e->hash_key, instance), true);
    }
    return device_hash(addr_hash(&e->hash_key, &a) ^ r->agent, false);
}

static bool decoy(const struct gate_env *e, struct str user)
{
    const struct guard_policy *p = &e->policy->guard;
    for (uint8_t i = 0; user.n && i < p->n_decoys; i++)
        if (str_ieq(user, policy_text(e->policy, p->decoys[i])))
            return true;
    return false;
}

static void who_set(struct request *r, struct str who)
{
    r->who_n = (uint8_t)MIN(who.n, sizeof r->who);
    memcpy(r->who, who.p, r->who_n);
}

/* A user has one name here, whichever of our domains he is called by. */
void gate_names(const struct gate_env *e, struct request *r, struct str user)
{
    char text[LOCATION_AOR_MAX];
    struct str realm = policy_text(e->policy, e->policy->domains[0]);
    struct str known = str_of(r->who, r->who_n);
    if (known.n == user.n + 1 + realm.n && known.n < sizeof r->who && str_starts(known, user) &&
        known.p[user.n] == '@' && str_eq(str_skip(known, user.n + 1), realm))
        return; /* as From has it */
    struct out o = out_of(text, sizeof text);
    out_put(&o, user);
    out_ch(&o, '@');
    out_put(&o, realm);
    r->aor_hash = o.full ? siphash(&e->hash_key, user) : location_hash(&e->hash_key, out_str(&o));
    r->missing =
        r->peer == POLICY_NONE && (!e->directory || !directory_find(e->directory, user, realm));
    r->decoy = decoy(e, user);
    who_set(r, o.full ? user : out_str(&o));
}

static void claimed(const struct gate_env *e, struct request *r)
{
    char text[LOCATION_AOR_MAX];
    size_t n;
    struct str uri = gate_claimed(r->m), user;
    if (!uri.n)
        return;
    if (r->peer == POLICY_NONE && aor_of_uri(e->policy, uri, text, sizeof text, &n)) {
        str_cut(str_of(text, n), '@', &user);
        gate_names(e, r, user);
        return;
    }
    r->aor_hash = location_hash(&e->hash_key, uri);
    r->missing = r->peer == POLICY_NONE;
    who_set(r, uri);
}

void gate_keys(const struct gate_env *e, struct request *r)
{
    char text[LOCATION_AOR_MAX];
    size_t n;
    if (e->geo)
        r->country = geo_country(e->geo, &r->flow.peer);
    r->emergency = r->emergency || gate_dials_emergency(r->m);
    if (r->in_dialog)
        return;
    struct str agent = sip_get(r->m, HDR_USER_AGENT);
    if (agent.n)
        r->agent = siphash(&e->hash_key, agent);
    claimed(e, r);
    if (r->m->method != SIP_REGISTER &&
        dialled_of_uri(sip_text(r->m, r->m->uri), text, sizeof text, &n)) {
        r->number = siphash(&e->hash_key, str_of(text, n));
        r->decoy = r->decoy || decoy(e, str_of(text, n));
        if (r->peer != POLICY_NONE) /* whoever calls from there, it is the number that suffers */
            who_set(r, str_of(text, n));
    }
    if (r->peer == POLICY_NONE)
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
    if (v->treat == TREAT_WEIGH) {
        r->weight = v->weight;
        return gate_pass();
    }
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

/* In a call that is up: only who must prove himself anew is treated otherwise. */
static struct verdict within(const struct gate_env *e, struct request *r, const struct ban_view *v)
{
    if (v->treat == TREAT_CHALLENGE) {
        hit(e, v);
        r->dialog_authenticated = false;
    }
    return gate_pass();
}

struct verdict gate_ban_source(const struct gate_env *e, struct request *r)
{
    const struct policy_zone *z = &e->policy->zones[r->zone];
    bool up = r->in_dialog && r->dialog_authenticated;
    struct ban_view v;
    if (r->peer != POLICY_NONE || r->emergency)
        return gate_pass();
    if (!up && (z->n_access || z->access_deny) &&
        !access_allows(z->access, z->n_access, !z->access_deny, &r->flow.peer, r->country,
                       r->flow.proto))
        return r->flow.proto == PROTO_UDP ? gate_drop(REASON_shield_access)
                                          : gate_refuse(REASON_shield_access);
    if (!e->bans_cap || !ban_of_source(e->bans, e->bans_cap, &r->flow.peer, r->now.wall, &v))
        return gate_pass();
    return up ? within(e, r, &v) : treated(e, r, &v, REASON_shield_banned, REASON_shield_refused);
}

struct verdict gate_ban_party(const struct gate_env *e, struct request *r)
{
    bool up = r->in_dialog && r->dialog_authenticated;
    struct ban_view v;
    if (!e->bans_cap || r->emergency || (up && !r->aor_hash) ||
        !ban_of_party(e->bans, e->bans_cap, &r->flow.peer, r->aor_hash, r->device, r->number,
                      r->now.wall, &v))
        return gate_pass();
    return up ? within(e, r, &v) : treated(e, r, &v, REASON_shield_party, REASON_shield_party);
}
