/* In place of lib_make.c where the library is not. */
#include "app/rules/lib.h"

bool rules_lib_can_make(void)
{
    return false;
}
enum err rules_lib_literals(const struct rules_literal *l, uint32_t n, void **ret_p, size_t *ret_n)
{
    (void)l, (void)n, (void)ret_p, (void)ret_n;
    return ERR_UNSUPPORTED;
}
enum err rules_lib_expr(struct str expression, uint32_t flags, void **ret_p, size_t *ret_n)
{
    (void)expression, (void)flags, (void)ret_p, (void)ret_n;
    return ERR_UNSUPPORTED;
}
