#include "app/config/yaml.h"
#include "app/config/values.h"
#include "base/lex.h"

struct pos pos_of(struct fy_node *n)
{
    for (unsigned depth = 0; n && depth < 16; depth++) {
        void *it = NULL;
        if (fy_node_is_mapping(n)) {
            struct fy_node_pair *pair = fy_node_mapping_iterate(n, &it);
            n = pair ? fy_node_pair_key(pair) : NULL;
            continue;
        }
        if (fy_node_is_sequence(n)) {
            n = fy_node_sequence_iterate(n, &it);
            continue;
        }
        struct fy_token *t = fy_node_get_scalar_token(n);
        const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;
        if (!m)
            break;
        enum fy_node_style style = fy_node_get_style(n);
        bool quoted =
            style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED; /* their mark is inside */
        return (struct pos){(uint32_t)m->line + 1,
                            (uint32_t)m->column + (quoted && m->column ? 0u : 1u)};
    }
    return (struct pos){0, 0};
}

/* Things of YAML that would let one node stand for another or change its type. */
static bool plain_yaml(struct load *l, struct fy_node *n, struct pos at)
{
    size_t len = 0;
    if (fy_node_is_alias(n)) {
        problem(l, at, "write the value out", "aliases (*name) are not read");
        return false;
    }
    if (fy_node_get_anchor(n) || fy_node_get_tag(n, &len)) {
        problem(l, at, "leave it out", "anchors (&name) and tags (!type) are not read");
        return false;
    }
    return true;
}

static struct str raw(struct fy_node *n)
{
    size_t len = 0;
    const char *p = fy_node_get_scalar(n, &len);
    return p ? str_of(p, len) : STR_NONE;
}

bool scalar(struct load *l, const char *key, struct fy_node *n, struct str *ret_s)
{
    struct pos at = pos_of(n);
    if (!plain_yaml(l, n, at))
        return false;
    if (!fy_node_is_scalar(n)) {
        problem(l, at, "an address in brackets needs quotes: \"[2001:db8::1]:5060\"",
                "%s: one value is wanted here, not a %s", key,
                fy_node_is_mapping(n) ? "mapping" : "list");
        return false;
    }
    *ret_s = raw(n);
    bool quoted = fy_node_get_style(n) != FYNS_PLAIN;
    if (ret_s->n == 0 || (!quoted && (str_eq(*ret_s, STR("null")) || str_eq(*ret_s, STR("~"))))) {
        problem(l, at, "give it a value, or take the key out", "%s: no value", key);
        return false;
    }
    if (memchr(ret_s->p, 0, ret_s->n)) {
        problem(l, at, NULL, "%s: a NUL byte", key);
        return false;
    }
    return true;
}

/* A scalar that is not text: quoted ones are text by their writer's will. */
bool bare(struct load *l, const char *key, struct fy_node *n, const char *want, struct str *ret_s)
{
    if (!scalar(l, key, n, ret_s))
        return false;
    if (fy_node_get_style(n) == FYNS_PLAIN)
        return true;
    problem(l, pos_of(n), "take the quotes away", "%s: %s is wanted, not a text", key, want);
    return false;
}

bool text_add(struct load *l, struct pos at, struct str s, struct span *ret_sp)
{
    struct policy *p = l->p;
    if (s.n > POLICY_TEXT - p->text_n) {
        if (!l->text_full)
            problem(l, at, "shorten names and reasons",
                    "the file holds more than %u bytes of names and texts", POLICY_TEXT);
        l->text_full = true;
        return false;
    }
    if (s.n)
        memcpy(p->text + p->text_n, s.p, s.n);
    *ret_sp = (struct span){(uint16_t)p->text_n, (uint16_t)s.n};
    p->text_n += (uint32_t)s.n;
    return true;
}

static const char *nearest(struct str s, const char *best, unsigned *io_d, struct str candidate)
{
    unsigned d = value_distance(s, candidate);
    if (d >= *io_d || d >= s.n || d > s.n / 3 + 1)
        return best;
    *io_d = d;
    return candidate.p;
}

static void unknown_key(struct load *l, struct fy_node *k, struct str key, const char *what,
                        const struct field *fields, size_t n)
{
    unsigned d = 99;
    const char *best = NULL;
    char hint[288];
    for (size_t i = 0; i < n; i++)
        best = nearest(key, best, &d, str_c(fields[i].key));
    struct out o = out_of(hint, sizeof hint - 1);
    if (best) {
        out_fmt(&o, "did you mean \"%s\"?", best);
    } else {
        OUT_LIT(&o, "known are: ");
        for (size_t i = 0; i < n; i++)
            out_fmt(&o, "%s%s", i ? ", " : "", fields[i].key);
    }
    hint[o.n] = 0;
    problem(l, pos_of(k), hint, "unknown key \"%.*s\" in %s", (int)MIN(key.n, 40u), key.p, what);
}

static uint32_t pair_read(struct load *l, struct fy_node_pair *pair, const char *what,
                          const struct field *fields, size_t n_fields, void *base)
{
    struct fy_node *k = fy_node_pair_key(pair), *v = fy_node_pair_value(pair);
    struct pos at = pos_of(k);
    if (!k || !fy_node_is_scalar(k) || !plain_yaml(l, k, at)) {
        problem(l, at, NULL, "%s: a key must be a plain word", what);
        return 0;
    }
    struct str key = raw(k);
    for (size_t i = 0; i < n_fields; i++) {
        if (!str_eq(key, str_c(fields[i].key)))
            continue;
        struct pos value_at = pos_of(v);
        if (!v || (value_at.line == 0 && !fy_node_is_alias(v)))
            problem(l, at, "give it a value, or take the key out", "%s: no value", fields[i].key);
        else
            fields[i].read(l, &fields[i], v, (char *)base + fields[i].off);
        return UINT32_C(1) << i;
    }
    unknown_key(l, k, key, what, fields, n_fields);
    return 0;
}

uint32_t map_read(struct load *l, struct fy_node *n, const char *what, const struct field *fields,
                  size_t n_fields, void *base)
{
    CHECK(n_fields <= 32);
    struct pos at = pos_of(n);
    if (!plain_yaml(l, n, at))
        return 0;
    if (!fy_node_is_mapping(n)) {
        problem(l, at, "write \"key: value\" lines", "%s: a mapping is wanted here", what);
        return 0;
    }
    uint32_t seen = 0;
    void *it = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(n, &it));) {
        uint32_t bit = pair_read(l, pair, what, fields, n_fields, base);
        if (seen & bit)
            problem(l, pos_of(fy_node_pair_key(pair)), NULL, "%s: the key \"%s\" is there twice",
                    what, fields[__builtin_ctz(bit)].key);
        seen |= bit;
    }
    for (size_t i = 0; i < n_fields; i++) {
        if (fields[i].required && !(seen >> i & 1))
            problem(l, at, NULL, "%s: \"%s\" is missing", what, fields[i].key);
    }
    return seen;
}

static void name_twice(struct load *l, const struct list *d, uint32_t i)
{
    struct str name = ref_name(l, d->kind, i);
    for (uint32_t j = 0; j < i && name.n; j++) {
        if (!str_eq(name, ref_name(l, d->kind, j)))
            continue;
        char hint[64];
        struct out o = out_of(hint, sizeof hint - 1);
        out_fmt(&o, "the other is in line %u", d->at[j].line);
        hint[o.n] = 0;
        problem(l, d->at[i], hint, "two entries of %ss are named \"%.*s\"", d->what, (int)name.n,
                name.p);
        return;
    }
}

void list_read(struct load *l, struct fy_node *n, const char *key, const struct list *d)
{
    struct field f = {.key = key, .max = d->cap};
    if (!seq_open(l, &f, n))
        return;
    uint8_t *count = (uint8_t *)l->p + d->kind->count_off;
    void *it = NULL;
    for (struct fy_node *e; (e = seq_next(n, &it)) && *count < d->cap;) {
        uint32_t i = *count;
        void *entry = (char *)l->p + d->kind->array_off + i * d->kind->stride;
        memset(entry, 0, d->kind->stride);
        if (d->begin)
            d->begin(entry);
        d->at[i] = pos_of(e);
        *count = (uint8_t)(i + 1);
        uint32_t seen = map_read(l, e, d->what, d->fields, d->n_fields, entry);
        name_twice(l, d, i);
        if (d->end && seen)
            d->end(l, entry, seen, d->at[i]);
    }
}

bool seq_open(struct load *l, const struct field *f, struct fy_node *n)
{
    struct pos at = pos_of(n);
    if (!plain_yaml(l, n, at))
        return false;
    if (fy_node_is_scalar(n))
        return true;
    if (!fy_node_is_sequence(n)) {
        problem(l, at, "write a list: one \"- \" line for each", "%s: a list is wanted here",
                f->key);
        return false;
    }
    int items = fy_node_sequence_item_count(n);
    if (items > (int)f->max) {
        problem(l, at, NULL, "%s: %d entries, at most %u are served", f->key, items, f->max);
        return false;
    }
    return true;
}

struct fy_node *seq_next(struct fy_node *n, void **it)
{
    if (fy_node_is_sequence(n))
        return fy_node_sequence_iterate(n, it);
    if (*it)
        return NULL;
    *it = n;
    return n;
}

const struct ref_kind REF_LISTENER = {"listener", offsetof(struct policy, listeners),
                                      sizeof(struct policy_listener),
                                      offsetof(struct policy, n_listeners)};
const struct ref_kind REF_ZONE = {"zone", offsetof(struct policy, zones),
                                  sizeof(struct policy_zone), offsetof(struct policy, n_zones)};
const struct ref_kind REF_PEER = {"peer", offsetof(struct policy, peers),
                                  sizeof(struct policy_peer), offsetof(struct policy, n_peers)};
const struct ref_kind REF_ROLE = {"role", offsetof(struct policy, roles),
                                  sizeof(struct policy_role), offsetof(struct policy, n_roles)};

uint32_t ref_count(const struct load *l, const struct ref_kind *k)
{
    return *((const uint8_t *)l->p + k->count_off);
}

struct str ref_name(const struct load *l, const struct ref_kind *k, uint32_t i)
{
    struct span sp;
    memcpy(&sp, (const char *)l->p + k->array_off + i * k->stride, sizeof sp);
    return policy_text(l->p, sp);
}

uint8_t ref_find(struct load *l, const struct ref_kind *k, const char *key, struct fy_node *n)
{
    struct str s;
    if (!scalar(l, key, n, &s))
        return POLICY_NONE;
    unsigned d = 99;
    struct str best = STR_NONE;
    for (uint32_t i = 0; i < ref_count(l, k); i++) {
        struct str name = ref_name(l, k, i);
        if (str_eq(s, name))
            return (uint8_t)i;
        if (nearest(s, NULL, &d, name))
            best = name;
    }
    char hint[160];
    struct out o = out_of(hint, sizeof hint - 1);
    if (best.n)
        out_fmt(&o, "did you mean \"%.*s\"?", (int)best.n, best.p);
    else if (ref_count(l, k) == 0)
        out_fmt(&o, "the file defines no %ss", k->word);
    else
        out_fmt(&o, "%ss are defined under \"%ss:\"", k->word, k->word);
    hint[o.n] = 0;
    problem(l, pos_of(n), hint, "%s: there is no %s named \"%.*s\"", key, k->word,
            (int)MIN(s.n, 40u), s.p);
    return POLICY_NONE;
}

void rd_node(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    (void)l;
    (void)f;
    memcpy(dst, &n, sizeof(struct fy_node *));
}

void rd_name(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    for (size_t i = 0; i < s.n; i++) {
        if (lex_in(&LEX_ALNUM, s.p[i]) || (i > 0 && memchr("._-", s.p[i], 3)))
            continue;
        problem(l, pos_of(n), "letters, digits, '.', '_' and '-', a letter or digit first",
                "%s: \"%.*s\" is not a name", f->key, (int)MIN(s.n, 40u), s.p);
        return;
    }
    if (s.n > f->max)
        problem(l, pos_of(n), NULL, "%s: longer than %u characters", f->key, f->max);
    else
        (void)text_add(l, pos_of(n), s, dst);
}

static bool text_fits(struct load *l, const struct field *f, struct fy_node *n, struct str *ret_s)
{
    if (!scalar(l, f->key, n, ret_s))
        return false;
    if (ret_s->n > f->max) {
        problem(l, pos_of(n), NULL, "%s: longer than %u characters", f->key, f->max);
        return false;
    }
    for (size_t i = 0; i < ret_s->n; i++) {
        if ((unsigned char)ret_s->p[i] >= 0x20 && ret_s->p[i] != 0x7f)
            continue;
        problem(l, pos_of(n), NULL, "%s: control characters are not read", f->key);
        return false;
    }
    return true;
}

void rd_text(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (text_fits(l, f, n, &s))
        (void)text_add(l, pos_of(n), s, dst);
}

void rd_chars(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!text_fits(l, f, n, &s))
        return;
    memset(dst, 0, f->max + 1u);
    memcpy(dst, s.p, s.n);
}

void rd_host(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!scalar(l, f->key, n, &s))
        return;
    if (!value_host(s)) {
        problem(l, pos_of(n), "for instance sip.example.com",
                "%s: \"%.*s\" is not a host name or address", f->key, (int)MIN(s.n, 60u), s.p);
        return;
    }
    char low[256];
    for (size_t i = 0; i < s.n; i++)
        low[i] = ascii_lower(s.p[i]);
    (void)text_add(l, pos_of(n), str_of(low, s.n), dst);
}

int word_find(struct load *l, const char *key, struct fy_node *n, const struct word *words)
{
    struct str s;
    if (!scalar(l, key, n, &s))
        return -1;
    unsigned d = 99;
    const char *best = NULL;
    char hint[160];
    struct out o = out_of(hint, sizeof hint - 1);
    OUT_LIT(&o, "one of: ");
    for (const struct word *w = words; w->word; w++) {
        if (str_eq(s, str_c(w->word)))
            return w->value;
        best = nearest(s, best, &d, str_c(w->word));
        out_fmt(&o, "%s%s", w == words ? "" : ", ", w->word);
    }
    if (best) {
        o = out_of(hint, sizeof hint - 1);
        out_fmt(&o, "did you mean \"%s\"?", best);
    }
    hint[o.n] = 0;
    problem(l, pos_of(n), hint, "%s: \"%.*s\" is not known here", key, (int)MIN(s.n, 40u), s.p);
    return -1;
}

void rd_word(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    int v = word_find(l, f->key, n, f->more);
    if (v >= 0)
        *(uint8_t *)dst = (uint8_t)v;
}

void rd_bool(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    if (!bare(l, f->key, n, "yes or no", &s))
        return;
    bool yes = str_eq(s, STR("yes")) || str_eq(s, STR("true"));
    if (yes || str_eq(s, STR("no")) || str_eq(s, STR("false")))
        *(bool *)dst = yes;
    else
        problem(l, pos_of(n), "write yes or no", "%s: \"%.*s\" is neither yes nor no", f->key,
                (int)MIN(s.n, 40u), s.p);
}

static bool number(struct load *l, const struct field *f, struct fy_node *n, uint32_t *ret_v)
{
    struct str s;
    if (!bare(l, f->key, n, "a number", &s))
        return false;
    enum err e = str_u32(s, UINT32_MAX, ret_v);
    if (e == ERR_SYNTAX)
        problem(l, pos_of(n), NULL, "%s: \"%.*s\" is not a whole number", f->key,
                (int)MIN(s.n, 40u), s.p);
    else if (e != OK || *ret_v < f->min || *ret_v > f->max)
        problem(l, pos_of(n), NULL, "%s: %.*s is outside %u to %u", f->key, (int)MIN(s.n, 40u), s.p,
                f->min, f->max);
    else
        return true;
    return false;
}

void rd_u8(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t v;
    if (number(l, f, n, &v))
        *(uint8_t *)dst = (uint8_t)v;
}

void rd_u16(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t v;
    if (number(l, f, n, &v))
        *(uint16_t *)dst = (uint16_t)v;
}

void rd_u32(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t v;
    if (number(l, f, n, &v))
        *(uint32_t *)dst = v;
}

static bool seconds(struct load *l, const struct field *f, struct fy_node *n, uint32_t *ret_v)
{
    struct str s;
    if (!bare(l, f->key, n, "a length of time", &s))
        return false;
    enum err e = value_seconds(s, ret_v);
    if (e == ERR_SYNTAX)
        problem(l, pos_of(n), "for instance 30s, 5m, 1h or 1h30m",
                "%s: \"%.*s\" is not a length of time", f->key, (int)MIN(s.n, 40u), s.p);
    else if (e != OK || *ret_v < f->min || *ret_v > f->max)
        problem(l, pos_of(n), NULL, "%s: %.*s is outside %us to %us", f->key, (int)MIN(s.n, 40u),
                s.p, f->min, f->max);
    else
        return true;
    return false;
}

void rd_seconds(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t v;
    if (seconds(l, f, n, &v))
        *(uint32_t *)dst = v;
}

void rd_seconds16(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    uint32_t v;
    if (seconds(l, f, n, &v))
        *(uint16_t *)dst = (uint16_t)v;
}

static void address(struct load *l, const struct field *f, struct fy_node *n, void *dst, bool port)
{
    struct str s;
    struct addr a;
    if (!scalar(l, f->key, n, &s))
        return;
    if ((port ? addr_parse(s, &a) : addr_parse_ip(s, &a)) == OK)
        memcpy(dst, &a, sizeof a);
    else
        problem(l, pos_of(n),
                port ? "for instance 192.0.2.1:5060 or \"[2001:db8::1]:5060\""
                     : "for instance 192.0.2.1",
                "%s: \"%.*s\" is not an IP address%s", f->key, (int)MIN(s.n, 60u), s.p,
                port ? " with a port" : "");
}

void rd_addr(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    address(l, f, n, dst, true);
}

void rd_ip(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    address(l, f, n, dst, false);
}

void rd_date(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    struct wall w;
    if (!scalar(l, f->key, n, &s))
        return;
    if (value_date(s, &w) == OK)
        memcpy(dst, &w, sizeof w);
    else
        problem(l, pos_of(n), "year-month-day, for instance 2027-06-30",
                "%s: \"%.*s\" is not a date", f->key, (int)MIN(s.n, 40u), s.p);
}

void rd_ref(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    *(uint8_t *)dst = ref_find(l, f->more, f->key, n);
}
