/* Layout: 64-bit tag, then 64 bits of text XOR a mask that hangs on the tag (SIV: the tag is made
 * over the plain text, so equal tokens are equal and nothing has to be stored). 128 bits as 26
 * base32 characters leave two zero bits at the end, which are checked, so that every token has one
 * spelling but for case. */
#include "sip/token.h"
#include "base/cur.h"

static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz234567";

static uint64_t mac(const struct sipkey *key, uint64_t v)
{
    char b[8];
    be64_put(b, v);
    return siphash(key, str_of(b, sizeof b));
}

void token_mint(const struct token_keys *k, struct token t, char ret_text[TOKEN_CHARS])
{
    uint64_t plain = (uint64_t)t.kind << 56 | (uint64_t)t.engine << 48 | handle_pack(t.handle);
    uint64_t tag = mac(&k->seal, plain);
    uint64_t hidden = plain ^ mac(&k->mask, tag);
    for (unsigned i = 0; i < 12; i++)
        ret_text[i] = ALPHABET[(tag >> (59 - 5 * i)) & 31];
    ret_text[12] = ALPHABET[((tag & 15) << 1 | hidden >> 63) & 31];
    for (unsigned i = 0; i < 12; i++)
        ret_text[13 + i] = ALPHABET[(hidden >> (58 - 5 * i)) & 31];
    ret_text[25] = ALPHABET[(hidden & 7) << 2];
}

static int digit(char c)
{
    c = ascii_lower(c);
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static enum err decode(struct str text, uint64_t *ret_tag, uint64_t *ret_hidden)
{
    if (text.n != TOKEN_CHARS)
        return ERR_SYNTAX;
    uint64_t v[TOKEN_CHARS];
    for (unsigned i = 0; i < TOKEN_CHARS; i++) {
        int d = digit(text.p[i]);
        if (d < 0)
            return ERR_SYNTAX;
        v[i] = (uint64_t)d;
    }
    if (v[25] & 3)
        return ERR_SYNTAX;
    uint64_t tag = 0, hidden = v[12] & 1;
    for (unsigned i = 0; i < 12; i++)
        tag = tag << 5 | v[i];
    for (unsigned i = 13; i < 25; i++)
        hidden = hidden << 5 | v[i];
    *ret_tag = tag << 4 | v[12] >> 1;
    *ret_hidden = hidden << 3 | v[25] >> 2;
    return OK;
}

enum err token_open(const struct token_keys *k, struct str text, enum token_kind want,
                    struct token *ret_t)
{
    uint64_t tag, hidden;
    if (decode(text, &tag, &hidden) != OK)
        return ERR_SYNTAX;
    uint64_t plain = hidden ^ mac(&k->mask, tag);
    uint64_t seal = mac(&k->seal, plain);
    if (!mem_equal_ct(&seal, &tag, sizeof seal) || plain >> 56 != (uint64_t)want)
        return ERR_AUTH;
    *ret_t = (struct token){.kind = (uint8_t)(plain >> 56),
                            .engine = (uint8_t)(plain >> 48),
                            .handle = handle_unpack(plain & UINT64_C(0xffffffffffff))};
    return OK;
}
