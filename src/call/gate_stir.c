/* Identity of callers from trunks (RFC 8224). */
#include "call/gate.h"

struct verdict gate_stir(const struct gate_env *e, struct request *r, struct ask *ask)
{
    (void)e;
    (void)r;
    (void)ask;
    return gate_pass();
}

struct verdict gate_stir_answer(const struct gate_env *e, struct request *r, const struct answer *a)
{
    (void)e;
    (void)r;
    (void)a;
    return gate_pass();
}
