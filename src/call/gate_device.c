/* Devices of accounts under a second factor: one that is not approved may register, call for help
 * and approve itself, nothing else. One that was revoked may nothing but call for help, whatever
 * its account. */
#include "call/gate.h"
#include "identity/device.h"

#define BINDINGS_MAX 16u

bool device_under(const struct gate_env *e, const struct directory_user *u)
{
    const struct policy *p = e->policy;
    if (u->flags & DIRECTORY_SECOND_FACTOR)
        return true;
    for (uint8_t i = 0; i < p->n_roles; i++)
        if (str_eq(policy_text(p, p->roles[i].name), str_c(u->role_name)))
            return p->roles[i].rights.second_factor;
    return false;
}

static bool same_flow(const struct flow *a, const struct flow *b)
{
    if (a->proto != b->proto || a->listener != b->listener)
        return false;
    if (flow_reliable(a))
        return a->engine == b->engine && handle_is(a->conn) && handle_eq(a->conn, b->conn);
    return addr_eq(&a->peer, &b->peer);
}

uint64_t device_of_flow(const struct gate_env *e, struct str aor, const struct flow *f,
                        struct wall now)
{
    struct binding b[BINDINGS_MAX];
    if (!e->shards)
        return 0;
    size_t n = location_all(e->shards, e->n_shards, &e->hash_key, aor, now, b, BINDINGS_MAX);
    for (size_t i = 0; i < n; i++)
        if (b[i].device && same_flow(&b[i].flow, f))
            return b[i].device;
    return 0;
}

static struct str instance_of(const struct sip_msg *m)
{
    struct sip_list it = {0};
    struct str element, instance;
    struct sip_nameaddr na;
    if (sip_list_next(m, HDR_CONTACT, &it, &element) && sip_nameaddr_parse(element, &na) == OK &&
        sip_param(na.params, STR("+sip.instance"), &instance))
        return instance;
    return STR_NONE;
}

/* What registered over this flow is what calls over it, though a call's Contact seldom says who. */
static uint64_t which(const struct gate_env *e, struct request *r)
{
    enum device_by by;
    struct str cert =
        r->certified ? str_of((const char *)r->fingerprint, sizeof r->fingerprint) : STR_NONE;
    struct str instance = instance_of(r->m);
    uint64_t id = 0;
    if (!cert.n && !instance.n && r->m->method != SIP_REGISTER)
        id = device_of_flow(e, str_of(r->user, r->user_n), &r->flow, r->now.wall);
    if (id)
        return id;
    id = device_id(cert, instance, &r->flow.peer, sip_get(r->m, HDR_USER_AGENT), &by);
    r->device_by = (uint8_t)by;
    return id;
}

static bool dials_service(const struct gate_env *e, const struct request *r)
{
    char dialled[64];
    size_t n;
    struct str number = policy_text(e->policy, e->policy->service_number);
    return number.n && r->m->method == SIP_INVITE && !r->in_dialog &&
           dialled_of_uri(sip_text(r->m, r->m->uri), dialled, sizeof dialled, &n) &&
           str_eq(str_of(dialled, n), number);
}

struct verdict gate_device(const struct gate_env *e, struct request *r)
{
    r->device_id = which(e, r);
    r->device_state = directory_device(e->directory, r->known, r->device_id);
    if (r->emergency || r->in_dialog)
        return gate_pass();
    if (r->device_state == DEVICE_REVOKED)
        return gate_refuse(REASON_right_revoked);
    if (dials_service(e, r))
        return gate_step_up(REASON_right_step_up);
    if (r->device_state == DEVICE_APPROVED || !device_under(e, r->known))
        return gate_pass();
    r->quarantined = true;
    enum sip_method m = r->m->method;
    return m == SIP_REGISTER || m == SIP_OPTIONS ? gate_pass()
                                                 : gate_refuse(REASON_right_quarantine);
}

bool device_reached(const struct gate_env *e, const struct binding *b)
{
    struct str aor = str_of(b->aor, b->aor_len), user, host = str_cut(aor, '@', &user);
    const struct directory_user *u = directory_find(e->directory, user, host);
    if (!u)
        return true;
    uint8_t state = b->device                        ? directory_device(e->directory, u, b->device)
                    : b->flags & BINDING_QUARANTINED ? 0
                                                     : DEVICE_APPROVED;
    return state == DEVICE_APPROVED || (state == 0 && !device_under(e, u));
}
