/* Emergency: marks the request (RFC 5031 service URN, the common numbers). Limits and full tables
 * honour the mark; the identity gate lets it
 * pass with or without proof of who calls. */
#include "call/gate.h"

/* urn:service:sos and what lies below it (sos.police), and nothing that only begins so. */
bool gate_service_sos(struct str uri)
{
    size_t n = strlen("urn:service:sos");
    return str_istarts(uri, STR("urn:service:sos")) &&
           (uri.n == n || uri.p[n] == '.' || uri.p[n] == ';' || uri.p[n] == '?');
}

bool gate_dials_emergency(const struct sip_msg *m)
{
    struct str uri = sip_text(m, m->uri);
    char dialled[8];
    size_t n;
    if (m->method != SIP_INVITE)
        return false;
    return gate_service_sos(uri) ||
           (dialled_of_uri(uri, dialled, sizeof dialled, &n) &&
            (str_eq(str_of(dialled, n), STR("112")) || str_eq(str_of(dialled, n), STR("911"))));
}

/* What people call for help where one of our sites is. */
static bool local_help(const struct policy *p, const struct sip_msg *m)
{
    char dialled[8];
    size_t n;
    if (m->method != SIP_INVITE || !p || !p->n_sites ||
        !dialled_of_uri(sip_text(m, m->uri), dialled, sizeof dialled, &n))
        return false;
    for (unsigned i = 0; i < p->n_sites; i++)
        if (number_emergency(p->sites[i].country, str_of(dialled, n)))
            return true;
    return false;
}

struct verdict gate_emergency(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)ask;
    r->emergency = r->emergency || gate_dials_emergency(r->m) || local_help(e->policy, r->m);
    return gate_pass();
}
