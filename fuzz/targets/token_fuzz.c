/* Tokens: what is minted opens, what is changed does not, and what opens is what would be minted.
 */
#include "base/cur.h"
#include "sip/token.h"

static const struct token_keys KEYS = {{1, 2}, {3, 4}};

static bool same(struct token a, struct token b)
{
    return a.kind == b.kind && a.engine == b.engine && handle_eq(a.handle, b.handle);
}

static void must_be_minted(struct str text, enum token_kind kind)
{
    struct token t;
    char again[TOKEN_CHARS];
    if (token_open(&KEYS, text, kind, &t) != OK)
        return;
    token_mint(&KEYS, t, again);
    CHECK(str_ieq(text, str_of(again, TOKEN_CHARS)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    for (unsigned kind = TOKEN_BRANCH; kind <= TOKEN_CONTACT; kind++) {
        must_be_minted(text, (enum token_kind)kind);
        must_be_minted(str_head(text, TOKEN_CHARS), (enum token_kind)kind);
    }
    struct cur c = cur_of(data, size);
    struct token t = {.kind = (uint8_t)(1 + cur_u8(&c) % 4), .engine = cur_u8(&c)}, got;
    t.handle = (struct handle){cur_u24(&c), cur_u24(&c)};
    char minted[TOKEN_CHARS];
    token_mint(&KEYS, t, minted);
    CHECK(token_open(&KEYS, str_of(minted, TOKEN_CHARS), (enum token_kind)t.kind, &got) == OK);
    CHECK(same(t, got));
    while (cur_left(&c) >= 2) {
        uint8_t at = cur_u8(&c) % TOKEN_CHARS;
        char ch = (char)cur_u8(&c), old = minted[at];
        if (ascii_lower(ch) == old)
            continue;
        minted[at] = ch;
        CHECK(token_open(&KEYS, str_of(minted, TOKEN_CHARS), (enum token_kind)t.kind, &got) != OK);
        minted[at] = old;
    }
    return 0;
}
