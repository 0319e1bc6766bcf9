#include "wire/jose/jwt.h"

static enum err decoded(struct str part, char *mem, size_t cap, size_t *used, struct json *ret)
{
    size_t n = 0;
    enum err e = b64url_decode(part, mem + *used, cap - *used, &n);
    if (e == OK)
        e = json_read(str_of(mem + *used, n), ret);
    *used += n;
    return e == OK && ret->kind != JOSE_OBJECT ? ERR_SYNTAX : e;
}

static uint8_t alg_of(struct str s)
{
    return str_eq(s, STR("RS256"))   ? JWT_RS256
           : str_eq(s, STR("ES256")) ? JWT_ES256
           : str_eq(s, STR("EdDSA")) ? JWT_EDDSA
                                     : 0;
}

static enum err header(struct jwt *t, const struct json *h)
{
    struct json v;
    struct str typ = json_text(h, STR("typ"));
    if (json_get(h, STR("crit"), &v) != ERR_NOT_FOUND || json_get(h, STR("alg"), &v) != OK)
        return ERR_UNSUPPORTED;
    t->alg = alg_of(json_text(h, STR("alg")));
    if (!t->alg || (json_get(h, STR("typ"), &v) != ERR_NOT_FOUND && !str_ieq(typ, STR("JWT")) &&
                    !str_ieq(typ, STR("at+jwt"))))
        return ERR_UNSUPPORTED;
    t->kid = json_text(h, STR("kid"));
    return json_get(h, STR("kid"), &v) == ERR_NOT_FOUND || t->kid.n > 0 ? OK : ERR_SYNTAX;
}

static enum err maybe(const struct json *claims, struct str key, int64_t *ret)
{
    enum err e = json_seconds(claims, key, ret);
    return e == ERR_NOT_FOUND ? OK : e;
}

enum err jwt_parse(struct str token, char *mem, struct jwt *ret_t)
{
    struct str head, body;
    struct json h;
    struct jwt t = {.alg = 0};
    size_t used = 0, n = 0;
    if (token.n > JWT_TOKEN_MAX)
        return ERR_LIMIT;
    struct str rest = str_cut(token, '.', &head);
    struct str sig = str_cut(rest, '.', &body);
    if (str_find(sig, '.') < sig.n || sig.n == 0)
        return ERR_SYNTAX;
    enum err e = decoded(head, mem, JWT_TOKEN_MAX, &used, &h);
    if (e == OK)
        e = header(&t, &h);
    if (e == OK)
        e = decoded(body, mem, JWT_TOKEN_MAX, &used, &t.claims);
    if (e == OK)
        e = b64url_decode(sig, t.sig, sizeof t.sig, &n);
    if (e == OK)
        e = json_seconds(&t.claims, STR("exp"), &t.exp);
    if (e == OK)
        e = maybe(&t.claims, STR("nbf"), &t.nbf);
    if (e == OK)
        e = maybe(&t.claims, STR("iat"), &t.iat);
    if (e != OK)
        return e == ERR_NOT_FOUND ? ERR_SYNTAX : e;
    t.sig_n = (uint16_t)n;
    t.input = str_head(token, token.n - sig.n - 1);
    *ret_t = t;
    return OK;
}

bool jwt_for(const struct jwt *t, struct str audience)
{
    struct json aud, one;
    size_t at = 0;
    if (json_get(&t->claims, STR("aud"), &aud) != OK || audience.n == 0)
        return false;
    if (aud.kind == JOSE_STRING)
        return !aud.escaped && str_eq(aud.text, audience);
    while (json_each(&aud, &at, &one))
        if (one.kind == JOSE_STRING && !one.escaped && str_eq(one.text, audience))
            return true;
    return false;
}

bool jwt_scope(const struct jwt *t, struct str scope)
{
    struct str rest = json_text(&t->claims, STR("scope")), one;
    while (rest.n > 0) {
        rest = str_cut(rest, ' ', &one);
        if (str_eq(one, scope))
            return true;
    }
    return false;
}

static enum err rsa(const struct json *o, struct jwk *k)
{
    uint8_t e[8];
    size_t n = 0, en = 0;
    struct str mod = json_text(o, STR("n")), exp = json_text(o, STR("e"));
    if (b64url_decode(mod, k->bytes, sizeof k->bytes, &n) != OK ||
        b64url_decode(exp, e, sizeof e, &en) != OK || en == 0 || n == 0)
        return ERR_SYNTAX;
    if (n < 256 || k->bytes[0] < 0x80 || n > JWT_SIG_MAX || en > 4 || !(e[en - 1] & 1) ||
        (en == 1 && e[0] < 3))
        return ERR_RANGE;
    memcpy(k->e + 4 - en, e, en);
    k->n = (uint16_t)n;
    k->alg = JWT_RS256;
    return OK;
}

static enum err point(const struct json *o, struct jwk *k)
{
    size_t x = 0, y = 0;
    if (b64url_decode(json_text(o, STR("x")), k->bytes, 32, &x) != OK ||
        b64url_decode(json_text(o, STR("y")), k->bytes + 32, 32, &y) != OK || x != 32 || y != 32)
        return ERR_SYNTAX;
    k->n = 64;
    k->alg = JWT_ES256;
    return OK;
}

enum err jwk_parse(const struct json *object, struct jwk *ret_k)
{
    struct json v;
    struct jwk k = {.alg = 0};
    struct str kty = json_text(object, STR("kty")), crv = json_text(object, STR("crv"));
    struct str use = json_text(object, STR("use"));
    size_t n = 0;
    enum err e = OK;
    if (object->kind != JOSE_OBJECT || kty.n == 0)
        return ERR_SYNTAX;
    k.kid = json_text(object, STR("kid"));
    if (k.kid.n > JWK_KID)
        return ERR_SYNTAX;
    if (json_get(object, STR("d"), &v) != ERR_NOT_FOUND ||
        json_get(object, STR("k"), &v) != ERR_NOT_FOUND)
        return ERR_RANGE;
    if (use.n > 0 && !str_eq(use, STR("sig"))) {
        *ret_k = k;
        return OK;
    }
    if (str_eq(kty, STR("RSA"))) {
        e = rsa(object, &k);
    } else if (str_eq(kty, STR("EC")) && str_eq(crv, STR("P-256"))) {
        e = point(object, &k);
    } else if (str_eq(kty, STR("OKP")) && str_eq(crv, STR("Ed25519"))) {
        e = b64url_decode(json_text(object, STR("x")), k.bytes, 32, &n);
        e = e == OK && n != 32 ? ERR_SYNTAX : e;
        k.n = 32;
        k.alg = JWT_EDDSA;
    }
    /* A key that says what it is for is for nothing else. */
    struct str alg = json_text(object, STR("alg"));
    if (e == OK && alg.n > 0 && alg_of(alg) != k.alg)
        k.alg = 0;
    if (e == OK)
        *ret_k = k;
    return e;
}
