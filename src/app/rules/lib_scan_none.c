/* In place of lib_scan.c where the library is not. */
#include "app/rules/lib.h"

struct rules_lib *rules_lib_new(void)
{
    return NULL;
}
void rules_lib_free(struct rules_lib *l)
{
    (void)l;
}
struct rules_db *rules_lib_add(struct rules_lib *l, struct str bytes)
{
    (void)l, (void)bytes;
    return NULL;
}
bool rules_lib_scan(struct rules_lib *l, const struct rules_db *d, struct str s, rules_hit_fn *hit,
                    void *ctx)
{
    (void)l, (void)d, (void)s, (void)hit, (void)ctx;
    return false;
}
bool rules_lib_fits(struct rules_lib *l, const struct rules_db *d, struct str s)
{
    (void)l, (void)d, (void)s;
    return false;
}
