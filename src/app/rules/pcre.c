#define PCRE2_CODE_UNIT_WIDTH 8
#include "app/rules/pcre.h"
#include "guard/rules_blob.h"
#include <pcre2.h>

struct rules_pcre {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

bool rules_pcre_there(void)
{
    return true;
}

static uint32_t options_of(uint32_t flags)
{
    static const struct {
        uint32_t flag, option;
    } of[] = {{EXPR_I, PCRE2_CASELESS}, {EXPR_M, PCRE2_MULTILINE}, {EXPR_S, PCRE2_DOTALL},
              {EXPR_X, PCRE2_EXTENDED}, {EXPR_A, PCRE2_ANCHORED},  {EXPR_E, PCRE2_DOLLAR_ENDONLY},
              {EXPR_G, PCRE2_UNGREEDY}};
    uint32_t o = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
    for (size_t i = 0; i < ARRAY_LEN(of); i++)
        if (flags & of[i].flag)
            o |= of[i].option;
    return o;
}

struct rules_pcre *rules_pcre_new(struct str expression, uint32_t flags, char *reterr_why,
                                  size_t cap, size_t *reterr_at)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    struct rules_pcre *x = calloc(1, sizeof *x);
    if (!x) {
        (void)snprintf(reterr_why, cap, "no memory");
        *reterr_at = 0;
        return NULL;
    }
    x->code =
        pcre2_compile((PCRE2_SPTR)expression.p, expression.n, options_of(flags), &code, &at, NULL);
    if (!x->code) {
        PCRE2_UCHAR text[120];
        (void)pcre2_get_error_message(code, text, sizeof text);
        (void)snprintf(reterr_why, cap, "%s", (const char *)text);
        *reterr_at = at;
        rules_pcre_free(x);
        return NULL;
    }
    x->data = pcre2_match_data_create(1, NULL);
    x->limits = pcre2_match_context_create(NULL);
    if (!x->data || !x->limits) {
        (void)snprintf(reterr_why, cap, "no memory");
        *reterr_at = 0;
        rules_pcre_free(x);
        return NULL;
    }
    (void)pcre2_set_match_limit(x->limits, PCRE_STEPS);
    (void)pcre2_set_depth_limit(x->limits, PCRE_STEPS);
    (void)pcre2_set_heap_limit(x->limits, PCRE_HEAP);
    return x;
}

void rules_pcre_free(struct rules_pcre *x)
{
    if (!x)
        return;
    pcre2_match_context_free(x->limits);
    pcre2_match_data_free(x->data);
    pcre2_code_free(x->code);
    free(x);
}

bool rules_pcre_find(const struct rules_pcre *x, struct str s, size_t from, size_t *ret_first,
                     size_t *ret_end)
{
    int n = pcre2_match(x->code, (PCRE2_SPTR)(s.n ? s.p : ""), s.n, from, 0, x->data, x->limits);
    if (n < 0)
        return false;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(x->data);
    *ret_first = MIN(at[0], at[1]); /* \K may turn them round */
    *ret_end = MAX(at[0], at[1]);
    return true;
}
