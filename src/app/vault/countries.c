#include "app/vault/countries.h"
#include "app/vault/sealed.h"
#include "identity/rights.h"

void countries_init(struct countries *c, const struct sipkey *key)
{
    *c = (struct countries){.key = *key};
}

void countries_done(struct countries *c)
{
    free(c->v);
    free(c->map_mem);
    *c = (struct countries){0};
}

uint16_t country_code(struct str two)
{
    return str_ieq(two, STR("XX")) ? RIGHTS_NO_COUNTRY : country_parse(two);
}

void country_text(uint16_t code, char ret[COUNTRY_TEXT])
{
    ret[0] = (char)(code >> 8);
    ret[1] = (char)(code & 0xff);
    ret[2] = '\0';
}

const struct country *countries_next(const struct countries *c, struct str aor, uint32_t *it)
{
    uint32_t i;
    if (!c->map_mem)
        return NULL;
    while ((i = map_find(&c->map, siphash(&c->key, aor), it)) != 0)
        if (str_eq(str_c(c->v[i - 1].aor), aor))
            return &c->v[i - 1];
    return NULL;
}

const struct country *countries_find(const struct countries *c, struct str aor, uint16_t code)
{
    uint32_t it = 0;
    const struct country *x;
    while ((x = countries_next(c, aor, &it)) != NULL && x->code != code)
        ;
    return x;
}

static uint64_t hash_of(const struct countries *c, uint32_t i)
{
    return siphash(&c->key, str_c(c->v[i].aor));
}

static enum err grow(struct countries *c)
{
    uint32_t cap = c->cap ? c->cap * 2 : 64;
    void *mem = cap <= 2 * COUNTRIES_MAX ? malloc(map_bytes(cap)) : NULL;
    struct country *v = mem ? realloc(c->v, cap * sizeof *v) : NULL;
    if (!v) {
        free(mem);
        return ERR_FULL;
    }
    free(c->map_mem);
    c->v = v;
    c->cap = cap;
    c->map_mem = mem;
    map_init(&c->map, mem, cap);
    for (uint32_t i = 0; i < c->n; i++)
        if (map_put(&c->map, hash_of(c, i), i + 1) != OK)
            return ERR_FULL;
    return OK;
}

static void take_out(struct countries *c, uint32_t i)
{
    uint32_t last = c->n - 1;
    (void)map_del(&c->map, hash_of(c, i), i + 1);
    if (i != last) {
        (void)map_del(&c->map, hash_of(c, last), last + 1);
        c->v[i] = c->v[last];
        CHECK(map_put(&c->map, hash_of(c, i), i + 1) == OK); /* two have just gone */
    }
    c->n--;
    c->changed = true;
}

bool countries_forget(struct countries *c, struct str aor, uint16_t code)
{
    const struct country *x = countries_find(c, aor, code);
    if (x)
        take_out(c, (uint32_t)(x - c->v));
    return x != NULL;
}

void countries_forget_user(struct countries *c, struct str aor)
{
    const struct country *x;
    uint32_t it = 0;
    while ((x = countries_next(c, aor, &it)) != NULL) {
        take_out(c, (uint32_t)(x - c->v));
        it = 0;
    }
}

static void text_keep(char *to, size_t max, struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max; i++)
        if (s.p[i] >= ' ' && s.p[i] <= '~')
            to[n++] = s.p[i];
    to[n] = '\0';
}

static bool known(uint16_t code)
{
    char text[COUNTRY_TEXT];
    country_text(code, text);
    return code && country_code(str_of(text, 2)) == code;
}

enum err countries_allow(struct countries *c, struct str aor, uint16_t code, struct str by,
                         struct wall now)
{
    uint32_t it = 0, n = 0;
    const struct country *x;
    if (!known(code))
        return ERR_SYNTAX;
    if (!aor.n || aor.n > COUNTRY_AOR_MAX)
        return ERR_LIMIT;
    while ((x = countries_next(c, aor, &it)) != NULL) {
        if (x->code == code)
            return ERR_EXISTS;
        n++;
    }
    if (n >= DIRECTORY_COUNTRIES)
        return ERR_LIMIT;
    if (c->n >= COUNTRIES_MAX || (c->n == c->cap && grow(c) != OK) ||
        map_put(&c->map, siphash(&c->key, aor), c->n + 1) != OK)
        return ERR_FULL;
    struct country *y = &c->v[c->n++];
    *y = (struct country){.code = code, .when = now};
    memcpy(y->aor, aor.p, aor.n);
    text_keep(y->by, COUNTRY_BY_MAX, by);
    c->changed = true;
    return OK;
}

/* --- the file --- */

size_t countries_bytes(const struct countries *c)
{
    return SEALED_EXTRA + (size_t)c->n * (COUNTRY_AOR_MAX + COUNTRY_BY_MAX + 32);
}

enum err countries_print(const struct countries *c, struct out *o)
{
    char text[COUNTRY_TEXT];
    sealed_head(o, STR("countries"));
    for (uint32_t i = 0; i < c->n; i++) {
        country_text(c->v[i].code, text);
        out_put(o, str_c(c->v[i].aor));
        out_ch(o, '\t');
        out_put(o, str_c(text));
        out_ch(o, '\t');
        out_u64(o, (uint64_t)c->v[i].when.us);
        out_ch(o, '\t');
        out_put(o, str_c(c->v[i].by));
        out_ch(o, '\n');
    }
    return sealed_tail(o, c->n);
}

static enum err read_one(struct countries *c, const struct str f[4])
{
    uint64_t when;
    uint16_t code = country_code(f[1]);
    if (!code || str_u64(f[2], INT64_MAX, &when) != OK || f[3].n > COUNTRY_BY_MAX)
        return ERR_SYNTAX;
    return countries_allow(c, f[0], code, f[3], (struct wall){(int64_t)when});
}

enum err countries_parse(struct countries *c, struct str file, uint32_t *reterr_line,
                         const char **reterr_why)
{
    struct sealed s;
    struct str f[4];
    enum err e = sealed_open(&s, file, STR("countries"));
    while (e == OK && (e = sealed_next(&s, f, 4)) == OK) {
        e = read_one(c, f);
        if (e != OK)
            s.why = "the line of a country is malformed";
    }
    c->changed = false;
    if (e == ERR_NOT_FOUND)
        return OK;
    *reterr_line = s.line;
    *reterr_why = s.why;
    return ERR_SYNTAX;
}
