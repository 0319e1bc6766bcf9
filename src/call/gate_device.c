/* Devices of accounts under a second factor: one that is not approved may register, call for help
 * and approve itself, nothing else; one that was revoked may nothing but call for help. */
#include "call/gate.h"

struct verdict gate_device(const struct gate_env *e, struct request *r)
{
    (void)e;
    (void)r;
    return gate_pass();
}
