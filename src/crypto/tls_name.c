#include "base/addr.h"
#include "crypto/x509_in.h"

static struct str ia5(const ASN1_IA5STRING *s)
{
    int n = ASN1_STRING_length(s);
    return str_of((const char *)ASN1_STRING_get0_data(s), n > 0 ? (size_t)n : 0);
}

/* The host of "sip:host"; STR_NONE for other schemes, user parts, ports and parameters. */
static struct str sip_identity(struct str uri)
{
    if (!str_istarts(uri, STR("sip:")))
        return STR_NONE;
    struct str host = str_skip(uri, 4);
    for (size_t i = 0; i < host.n; i++) {
        char c = ascii_lower(host.p[i]);
        if (!((c >= 'a' && c <= 'z') || ascii_digit(c) || c == '-' || c == '.'))
            return STR_NONE;
    }
    return host;
}

static bool ip_match(const ASN1_OCTET_STRING *o, const struct addr *a)
{
    int want = a->family == ADDR_V4 ? 4 : 16;
    return ASN1_STRING_length(o) == want &&
           memcmp(ASN1_STRING_get0_data(o), a->ip, (size_t)want) == 0;
}

bool tls_name_match(X509 *x, struct str host)
{
    struct addr ip = {.family = ADDR_NONE};
    bool literal = addr_parse_ip(host, &ip) == OK, sip = false, by_sip = false, by_dns = false;
    bool by_ip = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && host.n > 0 && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_URI) {
            struct str id = sip_identity(ia5(g->d.uniformResourceIdentifier));
            sip = sip || id.n > 0;
            by_sip = by_sip || (id.n > 0 && str_ieq(id, host));
        } else if (g->type == GEN_DNS) {
            by_dns = by_dns || str_ieq(ia5(g->d.dNSName), host);
        } else if (g->type == GEN_IPADD) {
            by_ip = by_ip || (literal && ip_match(g->d.iPAddress, &ip));
        }
    }
    GENERAL_NAMES_free(names);
    return literal ? by_ip : sip ? by_sip : by_dns;
}

static bool printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0;
}

bool tls_name_at(X509 *x, unsigned index, char *ret, size_t cap, size_t *ret_n)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    struct out o = out_of(ret, cap);
    bool found = false;
    for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        struct str s = STR_NONE;
        if (g->type == GEN_URI)
            s = ia5(g->d.uniformResourceIdentifier);
        if (str_istarts(s, STR("dns:")))
            continue; /* a URI (RFC 4501) that would pass for a DNS SAN */
        if (g->type == GEN_DNS)
            s = ia5(g->d.dNSName);
        if (!printable(s) || index-- > 0)
            continue;
        found = true;
        if (g->type == GEN_DNS)
            OUT_LIT(&o, "dns:");
        out_put(&o, s);
    }
    GENERAL_NAMES_free(names);
    if (!found || out_err(&o) != OK)
        return false;
    *ret_n = o.n;
    return true;
}
