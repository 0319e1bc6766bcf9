#include "crypto/secret.h"

enum err secret_set(struct secret *x, struct str s)
{
    if (s.n > SECRET_MAX)
        return ERR_LIMIT;
    secret_wipe(x);
    if (s.n > 0)
        memcpy(x->b, s.p, s.n);
    x->n = (uint8_t)s.n;
    return OK;
}

bool secret_is(const struct secret *x, struct str s)
{
    return x->n == s.n && mem_equal_ct(x->b, s.p, s.n);
}

void secret_wipe(struct secret *x)
{
    mem_wipe(x, sizeof(*x));
}
