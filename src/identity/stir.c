#include "identity/stir.h"
#include "base/lex.h"

void stir_policy_default(struct stir_policy *p)
{
    memset(p, 0, sizeof *p);
    p->fresh_s = STIR_FRESH_S;
}

enum err stir_policy_valid(const struct stir_policy *p)
{
    bool ok = p->n_allow <= STIR_ALLOW && p->fresh_s <= 3600 && p->key < STIR_KEYS &&
              (!p->sign || p->x5u.len) && (!p->verify || (p->n_allow && p->fresh_s));
    return ok ? OK : ERR_RANGE;
}

bool stir_url_allowed(const struct stir_policy *p, struct str text, struct str url)
{
    struct str host, rest = str_skip(url, 8);
    if (!str_istarts(url, STR("https://")))
        return false;
    size_t slash = str_find(rest, '/');
    struct str port = str_cut(str_head(rest, slash), ':', &host);
    bool has_port = host.n < slash;
    if (slash == rest.n || (has_port && !str_eq(port, STR("443")) && !str_eq(port, STR("8443"))))
        return false;
    for (size_t i = 0; i < url.n; i++)
        if ((uint8_t)url.p[i] <= ' ' || (uint8_t)url.p[i] > '~' || url.p[i] == '#' ||
            url.p[i] == '<' || url.p[i] == '>' || url.p[i] == '"' || url.p[i] == '\\')
            return false;
    for (unsigned i = 0; i < p->n_allow; i++)
        if (str_ieq(span_str(text, p->allow[i]), host))
            return true;
    return false;
}
