#include "base/test.h"
#include "sip/token.h"

static const struct token_keys KEYS = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, {7, 9}};

static bool same(struct token a, struct token b)
{
    return a.kind == b.kind && a.engine == b.engine && handle_eq(a.handle, b.handle);
}

static void mint_and_open(void **state)
{
    (void)state;
    const struct token tokens[] = {
        {TOKEN_BRANCH, 0, {1, 1}},
        {TOKEN_TAG, 1, {2, 0xffffff}},
        {TOKEN_CALL_ID, 255, {0xffffff, 0xffffff}},
        {TOKEN_CONTACT, 17, {0x800000, 0x800001}},
    };
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        char text[TOKEN_CHARS], again[TOKEN_CHARS];
        struct token t;
        token_mint(&KEYS, tokens[i], text);
        token_mint(&KEYS, tokens[i], again);
        assert_memory_equal(text, again, sizeof text);
        for (unsigned c = 0; c < TOKEN_CHARS; c++)
            assert_true((text[c] >= 'a' && text[c] <= 'z') || (text[c] >= '2' && text[c] <= '7'));
        assert_ok(token_open(&KEYS, str_of(text, TOKEN_CHARS), tokens[i].kind, &t));
        assert_true(same(t, tokens[i]));
        for (unsigned c = 0; c < TOKEN_CHARS; c++)
            if (text[c] >= 'a')
                text[c] = (char)(text[c] - 32);
        assert_ok(token_open(&KEYS, str_of(text, TOKEN_CHARS), tokens[i].kind, &t));
        assert_true(same(t, tokens[i]));
    }
}

/* No single changed character passes, and no character has two spellings. */
static void forged(void **state)
{
    (void)state;
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    char text[TOKEN_CHARS];
    struct token t;
    token_mint(&KEYS, (struct token){TOKEN_BRANCH, 3, {77, 5}}, text);
    for (unsigned c = 0; c < TOKEN_CHARS; c++) {
        char right = text[c];
        unsigned auth = 0;
        for (unsigned a = 0; a < 32; a++) {
            text[c] = alphabet[a];
            if (text[c] == right)
                continue;
            enum err e = token_open(&KEYS, str_of(text, TOKEN_CHARS), TOKEN_BRANCH, &t);
            assert_true(e == ERR_AUTH || (e == ERR_SYNTAX && c == TOKEN_CHARS - 1));
            auth += e == ERR_AUTH;
        }
        assert_int_equal(auth, c == TOKEN_CHARS - 1 ? 7 : 31);
        text[c] = right;
    }
    assert_ok(token_open(&KEYS, str_of(text, TOKEN_CHARS), TOKEN_BRANCH, &t));
}

static void wrong_shape_kind_or_key(void **state)
{
    (void)state;
    char text[TOKEN_CHARS + 1] = {0};
    struct token t;
    token_mint(&KEYS, (struct token){TOKEN_TAG, 3, {77, 5}}, text);
    assert_err(token_open(&KEYS, str_of(text, TOKEN_CHARS), TOKEN_BRANCH, &t), ERR_AUTH);
    struct token_keys other = KEYS;
    other.seal.k0 ^= 1;
    assert_err(token_open(&other, str_of(text, TOKEN_CHARS), TOKEN_TAG, &t), ERR_AUTH);
    other = KEYS;
    other.mask.k1 ^= 1;
    assert_err(token_open(&other, str_of(text, TOKEN_CHARS), TOKEN_TAG, &t), ERR_AUTH);
    assert_err(token_open(&KEYS, str_of(text, TOKEN_CHARS - 1), TOKEN_TAG, &t), ERR_SYNTAX);
    assert_err(token_open(&KEYS, str_of(text, TOKEN_CHARS + 1), TOKEN_TAG, &t), ERR_SYNTAX);
    assert_err(token_open(&KEYS, STR_NONE, TOKEN_TAG, &t), ERR_SYNTAX);
    const char bad[] = {'0', '1', '8', '9', '-', '@', '[', '`', '{', '\0', (char)0x80, (char)0xff};
    for (size_t i = 0; i < sizeof bad; i++) {
        text[13] = bad[i];
        assert_err(token_open(&KEYS, str_of(text, TOKEN_CHARS), TOKEN_TAG, &t), ERR_SYNTAX);
    }
}

/* Tokens of neighbours share nothing that can be seen. */
static void tells_nothing(void **state)
{
    (void)state;
    char a[TOKEN_CHARS], b[TOKEN_CHARS];
    token_mint(&KEYS, (struct token){TOKEN_TAG, 1, {1, 1}}, a);
    unsigned same = 0;
    for (uint32_t i = 2; i < 102; i++) {
        token_mint(&KEYS, (struct token){TOKEN_TAG, 1, {i, 1}}, b);
        for (unsigned c = 0; c < TOKEN_CHARS; c++)
            same += a[c] == b[c];
    }
    assert_in_range(same, 20, 200); /* chance: 2600 / 32, with the last character of eight */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mint_and_open),
        cmocka_unit_test(forged),
        cmocka_unit_test(wrong_shape_kind_or_key),
        cmocka_unit_test(tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
