#include "identity/stir.h"

void stir_policy_default(struct stir_policy *p)
{
    memset(p, 0, sizeof *p);
}

enum err stir_policy_valid(const struct stir_policy *p)
{
    return !p->sign || p->verify || !p->verify ? OK : ERR_RANGE;
}
