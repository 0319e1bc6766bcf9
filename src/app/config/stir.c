/* stir: who signs calls, and whose signatures are believed. */
#include "app/config/yaml.h"
#include "base/lex.h"

struct section {
    struct stir_policy s;
    struct span trusted, ca, key;
};

static void rd_allow(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct stir_policy *s = dst;
    void *it = NULL;
    if (!seq_open(l, f, n))
        return;
    for (struct fy_node *e; (e = seq_next(n, &it)) && s->n_allow < STIR_ALLOW;)
        rd_host(l, f, e, &s->allow[s->n_allow++]);
}

static const struct word PASS_428[] = {{"pass", 0}, {"refuse", 1}, {NULL, 0}};
static const struct word UNSIGNED[] = {{"send", 0}, {"refuse", 1}, {NULL, 0}};

static void rd_choice(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    int v = word_find(l, f->key, n, f->more);
    if (v >= 0)
        *(bool *)dst = v == 1;
}

static void rd_inbound(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    static const struct field IN[] = {
        {"no_identity", rd_choice, offsetof(struct stir_policy, refuse_none), false, 0, 0,
         PASS_428},
        {"failed", rd_choice, offsetof(struct stir_policy, refuse_failed), false, 0, 0, PASS_428},
    };
    (void)map_read(l, n, f->key, IN, ARRAY_LEN(IN), dst);
}

/* A waiver of its own: it names who answers for it, why, and until when. */
static void rd_private(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct waiver {
        struct span name, owner, reason;
        struct wall until;
    } w = {0};
    static const struct field PRIVATE[] = {
        {"name", rd_name, offsetof(struct waiver, name), true, 1, 30, NULL},
        {"owner", rd_text, offsetof(struct waiver, owner), true, 1, 100, NULL},
        {"reason", rd_text, offsetof(struct waiver, reason), true, 1, 200, NULL},
        {"expires", rd_date, offsetof(struct waiver, until), true, 0, 0, NULL},
    };
    struct stir_policy *s = dst;
    (void)map_read(l, n, f->key, PRIVATE, ARRAY_LEN(PRIVATE), &w);
    s->private_name = w.name;
    s->private_until = w.until;
    if (w.until.us && w.until.us <= l->o->now.us)
        warning(l, pos_of(n), "renew it, or take it out",
                "%s: the waiver has expired: certificates on private addresses are not fetched",
                f->key);
}

static void rd_x5u(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct str s;
    rd_text(l, f, n, dst);
    if (!scalar(l, f->key, n, &s))
        return;
    bool ok = str_starts(s, STR("https://")) && s.n > 8;
    for (size_t i = 0; i < s.n; i++)
        ok &= s.p[i] > ' ' && s.p[i] <= '~' && !memchr("<>\"\\#", s.p[i], 5);
    if (!ok)
        problem(l, pos_of(n),
                "https://HOST/PATH of the certificate that `ringwall stir install` took",
                "%s: not an https URL", f->key);
}

#define AT(member) offsetof(struct section, member)
static const struct field STIR[] = {
    {"trusted", rd_file, AT(trusted), false, 0, 0, NULL},
    {"ca", rd_file, AT(ca), false, 0, 0, NULL},
    {"allow", rd_allow, AT(s), false, 1, STIR_ALLOW, NULL},
    {"allow_private", rd_private, AT(s), false, 0, 0, NULL},
    {"fresh", rd_seconds, AT(s.fresh_s), false, 1, 3600, NULL},
    {"inbound", rd_inbound, AT(s), false, 0, 0, NULL},
    {"key", rd_name, AT(key), false, 1, CONFIG_NAME - 1, NULL},
    {"x5u", rd_x5u, AT(s.x5u), false, 9, 255, NULL},
    {"unsigned", rd_choice, AT(s.refuse_unsigned), false, 0, 0, UNSIGNED},
};

static void copy(const struct policy *p, struct span sp, char *to, size_t cap)
{
    struct str s = policy_text(p, sp);
    size_t n = MIN(s.n, cap - 1);
    if (n)
        memcpy(to, s.p, n);
    to[n] = 0;
}

void read_stir(struct load *l, struct fy_node *n)
{
    struct section section = {.s = l->p->stir};
    struct stir_policy *s = &l->p->stir;
    (void)map_read(l, n, "stir", STIR, ARRAY_LEN(STIR), &section);
    *s = section.s;
    copy(l->p, section.trusted, l->c->stir_trusted, sizeof l->c->stir_trusted);
    copy(l->p, section.ca, l->c->stir_ca, sizeof l->c->stir_ca);
    copy(l->p, section.key, l->c->stir_key, sizeof l->c->stir_key);
    s->verify = section.trusted.len && s->n_allow;
    s->sign = section.key.len && s->x5u.len;
    s->key = l->c->n_certs; /* behind the listeners' keys */
    if (!section.trusted.len != !s->n_allow)
        problem(l, pos_of(n), "authorities to believe, and hosts that certificates lie on",
                "stir: \"trusted\" and \"allow\" belong together");
    if (!section.key.len != !s->x5u.len)
        problem(l, pos_of(n), "a key of `ringwall stir key`, and the URL of its certificate",
                "stir: \"key\" and \"x5u\" belong together");
    if (s->sign && l->c->n_certs >= CONFIG_CERTS) {
        problem(l, pos_of(n), "take a certificate out",
                "stir: %u certificates leave no room for its key", (unsigned)CONFIG_CERTS);
        s->key = 0;
    }
}

void judge_stir(struct load *l)
{
    for (unsigned i = 0; i < l->p->n_peers; i++) {
        const struct policy_peer *pe = &l->p->peers[i];
        if (pe->sign && !l->p->stir.sign)
            problem(l, l->peer_at[i], "stir: {key: NAME, x5u: URL}",
                    "sign: there is no key to sign with");
        if (pe->verify && !l->p->stir.verify)
            problem(l, l->peer_at[i], "stir: {trusted: FILE, allow: [HOST]}",
                    "verify: nobody's signature is believed");
    }
}
