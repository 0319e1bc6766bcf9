#include "identity/digest.h"
#include "crypto/hash.h"

static const struct {
    struct str name;
    enum hash_alg hash;
    uint8_t hex_chars;
} ALGS[DIGEST_ALG_COUNT] = {
    [DIGEST_SHA256] = {{"SHA-256", 7}, HASH_SHA256, 64},
    [DIGEST_SHA512_256] = {{"SHA-512-256", 11}, HASH_SHA512_256, 64},
    [DIGEST_MD5] = {{"MD5", 3}, HASH_MD5, 32},
};

struct str digest_alg_name(enum digest_alg a)
{
    return (unsigned)a < DIGEST_ALG_COUNT ? ALGS[a].name : STR_NONE;
}

enum err digest_alg_parse(struct str s, enum digest_alg *ret_a)
{
    if (s.n == 0) {
        *ret_a = DIGEST_MD5;
        return OK;
    }
    for (unsigned i = 0; i < DIGEST_ALG_COUNT; i++) {
        if (str_ieq(s, ALGS[i].name)) {
            *ret_a = (enum digest_alg)i;
            return OK;
        }
    }
    return ERR_UNSUPPORTED;
}

size_t digest_hex_chars(enum digest_alg a)
{
    return (unsigned)a < DIGEST_ALG_COUNT ? ALGS[a].hex_chars : 0;
}

/* H(part ":" part ...) in hex. */
static enum err join_hash(enum digest_alg a, const struct str *parts, size_t n, char *ret_hex)
{
    struct str with_colons[16];
    uint8_t raw[HASH_MAX];
    size_t k = 0;
    if ((unsigned)a >= DIGEST_ALG_COUNT)
        return ERR_UNSUPPORTED;
    CHECK(n >= 1 && 2 * n - 1 <= ARRAY_LEN(with_colons));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            with_colons[k++] = STR(":");
        with_colons[k++] = parts[i];
    }
    enum err e = hash_parts(ALGS[a].hash, with_colons, k, raw);
    if (e == OK)
        hex_encode(raw, ALGS[a].hex_chars / 2u, ret_hex);
    mem_wipe(raw, sizeof(raw));
    return e;
}

enum err digest_ha1(enum digest_alg a, struct str user, struct str realm, struct str password,
                    char ret_hex[DIGEST_HEX_MAX])
{
    const struct str parts[] = {user, realm, password};
    return join_hash(a, parts, ARRAY_LEN(parts), ret_hex);
}

enum err digest_ha2(enum digest_alg a, struct str method, struct str uri, bool auth_int,
                    struct str body, char ret_hex[DIGEST_HEX_MAX])
{
    char body_hex[DIGEST_HEX_MAX];
    struct str parts[3] = {method, uri, STR_NONE};
    if (auth_int) {
        enum err e = join_hash(a, &body, 1, body_hex);
        if (e != OK)
            return e;
        parts[2] = str_of(body_hex, ALGS[a].hex_chars);
    }
    return join_hash(a, parts, auth_int ? 3 : 2, ret_hex);
}

enum err digest_response(enum digest_alg a, struct str ha1, struct str nonce, struct str nc,
                         struct str cnonce, struct str qop, struct str ha2,
                         char ret_hex[DIGEST_HEX_MAX])
{
    const struct str with_qop[] = {ha1, nonce, nc, cnonce, qop, ha2};
    const struct str rfc2069[] = {ha1, nonce, ha2};
    if (qop.n > 0)
        return join_hash(a, with_qop, ARRAY_LEN(with_qop), ret_hex);
    return join_hash(a, rfc2069, ARRAY_LEN(rfc2069), ret_hex);
}
