#include "identity/proof.h"
#include "base/out.h"

static bool user_char(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || ascii_digit(c) || (c && strchr("._-+~*#", c));
}

static bool host_char(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || ascii_digit(c) || c == '.' || c == '-';
}

void proof_add(struct proof *p, struct str san)
{
    struct str user;
    if (!str_istarts(san, STR("sip:")))
        return;
    struct str host = str_cut(str_skip(san, 4), '@', &user);
    bool good = user.n > 0 && host.n > 0 && p->n <= PROOF_NAMES;
    for (size_t i = 0; good && i < user.n; i++)
        good = user_char(user.p[i]);
    for (size_t i = 0; good && i < host.n; i++)
        good = host_char(host.p[i]);
    size_t more = (p->n > 0 ? 1u : 0u) + user.n + 1 + host.n;
    if (!good || p->n + more > PROOF_NAMES)
        return;
    struct out o = out_of(p->names + p->n, PROOF_NAMES - p->n);
    if (p->n > 0)
        out_ch(&o, ' ');
    out_put(&o, user);
    out_ch(&o, '@');
    for (size_t i = 0; i < host.n; i++)
        out_ch(&o, ascii_lower(host.p[i]));
    p->n = (uint16_t)(p->n + o.n);
}

void proof_add_domain(struct proof *p, struct str san)
{
    if (!str_istarts(san, STR("sip:")) && !str_starts(san, STR("dns:")))
        return;
    struct str host = str_skip(san, 4);
    bool good = host.n > 0 && p->domains_n <= PROOF_NAMES;
    for (size_t i = 0; good && i < host.n; i++)
        good = host_char(host.p[i]);
    if (!good || p->domains_n + host.n + 1 > PROOF_NAMES)
        return;
    memcpy(p->domains + p->domains_n, host.p, host.n);
    p->domains[p->domains_n + host.n] = ' ';
    p->domains_n = (uint16_t)(p->domains_n + host.n + 1);
}

bool proof_domain(const struct proof *p, struct str host)
{
    struct str rest = str_of(p->domains, MIN((size_t)p->domains_n, (size_t)PROOF_NAMES)), one;
    while (rest.n > 0) {
        rest = str_cut(rest, ' ', &one);
        if (host.n > 0 && str_ieq(one, host))
            return true;
    }
    return false;
}

bool proof_names(const struct proof *p, struct str user, struct str host)
{
    struct str rest = str_of(p->names, MIN((size_t)p->n, (size_t)PROOF_NAMES)), one, name;
    while (rest.n > 0) {
        rest = str_cut(rest, ' ', &one);
        struct str at = str_cut(one, '@', &name);
        if (user.n > 0 && str_eq(name, user) && str_ieq(at, host))
            return true;
    }
    return false;
}
