/* Which of a rule's peers is tried first: priority, price, quality, health; and after which answers
 * the next one is. */
#include "call/core_int.h"

uint8_t choice_peer(const struct call *k, unsigned nth)
{
    return k->core->policy->routes[k->route].peers[nth];
}

bool choice_goes_on(const struct leg *b, uint16_t code)
{
    (void)b;
    return code == 503;
}
