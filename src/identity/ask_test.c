#include "base/test.h"

#include "identity/ask.h"

static struct ask verify(void)
{
    struct ask a = {.id = 9, .kind = ASK_VERIFY, .alg = DIGEST_SHA256};
    assert_true(ask_add(&a, STR("alice"), &a.user));
    assert_true(ask_add(&a, STR("example.com"), &a.realm));
    assert_true(ask_add(&a, STR("auth"), &a.qop));
    return a;
}

static void test_add(void **state)
{
    (void)state;
    struct ask a = {.id = 0};
    struct span sp = {7, 7};
    char big[ASK_TEXT_MAX + 1];
    memset(big, 'x', sizeof(big));
    assert_false(ask_add(&a, str_of(big, ASK_TEXT_MAX + 1), &sp));
    assert_int_equal(sp.len, 0);
    assert_int_equal(a.n, 0);
    assert_true(ask_add(&a, str_of(big, ASK_TEXT_MAX - 1), &sp));
    assert_false(ask_add(&a, STR("yz"), &sp));
    assert_true(ask_add(&a, STR("y"), &sp));
    assert_int_equal(sp.off, ASK_TEXT_MAX - 1);
    assert_true(ask_add(&a, STR_NONE, &sp));
    assert_false(ask_add(&a, STR("z"), &sp));
    assert_int_equal(a.n, ASK_TEXT_MAX);
    a.n = ASK_TEXT_MAX + 1; /* a broken one grows no further */
    assert_false(ask_add(&a, STR_NONE, &sp));
}

static void test_valid(void **state)
{
    (void)state;
    struct ask a = verify();
    assert_ok(ask_valid(&a, ask_size(&a)));
    assert_err(ask_valid(&a, ask_size(&a) - 1), ERR_SYNTAX);
    assert_err(ask_valid(&a, ask_size(&a) + 1), ERR_SYNTAX);
    assert_err(ask_valid(&a, offsetof(struct ask, text) - 1), ERR_SYNTAX);
    assert_err(ask_valid(&a, 0), ERR_SYNTAX);
    assert_str(span_str(str_of(a.text, a.n), a.realm), "example.com");

    struct ask b = a;
    b.kind = 0;
    assert_err(ask_valid(&b, ask_size(&b)), ERR_SYNTAX);
    b.kind = ASK_KIND_COUNT;
    assert_err(ask_valid(&b, ask_size(&b)), ERR_SYNTAX);
    b = a;
    b.alg = DIGEST_ALG_COUNT;
    assert_err(ask_valid(&b, ask_size(&b)), ERR_UNSUPPORTED);
    b.kind = ASK_RESPOND;
    assert_err(ask_valid(&b, ask_size(&b)), ERR_UNSUPPORTED);
    b = a;
    b.n = ASK_TEXT_MAX + 1;
    assert_err(ask_valid(&b, ask_size(&b)), ERR_SYNTAX);
}

/* Each span in turn one byte past the text, and with sums that wrap 16 bits. */
static void test_spans(void **state)
{
    (void)state;
    static const size_t where[] = {offsetof(struct ask, user),   offsetof(struct ask, realm),
                                   offsetof(struct ask, nonce),  offsetof(struct ask, nc),
                                   offsetof(struct ask, cnonce), offsetof(struct ask, qop),
                                   offsetof(struct ask, ha2),    offsetof(struct ask, response)};
    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        struct ask a = verify();
        struct span *sp = (struct span *)(void *)((uint8_t *)&a + where[i]);
        *sp = (struct span){0, a.n};
        assert_ok(ask_valid(&a, ask_size(&a)));
        *sp = (struct span){1, a.n};
        assert_err(ask_valid(&a, ask_size(&a)), ERR_SYNTAX);
        *sp = (struct span){(uint16_t)(a.n + 1), 0};
        assert_err(ask_valid(&a, ask_size(&a)), ERR_SYNTAX);
        *sp = (struct span){UINT16_MAX, 2};
        assert_err(ask_valid(&a, ask_size(&a)), ERR_SYNTAX);
        *sp = (struct span){2, UINT16_MAX};
        assert_err(ask_valid(&a, ask_size(&a)), ERR_SYNTAX);
    }
}

static void test_sign(void **state)
{
    (void)state;
    static const struct {
        uint16_t n;
        enum err e;
    } rows[] = {{0, ERR_UNSUPPORTED},  {20, ERR_UNSUPPORTED},
                {31, ERR_UNSUPPORTED}, {32, OK},
                {33, ERR_UNSUPPORTED}, {48, OK},
                {64, ERR_UNSUPPORTED}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char digest[64] = {0};
        struct ask a = {.kind = ASK_SIGN};
        assert_true(ask_add(&a, str_of(digest, rows[i].n), &a.ha2));
        assert_err(ask_valid(&a, ask_size(&a)), rows[i].e);
        a.sign = 1;
        assert_err(ask_valid(&a, ask_size(&a)), ERR_UNSUPPORTED);
    }
}

static void test_answer(void **state)
{
    (void)state;
    struct answer a = {.kind = ASK_SIGN, .n = 70};
    assert_ok(answer_valid(&a, answer_size(&a)));
    assert_err(answer_valid(&a, answer_size(&a) + 1), ERR_SYNTAX);
    assert_err(answer_valid(&a, answer_size(&a) - 1), ERR_SYNTAX);
    assert_err(answer_valid(&a, offsetof(struct answer, bytes) - 1), ERR_SYNTAX);
    a.n = ANSWER_BYTES_MAX;
    assert_ok(answer_valid(&a, answer_size(&a)));
    a.n++;
    assert_err(answer_valid(&a, answer_size(&a)), ERR_SYNTAX);
    a.n = 0;
    a.reason = REASON_COUNT;
    assert_err(answer_valid(&a, answer_size(&a)), ERR_SYNTAX);
    a.reason = REASON_COUNT - 1;
    assert_ok(answer_valid(&a, answer_size(&a)));
    a.kind = 0;
    assert_err(answer_valid(&a, answer_size(&a)), ERR_SYNTAX);
    a.kind = ASK_KIND_COUNT;
    assert_err(answer_valid(&a, answer_size(&a)), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),  cmocka_unit_test(test_valid),  cmocka_unit_test(test_spans),
        cmocka_unit_test(test_sign), cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
