/* Bearer tokens (RFC 8898) and HMAC credentials of web clients, beside digest. */
#include "call/gate.h"

bool gate_bearer(const struct gate_env *e, struct request *r, struct ask *ask,
                 struct verdict *ret_v)
{
    (void)e;
    (void)r;
    (void)ask;
    (void)ret_v;
    return false;
}

void gate_bearer_put(const struct gate_env *e, const struct request *r, struct out *o)
{
    (void)e;
    (void)r;
    (void)o;
}
