/* Access lists of zones: a short way to write rules, one row each in the policy. */
#include "app/config/yaml.h"

#define AT(type, member) offsetof(struct type, member)

/* ISO 3166-1 alpha-2 as files of countries use it, with XK (Kosovo). */
static const char COUNTRIES[] = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBT"
                                "BVBWBYBZCACCCDCFCGCHCICKCLCMCN"
                                "COCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGG"
                                "GHGIGLGMGNGPGQGRGSGTGUGWGYHKHM"
                                "HNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLI"
                                "LKLRLSLTLULVLYMAMCMDMEMFMGMHMK"
                                "MLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPH"
                                "PKPLPMPNPRPSPTPWPYQARERORSRURW"
                                "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTR"
                                "TTTVTWTZUAUGUMUSUYUZVAVCVEVGVI"
                                "VNVUWFWSXKYEYTZAZMZW";

struct side { /* what one entry names */
    uint8_t n_nets, n_countries, protos;
    struct prefix nets[ACCESS_RULES];
    uint16_t countries[ACCESS_RULES];
};

static void rd_nets(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct side *s = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && s->n_nets < ACCESS_RULES;) {
        struct str text;
        if (!scalar(l, f->key, e, &text))
            continue;
        if (prefix_parse(text, &s->nets[s->n_nets]) == OK)
            s->n_nets++;
        else
            problem(l, pos_of(e), "for instance 203.0.113.0/24 or \"2001:db8::/32\"",
                    "%s: \"%.*s\" is not an address or prefix", f->key, (int)MIN(text.n, 60u),
                    text.p);
    }
}

static const char *country_hint(struct str s)
{
    static const char *const SLIPS[][2] = {{"UK", "did you mean GB?"}, {"EL", "did you mean GR?"}};
    for (size_t i = 0; i < ARRAY_LEN(SLIPS); i++)
        if (str_ieq(s, str_c(SLIPS[i][0])))
            return SLIPS[i][1];
    return "two capital letters of ISO 3166, for instance DE";
}

static uint16_t country(struct str s)
{
    for (size_t i = 0; s.n == 2 && i + 2 < sizeof COUNTRIES; i += 2)
        if (s.p[0] == COUNTRIES[i] && s.p[1] == COUNTRIES[i + 1])
            return (uint16_t)((unsigned)s.p[0] << 8 | (unsigned)s.p[1]);
    return 0;
}

static void rd_countries(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct side *s = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    l->by_country = true;
    for (struct fy_node *e; (e = seq_next(n, &it)) && s->n_countries < ACCESS_RULES;) {
        struct str text;
        if (!scalar(l, f->key, e, &text))
            continue;
        uint16_t c = country(text);
        if (c)
            s->countries[s->n_countries++] = c;
        else
            problem(l, pos_of(e), country_hint(text), "%s: \"%.*s\" is not a country", f->key,
                    (int)MIN(text.n, 40u), text.p);
    }
}

static const struct word TRANSPORT[] = {
    {"udp", PROTO_UDP}, {"tcp", PROTO_TCP}, {"tls", PROTO_TLS}, {NULL, 0}};

static void rd_protos(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct side *s = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        int v = word_find(l, f->key, e, TRANSPORT);
        if (v >= 0)
            s->protos |= (uint8_t)(1u << v);
    }
}

static const struct field SIDE[] = {
    {"sources", rd_nets, 0, false, 1, ACCESS_RULES, NULL},
    {"countries", rd_countries, 0, false, 1, ACCESS_RULES, NULL},
    {"transports", rd_protos, 0, false, 1, 3, NULL},
};

static void rd_side(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    if (fy_node_is_mapping(n))
        (void)map_read(l, n, f->key, SIDE, ARRAY_LEN(SIDE), dst);
    else
        rd_nets(l, f, n, dst);
}

static bool row_add(struct policy_zone *z, const struct access_rule *r)
{
    if (z->n_access == ACCESS_RULES)
        return false;
    z->access[z->n_access++] = *r;
    return true;
}

/* Every source with every country. */
static bool rows_add(struct policy_zone *z, bool allow, const struct side *s)
{
    for (unsigned i = 0; i < MAX(s->n_nets, 1); i++) {
        for (unsigned k = 0; k < MAX(s->n_countries, 1); k++) {
            struct access_rule r = {.allow = allow, .protos = s->protos};
            if (i < s->n_nets) {
                r.by_prefix = true;
                r.net = s->nets[i];
            }
            if (k < s->n_countries)
                r.country = s->countries[k];
            if (!row_add(z, &r))
                return false;
        }
    }
    return true;
}

struct entry {
    struct side deny, allow;
};
static const struct field ENTRY[] = {
    {"deny", rd_side, AT(entry, deny), false, 1, ACCESS_RULES, NULL},
    {"allow", rd_side, AT(entry, allow), false, 1, ACCESS_RULES, NULL},
};

static bool names_any(const struct side *s)
{
    return s->n_nets || s->n_countries || s->protos;
}

void rd_access(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct policy_zone *z = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    l->access_at[z - l->p->zones] = pos_of(n);
    for (struct fy_node *e; (e = seq_next(n, &it));) {
        struct entry x;
        memset(&x, 0, sizeof x);
        uint32_t before = l->e->n_errors;
        uint32_t seen = map_read(l, e, f->key, ENTRY, ARRAY_LEN(ENTRY), &x);
        if (l->e->n_errors != before)
            continue;
        if (seen == 3 || seen == 0) {
            problem(l, pos_of(e), "for instance - deny: 203.0.113.0/24",
                    "access: an entry is either \"allow\" or \"deny\"");
            continue;
        }
        const struct side *s = seen == 1 ? &x.deny : &x.allow;
        if (!names_any(s))
            problem(l, pos_of(e), "what holds for the rest stands in access_default",
                    "access: this entry names nobody");
        else if (!rows_add(z, seen == 2, s)) {
            problem(l, pos_of(e), "a source and a country beside each other count as their product",
                    "access: more than %u rules in one zone", ACCESS_RULES);
            return;
        }
    }
}
