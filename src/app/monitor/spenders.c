/* `fraud-top`: who has spent most today, of identities, countries and trunks. Adds up the shards of
 * the ledger, whose rows bear hashed names, and gives names back to the few that are shown. Shards
 * are engines', the directory is the vault's: nothing in either is believed. */
#include "app/monitor/lists.h"
#include "call/directory.h"
#include "call/payer.h"
#include "guard/ledger.h"
#include "io/clock.h"
#include "io/file.h"

#define TOP_MAX    50u
#define TOP_USUAL  10u
#define SPENDS_MAX (1u << 22)
#define REPLY_MAX  (256u << 10)

struct spend {
    uint64_t key;
    int64_t micro;
    uint32_t seconds, calls;
    uint8_t kind;
    struct str name; /* of policy or directory; empty: nobody of that name is left */
};
struct spends {
    struct spend *v;
    size_t n, cap;
};

static bool shown(uint8_t kind)
{
    return kind == LEDGER_IDENTITY || kind == LEDGER_COUNTRY || kind == LEDGER_TRUNK;
}

static bool push(struct spends *x, const struct spend *s)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        struct spend *v = cap <= SPENDS_MAX ? realloc(x->v, cap * sizeof *v) : NULL;
        if (!v)
            return false;
        x->v = v;
        x->cap = cap;
    }
    x->v[x->n++] = *s;
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct spend *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static int by_money(const void *a, const void *b)
{
    const struct spend *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->micro != y->micro)
        return x->micro > y->micro ? -1 : 1;
    if (x->seconds != y->seconds)
        return x->seconds > y->seconds ? -1 : 1;
    return x->calls > y->calls ? -1 : x->calls < y->calls;
}

static bool collect(const struct monitor *m, struct wall now, struct spends *x)
{
    for (uint32_t i = 0; i < m->n_engines; i++) {
        struct ledger_seed s;
        uint32_t it = 0, calls = 0;
        while (m->ledger_view[i] &&
               ledger_walk(m->ledger_view[i], (size_t)m->ledger[i].n, &it, &s, &calls, now)) {
            struct spend y = {.key = s.key,
                              .micro = MIN(MAX(s.micro[SPAN_DAY], 0), INT64_MAX / 64),
                              .seconds = MIN(s.seconds[SPAN_DAY], UINT32_MAX / 64),
                              .calls = MIN(calls, UINT32_MAX / 64),
                              .kind = s.kind};
            if (shown(s.kind) && (y.micro || y.seconds || y.calls) && !push(x, &y))
                return false;
        }
    }
    return true;
}

/* One a key, over all shards. */
static void merge(struct spends *x)
{
    size_t n = 0;
    if (!x->n)
        return;
    qsort(x->v, x->n, sizeof *x->v, by_key);
    for (size_t i = 0; i < x->n; i++) {
        struct spend *last = n ? &x->v[n - 1] : NULL;
        if (!last || by_key(last, &x->v[i]) != 0) {
            x->v[n++] = x->v[i];
            continue;
        }
        last->micro += x->v[i].micro;
        last->seconds += x->v[i].seconds;
        last->calls += x->v[i].calls;
    }
    x->n = n;
    qsort(x->v, x->n, sizeof *x->v, by_money);
}

/* The first few of a kind. */
static struct spend *first_of(struct spends *x, uint8_t kind, size_t most, size_t *ret_n)
{
    size_t at = 0, n = 0;
    while (at < x->n && x->v[at].kind < kind)
        at++;
    while (n < most && at + n < x->n && x->v[at + n].kind == kind)
        n++;
    *ret_n = n;
    return x->v + at;
}

static void name_it(const struct monitor *m, struct spend *v, size_t n, struct str name)
{
    uint64_t key = n ? ledger_key_of(&m->keys.ledger, (enum ledger_kind)v->kind, name) : 0;
    for (size_t i = 0; i < n; i++)
        if (v[i].key == key)
            v[i].name = name;
}

static void name_identities(const struct monitor *m, const struct directory *d, struct spend *v,
                            size_t n)
{
    const struct policy *p = &m->conf->policy;
    for (uint8_t i = 0; i < p->n_peers; i++)
        name_it(m, v, n, policy_text(p, p->peers[i].name));
    for (uint32_t i = 0; d && n && i < d->n_users; i++) {
        const struct directory_user *u =
            (const struct directory_user *)(const void *)((const uint8_t *)d + d->users_off) + i;
        name_it(m, v, n, directory_aor(d, u));
    }
}

static void name_countries(const struct monitor *m, struct spend *v, size_t n)
{
    static char text[26 * 26][2];
    for (unsigned i = 0; i < 26 * 26; i++) {
        text[i][0] = (char)('A' + i / 26);
        text[i][1] = (char)('A' + i % 26);
        name_it(m, v, n, str_of(text[i], 2));
    }
}

static void cap_put(struct out *o, const struct spend *s, const struct caps *c)
{
    int64_t percent = -1;
    if (!c)
        return;
    if (c->micro[SPAN_DAY]) {
        out_json_ki64(o, STR("micro_cap"), c->micro[SPAN_DAY]);
        percent = s->micro / MAX(c->micro[SPAN_DAY] / 100, 1);
    }
    if (c->seconds[SPAN_DAY]) {
        out_json_ku64(o, STR("seconds_cap"), c->seconds[SPAN_DAY]);
        percent = MAX(percent, (int64_t)s->seconds * 100 / c->seconds[SPAN_DAY]);
    }
    if (c->calls)
        out_json_ku64(o, STR("calls_cap"), c->calls);
    if (percent >= 0)
        out_json_ki64(o, STR("percent"), percent);
}

static const struct caps *caps_of(const struct gate_env *e, const struct spend *s, struct wall now)
{
    const struct policy *p = e->policy;
    struct payer who = money_payer(e, s->name, now);
    if (!s->name.n || s->kind == LEDGER_COUNTRY)
        return NULL;
    if (s->kind == LEDGER_IDENTITY)
        return who.user ? money_caps(p, &who, LEDGER_IDENTITY, CLASS_UNKNOWN, POLICY_NONE) : NULL;
    for (uint8_t i = 0; i < p->n_peers; i++)
        if (str_eq(policy_text(p, p->peers[i].name), s->name))
            return &p->peers[i].caps;
    return NULL;
}

static void list_put(struct out *o, const char *key, const struct gate_env *e,
                     const struct spend *v, size_t n, struct wall now)
{
    out_json_key(o, str_c(key));
    out_ch(o, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            out_ch(o, ',');
        out_ch(o, '{');
        if (v[i].name.n)
            out_json_kstr(o, STR("name"), v[i].name);
        out_json_ki64(o, STR("micro"), v[i].micro);
        out_json_ku64(o, STR("seconds"), v[i].seconds);
        out_json_ku64(o, STR("calls"), v[i].calls);
        cap_put(o, &v[i], caps_of(e, &v[i], now));
        out_ch(o, '}');
    }
    out_ch(o, ']');
}

static void document(const struct monitor *m, const struct directory *d, struct spends *x,
                     size_t most, struct out *o)
{
    struct wall now = clock_now().wall;
    struct gate_env e = {.policy = &m->conf->policy, .directory = d};
    size_t n;
    out_ch(o, '{');
    out_json_kstr(o, STR("currency"), policy_text(e.policy, e.policy->currency));
    struct spend *v = first_of(x, LEDGER_IDENTITY, most, &n);
    name_identities(m, d, v, n);
    list_put(o, "identities", &e, v, n, now);
    v = first_of(x, LEDGER_COUNTRY, most, &n);
    name_countries(m, v, n);
    list_put(o, "countries", &e, v, n, now);
    v = first_of(x, LEDGER_TRUNK, most, &n);
    for (uint8_t i = 0; i < e.policy->n_peers; i++)
        name_it(m, v, n, policy_text(e.policy, e.policy->peers[i].name));
    list_put(o, "trunks", &e, v, n, now);
    out_ch(o, '}');
}

void fraud_top(struct monitor *m, struct client *c, struct str req)
{
    struct spends x = {0};
    uint32_t most = TOP_USUAL;
    void *view = NULL;
    size_t bytes = (size_t)m->directory.n;
    (void)!str_u32(control_member(req, "n"), TOP_MAX, &most);
    if (m->directory.fd >= 0 && mem_map(m->directory.fd, bytes, false, true, &view) != OK)
        view = NULL;
    bool good = view && directory_valid(view, bytes) == OK;
    char *text = malloc(REPLY_MAX);
    struct out o = out_of(text, text ? REPLY_MAX : 0);
    bool all = collect(m, clock_now().wall, &x);
    if (text && all) {
        merge(&x);
        document(m, good ? view : NULL, &x, most, &o);
    }
    if (text && all && !o.full)
        client_answer(m, c, CONTROL_OK, out_str(&o));
    else
        client_sorry(m, c, CONTROL_FAILED, REASON_NONE, "the answer does not fit into memory");
    if (view)
        mem_unmap(view, bytes);
    free(text);
    free(x.v);
}
