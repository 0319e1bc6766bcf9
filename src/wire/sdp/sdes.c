#include "wire/sdp/sdes.h"

#define SDES_VALUE_MAX 512u

/* "2^" 1*2DIGIT or 1*DIGIT */
static enum err lifetime(struct str s, uint64_t *ret_n)
{
    uint32_t power;
    if (!str_starts(s, STR("2^")))
        return str_u64(s, UINT64_C(1) << 48, ret_n) == OK && *ret_n > 0 ? OK : ERR_SYNTAX;
    if (str_u32(str_skip(s, 2), 48, &power) != OK)
        return ERR_SYNTAX;
    *ret_n = UINT64_C(1) << power;
    return OK;
}

/* "inline:" key||salt ["|" lifetime] ["|" MKI ":" length] *(";" another) */
static enum err key_params(struct str s, struct sdes *c)
{
    struct str one, more = str_cut(s, ';', &one);
    c->several_keys = more.n > 0;
    if (!str_istarts(one, STR("inline:")))
        return ERR_UNSUPPORTED;
    struct str rest = str_cut(str_skip(one, 7), '|', &c->key);
    if (c->key.n == 0)
        return ERR_SYNTAX;
    for (unsigned i = 0; rest.n > 0; i++) {
        struct str part;
        rest = str_cut(rest, '|', &part);
        if (i > 1 || (c->mki && part.n > 0))
            return ERR_SYNTAX;
        if (str_find(part, ':') < part.n)
            c->mki = true;
        else if (lifetime(part, &c->lifetime) != OK)
            return ERR_SYNTAX;
    }
    return OK;
}

/* Parameters that change nothing for us: a window hint, and extensions marked "-" as optional. */
static bool param_harmless(struct str p)
{
    return p.p[0] == '-' || str_istarts(p, STR("WSH="));
}

enum err sdes_parse(struct str value, struct sdes *ret_c)
{
    if (value.n > SDES_VALUE_MAX)
        return ERR_LIMIT;
    struct sdes c = {0};
    struct str rest = str_trim(value), tag = sdp_token_next(&rest);
    if (tag.n > 9 || str_u32(tag, 999999999, &c.tag) != OK)
        return ERR_SYNTAX;
    c.suite = sdp_token_next(&rest);
    if (c.suite.n == 0 || c.suite.n > SDP_TOKEN_MAX)
        return ERR_SYNTAX;
    enum err e = key_params(sdp_token_next(&rest), &c);
    if (e != OK)
        return e;
    while (rest.n > 0) {
        struct str p = sdp_token_next(&rest);
        if (p.n > 0 && !param_harmless(p))
            c.odd_params = true;
    }
    *ret_c = c;
    return OK;
}

void sdes_put(struct out *o, uint32_t tag, struct str suite, const uint8_t *key, size_t key_bytes)
{
    OUT_LIT(o, "a=crypto:");
    out_u64(o, tag);
    out_ch(o, ' ');
    out_put(o, suite);
    OUT_LIT(o, " inline:");
    out_b64(o, key, key_bytes);
    OUT_LIT(o, "\r\n");
}
