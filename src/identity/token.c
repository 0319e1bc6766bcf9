#include "identity/token.h"
#include "crypto/jws.h"

void token_policy_default(struct token_policy *p)
{
    memset(p, 0, sizeof *p);
    p->hmac_life_s = 86400;
}

enum err token_policy_valid(const struct token_policy *p)
{
    if (p->n_keys > TOKEN_KEYS || (p->bearer && (!p->issuer.len || !p->audience.len)))
        return ERR_RANGE;
    for (unsigned i = 0; i < p->n_keys; i++)
        if (p->keys[i].kid_n > JWK_KID || p->keys[i].n > JWK_BYTES || p->keys[i].alg > JWT_EDDSA)
            return ERR_RANGE;
    return OK;
}

/* By the keys of its algorithm and, if it names one, of that name. A name is no secret and no
 * proof: the key must be of the algorithm's kind, so no public key is ever taken for a secret. */
static bool signed_right(const struct token_policy *p, const struct jwt *t)
{
    for (unsigned i = 0; i < p->n_keys; i++) {
        const struct token_key *k = &p->keys[i];
        if (k->alg != t->alg || (t->kid.n > 0 && !str_eq(str_of(k->kid, k->kid_n), t->kid)))
            continue;
        if (jws_verify((enum jws_kind)t->alg, str_of((const char *)k->bytes, k->n), k->e, t->input,
                       str_of((const char *)t->sig, t->sig_n)) == OK)
            return true;
    }
    return false;
}

static bool timely(const struct token_policy *p, const struct jwt *t, int64_t now)
{
    return (t->nbf == 0 || t->nbf <= now + TOKEN_SKEW_S) &&
           (t->iat == 0 || t->iat <= now + TOKEN_SKEW_S) &&
           (p->life_s == 0 || (t->iat > 0 && t->exp - t->iat <= (int64_t)p->life_s));
}

static bool named(const struct token_policy *p, struct str text, const struct jwt *t,
                  struct str *ret_user, struct str *ret_host)
{
    struct str name = json_text(&t->claims, p->claim.len ? span_str(text, p->claim) : STR("sub"));
    if (str_istarts(name, STR("sip:")))
        name = str_skip(name, 4);
    *ret_host = str_cut(name, '@', ret_user);
    return ret_user->n > 0 && ret_user->n <= 64;
}

enum reason token_judge(const struct token_policy *p, struct str text, struct str token,
                        struct wall now, char mem[JWT_TOKEN_MAX], struct str *ret_user,
                        struct str *ret_host)
{
    struct jwt t;
    int64_t s = now.us / 1000000;
    if (!p->bearer || jwt_parse(token, mem, &t) != OK ||
        !str_eq(json_text(&t.claims, STR("iss")), span_str(text, p->issuer)) ||
        !jwt_for(&t, span_str(text, p->audience)) ||
        (p->scope.len && !jwt_scope(&t, span_str(text, p->scope))) || !timely(p, &t, s) ||
        !named(p, text, &t, ret_user, ret_host) || !signed_right(p, &t))
        return REASON_auth_token;
    return s >= t.exp + TOKEN_SKEW_S ? REASON_auth_token_expired : REASON_NONE;
}

bool token_hmac_name(struct str name, int64_t *ret_end_s, struct str *ret_user)
{
    struct str end;
    uint64_t s = 0;
    *ret_user = str_cut(name, ':', &end);
    if (end.n == 0 || end.n > 12 || ret_user->n == 0 || str_u64(end, UINT64_C(1) << 40, &s) != OK)
        return false;
    *ret_end_s = (int64_t)s;
    return true;
}
