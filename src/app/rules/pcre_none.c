/* In place of pcre.c where the library is not. */
#include "app/rules/pcre.h"

bool rules_pcre_there(void)
{
    return false;
}
struct rules_pcre *rules_pcre_new(struct str expression, uint32_t flags, char *reterr_why,
                                  size_t cap, size_t *reterr_at)
{
    (void)expression, (void)flags;
    (void)snprintf(reterr_why, cap, "built without pcre");
    *reterr_at = 0;
    return NULL;
}
void rules_pcre_free(struct rules_pcre *x)
{
    (void)x;
}
bool rules_pcre_find(const struct rules_pcre *x, struct str s, size_t from, size_t *ret_first,
                     size_t *ret_end)
{
    (void)x, (void)s, (void)from, (void)ret_first, (void)ret_end;
    return false;
}
