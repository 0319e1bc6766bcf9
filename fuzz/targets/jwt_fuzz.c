/* Tokens, key sets and SANs as strangers write them. First byte: 't' a token, 'j' JSON, 'k' a key,
 * 'p' SANs in lines. What is read is inside of what was given. */
#include "identity/proof.h"
#include "wire/jose/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void members(const struct json *v, struct str whole)
{
    struct json one;
    size_t at = 0, before = 0;
    CHECK(v->text.n <= whole.n);
    (void)json_text(v, STR("sub"));
    CHECK(json_get(v, STR("keys"), &one) != OK || one.text.n < v->text.n);
    while (json_each(v, &at, &one)) {
        CHECK(at > before && one.text.n <= v->text.n);
        before = at;
    }
}

static void names(struct str lines)
{
    struct proof p = {.n = 0};
    struct str one, user;
    while (lines.n > 0) {
        lines = str_cut(lines, '\n', &one);
        proof_add(&p, one);
        CHECK(p.n <= PROOF_NAMES);
    }
    struct str rest = proof_text(&p);
    while (rest.n > 0) {
        rest = str_cut(rest, ' ', &one);
        struct str host = str_cut(one, '@', &user);
        CHECK(user.n > 0 && host.n > 0 && proof_names(&p, user, host));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char mem[JWT_TOKEN_MAX];
    struct str s = str_of((const char *)data + 1, n > 0 ? n - 1 : 0);
    struct json v;
    struct jwk k;
    struct jwt t;
    if (n == 0)
        return 0;
    if (data[0] == 't' && jwt_parse(s, mem, &t) == OK) {
        CHECK(t.alg >= JWT_RS256 && t.alg <= JWT_EDDSA && t.sig_n <= JWT_SIG_MAX);
        CHECK(t.input.p == s.p && t.input.n < s.n && t.exp >= 0);
        (void)jwt_for(&t, STR("ringwall"));
        (void)jwt_scope(&t, STR("sip"));
    }
    if ((data[0] == 'j' || data[0] == 'k') && json_read(s, &v) == OK) {
        members(&v, s);
        if (data[0] == 'k' && jwk_parse(&v, &k) == OK)
            CHECK(k.n <= JWK_BYTES && k.kid.n <= JWK_KID && k.alg <= JWT_EDDSA);
    }
    if (data[0] == 'p')
        names(s);
    return 0;
}
