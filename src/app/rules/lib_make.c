#include "app/rules/lib.h"
#include "guard/rules_blob.h"
#include <hs.h>

bool rules_lib_can_make(void)
{
    return hs_valid_platform() == HS_SUCCESS;
}

static enum err serialize(hs_database_t *db, void **ret_p, size_t *ret_n)
{
    char *bytes = NULL;
    size_t n = 0;
    hs_error_t e = hs_serialize_database(db, &bytes, &n);
    (void)hs_free_database(db);
    if (e != HS_SUCCESS)
        return ERR_FULL;
    *ret_p = bytes; /* by the library's allocator, which is malloc */
    *ret_n = n;
    return OK;
}

enum err rules_lib_literals(const struct rules_literal *l, uint32_t n, void **ret_p, size_t *ret_n)
{
    const char **text = calloc(n, sizeof *text);
    size_t *len = calloc(n, sizeof *len);
    unsigned *flags = calloc(n, sizeof *flags), *id = calloc(n, sizeof *id);
    hs_database_t *db = NULL;
    hs_compile_error_t *why = NULL;
    hs_error_t e = HS_NOMEM;
    for (uint32_t i = 0; text && len && flags && id && i < n; i++) {
        text[i] = l[i].text.p;
        len[i] = l[i].text.n;
        flags[i] = HS_FLAG_SINGLEMATCH | (l[i].nocase ? HS_FLAG_CASELESS : 0u);
        id[i] = i;
    }
    if (text && len && flags && id)
        e = hs_compile_lit_multi(text, flags, id, len, n, HS_MODE_BLOCK, NULL, &db, &why);
    (void)hs_free_compile_error(why);
    free(text);
    free(len);
    free(flags);
    free(id);
    return e == HS_SUCCESS ? serialize(db, ret_p, ret_n) : ERR_UNSUPPORTED;
}

/* Whether it fits, no more; so greed does not matter. What the library reads otherwise than PCRE
 * is left to PCRE. */
enum err rules_lib_expr(struct str expression, uint32_t flags, void **ret_p, size_t *ret_n)
{
    hs_database_t *db = NULL;
    hs_compile_error_t *why = NULL;
    if ((flags & (EXPR_X | EXPR_A | EXPR_E)) || memchr(expression.p, 0, expression.n))
        return ERR_UNSUPPORTED;
    char *text = malloc(expression.n + 1); /* it does not end by itself */
    if (text) {
        memcpy(text, expression.p, expression.n);
        text[expression.n] = 0;
    }
    unsigned f = HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY;
    f |= flags & EXPR_I ? HS_FLAG_CASELESS : 0u;
    f |= flags & EXPR_M ? HS_FLAG_MULTILINE : 0u;
    f |= flags & EXPR_S ? HS_FLAG_DOTALL : 0u;
    hs_error_t e = text ? hs_compile(text, f, HS_MODE_BLOCK, NULL, &db, &why) : HS_NOMEM;
    (void)hs_free_compile_error(why);
    free(text);
    return e == HS_SUCCESS ? serialize(db, ret_p, ret_n) : ERR_UNSUPPORTED;
}
