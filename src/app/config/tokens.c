/* tokens: whose bearer tokens are believed, and credentials of web clients. */
#include "app/config/yaml.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define JWKS_BYTES 65536u
#define AT(m)      offsetof(struct token_policy, m)

/* All of a small file; n 0 and told if it cannot be read. */
static size_t slurp(struct load *l, struct pos at, struct str name, char *ret)
{
    char path[CONFIG_PATH];
    size_t n = 0;
    ssize_t got = 1;
    if (name.n >= sizeof path)
        return 0;
    memcpy(path, name.p, name.n);
    path[name.n] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && n < JWKS_BYTES && (got = read(fd, ret + n, JWKS_BYTES - n)) > 0)
        n += (size_t)got;
    if (fd < 0 || got < 0)
        problem(l, at, "a JSON file {\"keys\": [...]}", "jwks: %.60s cannot be read: %s", path,
                strerror(errno));
    if (n == JWKS_BYTES)
        problem(l, at, NULL, "jwks: %.60s is longer than %u bytes", path, JWKS_BYTES);
    if (fd >= 0)
        (void)close(fd);
    return n < JWKS_BYTES ? n : 0;
}

static void key_add(struct load *l, struct pos at, unsigned number, const struct json *one)
{
    struct token_policy *p = &l->p->tokens;
    struct jwk k;
    enum err e = jwk_parse(one, &k);
    if (e != OK) {
        problem(l, at, "RSA of 2048 bits or more, EC P-256 or OKP Ed25519; no private keys",
                "jwks: key %u is %s", number, e == ERR_RANGE ? "weak, or not public" : "malformed");
        return;
    }
    if (!k.alg)
        return;
    if (p->n_keys >= TOKEN_KEYS) {
        problem(l, at, NULL, "jwks: more than %u keys", TOKEN_KEYS);
        return;
    }
    struct token_key *to = &p->keys[p->n_keys++];
    to->alg = k.alg;
    to->kid_n = (uint8_t)k.kid.n;
    to->n = k.n;
    if (k.kid.n)
        memcpy(to->kid, k.kid.p, k.kid.n);
    memcpy(to->e, k.e, sizeof to->e);
    memcpy(to->bytes, k.bytes, sizeof to->bytes);
}

/* The public keys of a JWK set (RFC 7517 5). dst: not used. */
static void rd_jwks(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    char *text = malloc(JWKS_BYTES);
    struct span file = SPAN_NONE;
    struct json set, keys, one;
    struct pos at = pos_of(n);
    size_t i = 0;
    (void)dst;
    rd_file(l, f, n, &file);
    if (!text || !file.len || l->o->no_files) {
        free(text);
        return;
    }
    size_t bytes = slurp(l, at, policy_text(l->p, file), text);
    if (bytes > 0 && (json_read(str_of(text, bytes), &set) != OK ||
                      json_get(&set, STR("keys"), &keys) != OK || keys.kind != JOSE_ARRAY))
        problem(l, at, "a JSON file {\"keys\": [...]}", "jwks: this is no JWK set");
    else
        for (unsigned k = 1; bytes > 0 && json_each(&keys, &i, &one); k++)
            key_add(l, at, k, &one);
    if (bytes > 0 && l->e->n_errors == 0 && l->p->tokens.n_keys == 0)
        problem(l, at, NULL, "jwks: there is no key for RS256, ES256 or EdDSA in it");
    free(text);
}

static const struct field BEARER[] = {
    {"issuer", rd_text, AT(issuer), true, 1, 200, NULL},
    {"audience", rd_text, AT(audience), true, 1, 200, NULL},
    {"jwks", rd_jwks, 0, true, 1, CONFIG_PATH - 1, NULL},
    {"claim", rd_name, AT(claim), false, 1, 30, NULL},
    {"scope", rd_name, AT(scope), false, 1, 60, NULL},
    {"authz_server", rd_text, AT(authz_server), false, 8, 200, NULL},
    {"life", rd_seconds, AT(life_s), false, 60, 31536000, NULL},
};
static const struct field HMAC[] = {
    {"life", rd_seconds, AT(hmac_life_s), false, 60, 31536000, NULL},
};

static bool quotable(const struct load *l, struct span s)
{
    struct str t = policy_text(l->p, s);
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] > '~' || t.p[i] == '"' || t.p[i] == '\\')
            return false;
    return true;
}

static void rd_bearer(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct token_policy *p = dst;
    (void)f;
    (void)map_read(l, n, "bearer", BEARER, ARRAY_LEN(BEARER), p);
    p->bearer = true;
    if (!quotable(l, p->authz_server))
        problem(l, pos_of(n), "an https URL", "authz_server: a byte that no URL has");
}

static void rd_hmac(struct load *l, const struct field *f, struct fy_node *n, void *dst)
{
    struct token_policy *p = dst;
    (void)f;
    (void)map_read(l, n, "hmac", HMAC, ARRAY_LEN(HMAC), p);
    p->hmac = true;
}

void read_tokens(struct load *l, struct fy_node *n)
{
    static const struct field TOKENS[] = {
        {"bearer", rd_bearer, 0, false, 0, 0, NULL},
        {"hmac", rd_hmac, 0, false, 0, 0, NULL},
    };
    (void)map_read(l, n, "tokens", TOKENS, ARRAY_LEN(TOKENS), &l->p->tokens);
}
