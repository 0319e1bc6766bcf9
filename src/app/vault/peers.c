#include "app/vault/peers.h"
#include "app/vault/sealed.h"

static uint32_t position(const struct peers *p, struct str name)
{
    uint32_t i = 0;
    while (i < p->n && !str_eq(str_c(p->v[i].name), name))
        i++;
    return i;
}

const struct peer *peers_find(const struct peers *p, struct str name)
{
    uint32_t i = position(p, name);
    return i < p->n ? &p->v[i] : NULL;
}

enum err peers_put(struct peers *p, struct str name, struct str password)
{
    if (name.n == 0 || name.n > PEER_NAME_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return ERR_SYNTAX;
    if (password.n == 0 || password.n > SECRET_MAX)
        return ERR_LIMIT;
    uint32_t i = position(p, name);
    if (i >= PEERS_MAX)
        return ERR_FULL;
    struct peer *x = &p->v[i];
    memset(x->name, 0, sizeof(x->name));
    memcpy(x->name, name.p, name.n);
    p->n = MAX(p->n, i + 1);
    return secret_set(&x->password, password);
}

bool peers_del(struct peers *p, struct str name)
{
    uint32_t i = position(p, name);
    if (i >= p->n)
        return false;
    p->v[i] = p->v[p->n - 1];
    mem_wipe(&p->v[--p->n], sizeof(p->v[0]));
    return true;
}

enum err peers_print_as(const struct peers *p, struct str kind, struct out *o)
{
    sealed_head(o, kind);
    for (uint32_t i = 0; i < p->n; i++) {
        out_put(o, str_c(p->v[i].name));
        out_ch(o, '\t');
        out_hex(o, p->v[i].password.b, p->v[i].password.n);
        out_ch(o, '\n');
    }
    return sealed_tail(o, p->n);
}

enum err peers_print(const struct peers *p, struct out *o)
{
    return peers_print_as(p, STR("peers"), o);
}

enum err peers_parse(struct peers *p, struct str file, uint32_t *reterr_line,
                     const char **reterr_why)
{
    return peers_parse_as(p, STR("peers"), file, reterr_line, reterr_why);
}

enum err peers_parse_as(struct peers *p, struct str kind, struct str file, uint32_t *reterr_line,
                        const char **reterr_why)
{
    struct sealed s;
    struct str f[2];
    uint8_t raw[SECRET_MAX];
    enum err e = sealed_open(&s, file, kind);
    while (e == OK && (e = sealed_next(&s, f, 2)) == OK) {
        size_t n = f[1].n / 2;
        if (peers_find(p, f[0]))
            e = ERR_EXISTS;
        else if (n > sizeof(raw) || hex_decode(f[1], raw, n) != OK)
            e = ERR_SYNTAX;
        else
            e = peers_put(p, f[0], str_of((const char *)raw, n));
        if (e != OK)
            s.why = "the peer's line is malformed";
    }
    mem_wipe(raw, sizeof(raw));
    if (e == ERR_NOT_FOUND)
        return OK;
    *reterr_line = s.line;
    *reterr_why = s.why;
    return ERR_SYNTAX;
}
