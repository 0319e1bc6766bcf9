#include "wire/sip/grammar.h"
#include "wire/sip/scan.h"

#define AUTH_PARAMS_MAX 32

/* The field for a parameter's name, or NULL for one that we have no use for. */
static struct str *auth_field(struct sip_auth *a, struct str name)
{
    const struct {
        struct str name;
        struct str *field;
    } known[] = {
        {STR("username"), &a->username}, {STR("realm"), &a->realm},
        {STR("nonce"), &a->nonce},       {STR("uri"), &a->uri},
        {STR("response"), &a->response}, {STR("algorithm"), &a->algorithm},
        {STR("cnonce"), &a->cnonce},     {STR("opaque"), &a->opaque},
        {STR("qop"), &a->qop},           {STR("nc"), &a->nc},
        {STR("stale"), &a->stale},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(known[i].name, name))
            return known[i].field;
    return NULL;
}

/* digest-cln *( COMMA digest-cln ): a parameter given twice is an error, since two readers could
 * take two different ones. */
static enum err digest_scan(const char *p, const char *end, struct sip_auth *a)
{
    struct sip_pair pair;
    for (unsigned n = 0; n < AUTH_PARAMS_MAX; n++) {
        p = sip_pair_scan(p, end, &pair);
        if (!p || pair.value.p == NULL)
            return ERR_SYNTAX;
        struct str *field = auth_field(a, pair.name);
        if (field && field->p)
            return ERR_SYNTAX;
        if (field)
            *field = pair.value;
        p = skip_lws(p, end);
        if (p == end)
            return OK;
        if (*p++ != ',')
            return ERR_SYNTAX;
    }
    return ERR_LIMIT;
}

enum err sip_auth_parse(struct str s, struct sip_auth *ret_a)
{
    struct sip_auth a = {0};
    const char *p = skip_lws(s.p, str_end(s)), *end = trim_lws(p, str_end(s));
    if (s.n > SIP_HEADER_LINE_MAX)
        return ERR_LIMIT;
    const char *q = run(p, end, C_TOKEN);
    a.scheme = str_between(p, q);
    p = skip_lws(q, end);
    if (a.scheme.n == 0 || p == q || p == end)
        return ERR_SYNTAX;
    a.rest = str_between(p, end);
    if (str_ieq(a.scheme, STR("Digest"))) {
        enum err e = digest_scan(p, end, &a);
        if (e != OK)
            return e;
    }
    *ret_a = a;
    return OK;
}
