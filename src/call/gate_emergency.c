/* Emergency: marks the request (RFC 5031 service URN, the common numbers). Limits and full tables
 * honour the mark; who may call unauthenticated is decided with the emergency service itself. */
#include "call/gate.h"

struct verdict gate_emergency(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)ask;
    struct str uri = sip_text(r->m, r->m->uri);
    char dialled[8];
    size_t n;
    if (r->m->method != SIP_INVITE)
        return gate_pass();
    if (str_istarts(uri, STR("urn:service:sos")))
        r->emergency = true;
    else if (dialled_of_uri(uri, dialled, sizeof dialled, &n))
        r->emergency =
            str_eq(str_of(dialled, n), STR("112")) || str_eq(str_of(dialled, n), STR("911"));
    return gate_pass();
}
