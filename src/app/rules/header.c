/* action protocol source port direction destination port */
#include "app/rules/build.h"

#define DEPTH 6 /* of lists in lists and variables in variables */

/* A word, or a list in brackets with spaces inside. */
static struct str token(struct parse *p)
{
    int depth = 0;
    rule_space(p);
    size_t from = p->at;
    for (; p->at < p->n; p->at++) {
        char c = p->t[p->at];
        depth += c == '[';
        depth -= c == ']';
        if (depth <= 0 && (c == ' ' || c == '\t' || c == '('))
            break;
    }
    return rule_part(p, from, p->at);
}

static const char *var_of(const struct rules_build *b, struct str name)
{
    for (uint32_t i = 0; i < b->n_vars; i++)
        if (str_eq(str_c(b->vars[i].name), name))
            return b->vars[i].value;
    return NULL;
}

struct list {
    struct parse *p;
    bool ports, any;
    size_t at; /* for problems: of what stands in the rule */
    uint32_t n, n_negated;
};

static bool port_leaf(struct list *l, struct str s, bool negated)
{
    struct str low, high;
    uint32_t lo = 0, hi = 65535;
    bool ranged = str_find(s, ':') < s.n;
    high = str_cut(s, ':', &low);
    if (!ranged)
        high = low;
    bool good = (low.n || ranged) && (low.n == 0 || str_u32(low, 65535, &lo) == OK) &&
                (high.n == 0 || str_u32(high, 65535, &hi) == OK) && lo <= hi && (low.n || high.n);
    if (!good) {
        rule_problem(l->p, l->at, "ports: any, 5060, 5060:5070, [5060,5061], !5060",
                     "\"" STR_FMT "\" is no port", (int)MIN(s.n, 40u), s.p);
        return false;
    }
    struct rules_port *x = rule_vec_add(&l->p->b->ports, 1);
    if (!x)
        return false;
    *x = (struct rules_port){.lo = (uint16_t)lo, .hi = (uint16_t)hi, .negated = negated};
    return true;
}

static void last_of(struct prefix *x)
{
    unsigned bytes = x->a.family == ADDR_V4 ? 4 : 16;
    for (unsigned i = x->bits; i < bytes * 8; i++)
        x->a.ip[i / 8] = (uint8_t)(x->a.ip[i / 8] | 0x80u >> (i % 8));
}

static bool net_leaf(struct list *l, struct str s, bool negated)
{
    struct str low, high;
    struct prefix a, b;
    bool ranged = str_find(s, '-') < s.n;
    high = str_cut(s, '-', &low);
    bool good = prefix_parse(low, &a) == OK && (!ranged || prefix_parse(high, &b) == OK);
    if (good && !ranged) {
        b = a;
        last_of(&b);
    }
    if (!good || a.a.family != b.a.family || memcmp(a.a.ip, b.a.ip, 16) > 0) {
        rule_problem(l->p, l->at, "addresses: any, 192.0.2.1, 192.0.2.0/24, [a,b], !a, $HOME_NET",
                     "\"" STR_FMT "\" is no address", (int)MIN(s.n, 48u), s.p);
        return false;
    }
    struct rules_net *x = rule_vec_add(&l->p->b->nets, 1);
    if (!x)
        return false;
    x->family = a.a.family;
    x->negated = negated;
    memcpy(x->lo, a.a.ip, 16);
    memcpy(x->hi, b.a.ip, 16);
    return true;
}

static bool item(struct list *l, struct str s, bool negated, int depth);

static bool items(struct list *l, struct str s, bool negated, int depth)
{
    int open = 0;
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n) {
            open += s.p[i] == '[';
            open -= s.p[i] == ']';
        }
        if (i < s.n && (s.p[i] != ',' || open))
            continue;
        if (!item(l, str_trim(str_of(s.p + from, i - from)), negated, depth + 1))
            return false;
        from = i + 1;
    }
    return true;
}

static bool item(struct list *l, struct str s, bool negated, int depth)
{
    bool here = s.p >= l->p->t && s.p < l->p->t + l->p->n;
    if (here)
        l->at = (size_t)(s.p - l->p->t);
    bool not = s.n && s.p[0] == '!';
    if (not )
        s = str_trim(str_skip(s, 1));
    if (s.n == 0 || depth > DEPTH || (not &&negated)) {
        rule_problem(l->p, l->at,
                     not &&negated ? "say what is meant without a negation in a negation" : NULL,
                     s.n == 0 ? "an item of the list is empty" : "lists are nested too deep");
        return false;
    }
    negated = negated || not ;
    if (s.p[0] == '[') {
        if (s.p[s.n - 1] != ']' || s.n < 2) {
            rule_problem(l->p, l->at, NULL, "the list is not closed by ]");
            return false;
        }
        return items(l, str_of(s.p + 1, s.n - 2), negated, depth);
    }
    if (s.p[0] == '$') {
        const char *value = var_of(l->p->b, str_skip(s, 1));
        if (!value) {
            rule_problem(l->p, l->at, "known: $HOME_NET $EXTERNAL_NET $SIP_SERVERS $SIP_PORTS",
                         "variable \"" STR_FMT "\" is not known", (int)MIN(s.n, 40u), s.p);
            return false;
        }
        return item(l, str_c(value), negated, depth + 1);
    }
    if (str_eq(s, STR("any"))) {
        if (negated)
            rule_problem(l->p, l->at, NULL, "not any is nothing: the rule can never fit");
        l->any = true;
        return !negated;
    }
    if (++l->n > RULES_NETS_MAX) {
        rule_problem(l->p, l->at, NULL, "more than %u items", RULES_NETS_MAX);
        return false;
    }
    l->n_negated += negated;
    return l->ports ? port_leaf(l, s, negated) : net_leaf(l, s, negated);
}

/* "any" beside others: only what is excluded counts. */
static size_t drop_positive(struct list *l, size_t from)
{
    struct vec *v = l->ports ? &l->p->b->ports : &l->p->b->nets;
    size_t to = from;
    for (size_t i = from; i < v->n; i++) {
        char *at = (char *)v->p + i * v->size;
        bool negated = l->ports ? ((struct rules_port *)(void *)at)->negated
                                : ((struct rules_net *)(void *)at)->negated;
        if (negated)
            memmove((char *)v->p + to++ * v->size, at, v->size);
    }
    return v->n = to;
}

static bool list(struct parse *p, bool ports, struct rules_slice *ret)
{
    struct vec *v = ports ? &p->b->ports : &p->b->nets;
    size_t from = v->n;
    struct list l = {.p = p, .ports = ports};
    struct str s = token(p);
    l.at = rule_place(p, s);
    if (s.n == 0) {
        rule_problem(p, p->at, "action protocol source port -> destination port (options)",
                     "%s is missing", ports ? "a port" : "an address");
        return false;
    }
    if (!item(&l, s, false, 0))
        return !p->bad ? (p->b->no_memory = true, false) : false;
    if (l.any)
        (void)drop_positive(&l, from);
    *ret = (struct rules_slice){(uint32_t)from, (uint32_t)(v->n - from)};
    return true;
}

static bool action(struct parse *p)
{
    static const char *const names[] = {"alert", "pass", "drop", "reject"};
    struct str s = token(p);
    for (uint8_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(s, str_c(names[i]))) {
            p->r.action = i;
            return true;
        }
    }
    rule_problem(p, rule_place(p, s), "alert, pass, drop or reject", "\"" STR_FMT "\" is no action",
                 (int)MIN(s.n, 40u), s.p);
    return false;
}

static bool protocol(struct parse *p)
{
    static const struct {
        const char *name;
        uint8_t protos;
    } names[] = {{"sip", RP_UDP | RP_TCP | RP_TLS},
                 {"udp", RP_UDP},
                 {"tcp", RP_TCP | RP_TLS},
                 {"ip", RP_UDP | RP_TCP | RP_TLS},
                 {"rtp", RP_RTP}};
    struct str s = token(p);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(s, str_c(names[i].name))) {
            p->r.protos = names[i].protos;
            return true;
        }
    }
    rule_problem(p, rule_place(p, s),
                 "sip; udp, tcp and ip mean SIP over them (tcp: TLS too, decrypted); rtp",
                 "protocol \"" STR_FMT "\" is not served", (int)MIN(s.n, 40u), s.p);
    return false;
}

bool rule_header_parse(struct parse *p)
{
    if (!action(p) || !protocol(p))
        return false;
    bool good = list(p, false, &p->r.src);
    good = list(p, true, &p->r.sport) && good;
    struct str way = token(p);
    p->r.both_ways = str_eq(way, STR("<>"));
    if (!p->r.both_ways && !str_eq(way, STR("->"))) {
        rule_problem(p, rule_place(p, way), "-> or <>", "\"" STR_FMT "\" is no direction",
                     (int)MIN(way.n, 20u), way.p);
        return false;
    }
    good = list(p, false, &p->r.dst) && good;
    good = list(p, true, &p->r.dport) && good;
    rule_space(p);
    if (good && (p->at >= p->n || p->t[p->at] != '(')) {
        rule_problem(p, p->at, NULL, "the options in parentheses are missing");
        return false;
    }
    if (p->at < p->n && p->t[p->at] == '(')
        p->at++;
    else
        return false;
    return true; /* problems of the options are told as well */
}
