#include "app/vault/countries.h"
#include "app/vault/sealed.h"
#include "identity/rights.h"

void countries_init(struct countries *c, const struct sipkey *key)
{
    c->changed = false;
    by_user_init(&c->rows, sizeof(struct country), COUNTRIES_MAX, key);
}

void countries_done(struct countries *c)
{
    by_user_done(&c->rows);
    c->changed = false;
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
    return by_user_next(&c->rows, aor, it);
}

const struct country *countries_find(const struct countries *c, struct str aor, uint16_t code)
{
    uint32_t it = 0;
    const struct country *x;
    while ((x = countries_next(c, aor, &it)) != NULL && x->code != code)
        ;
    return x;
}

static void take_out(struct countries *c, const struct country *x)
{
    c->changed = true;
    by_user_drop(&c->rows, x);
}

bool countries_forget(struct countries *c, struct str aor, uint16_t code)
{
    const struct country *x = countries_find(c, aor, code);
    if (x)
        take_out(c, x);
    return x != NULL;
}

void countries_forget_user(struct countries *c, struct str aor)
{
    const struct country *x;
    uint32_t it = 0;
    while ((x = countries_next(c, aor, &it)) != NULL) {
        take_out(c, x);
        it = 0;
    }
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
    void *row;
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
    enum err e = by_user_add(&c->rows, aor, &row);
    if (e != OK)
        return e;
    struct country *y = row;
    y->code = code;
    y->when = now;
    by_user_text(y->by, COUNTRY_BY_MAX, by);
    c->changed = true;
    return OK;
}

/* --- the file --- */

size_t countries_bytes(const struct countries *c)
{
    return SEALED_EXTRA + (size_t)c->rows.n * (COUNTRY_AOR_MAX + COUNTRY_BY_MAX + 32);
}

enum err countries_print(const struct countries *c, struct out *o)
{
    char text[COUNTRY_TEXT];
    sealed_head(o, STR("countries"));
    for (uint32_t i = 0; i < c->rows.n; i++) {
        const struct country *x = by_user_at(&c->rows, i);
        country_text(x->code, text);
        out_put(o, str_c(x->aor));
        out_ch(o, '\t');
        out_put(o, str_c(text));
        out_ch(o, '\t');
        out_u64(o, (uint64_t)x->when.us);
        out_ch(o, '\t');
        out_put(o, str_c(x->by));
        out_ch(o, '\n');
    }
    return sealed_tail(o, c->rows.n);
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
