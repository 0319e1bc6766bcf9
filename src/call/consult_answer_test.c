/* Answers of a third party: those that decide, and all others. */
#include "base/test.h"
#include "call/consult_answer.h"

static void answers(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        enum err e;
        bool allow;
        const char *why;
    } row[] = {
        {200, "{\"allow\":true}", OK, true, ""},
        {200, " {\"allow\": true, \"why\": \"known\"} \r\n", OK, true, "known"},
        {200, "{\"why\":\"on a list\",\"allow\":false,\"score\":[1,2,{}]}", OK, false, "on a list"},
        {403, "", OK, false, ""},
        {403, "<html>forbidden</html>", OK, false, ""},
        {403, "{\"why\":\"caller\"}", OK, false, "caller"},
        {403, "{\"allow\":false}", OK, false, ""},
        {403, "[]", OK, false, ""},
        {403, "{\"allow\":true}", ERR_SYNTAX, false, NULL},
        {403, "{\"allow\":1}", ERR_SYNTAX, false, NULL},
        {200, "", ERR_SYNTAX, false, NULL},
        {200, "{}", ERR_SYNTAX, false, NULL},
        {200, "true", ERR_SYNTAX, false, NULL},
        {200, "[true]", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":\"true\"}", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":1}", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":null}", ERR_SYNTAX, false, NULL},
        {200, "{\"Allow\":true}", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":true", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":true}{}", ERR_SYNTAX, false, NULL},
        {200, "{\"allow\":true,\"allow\":false}", ERR_SYNTAX, false, NULL},
        {200, "{\"x\":{\"allow\":true}}", ERR_SYNTAX, false, NULL},
        {201, "{\"allow\":true}", ERR_SYNTAX, false, NULL},
        {204, "", ERR_SYNTAX, false, NULL},
        {302, "{\"allow\":true}", ERR_SYNTAX, false, NULL},
        {401, "{\"allow\":false}", ERR_SYNTAX, false, NULL},
        {500, "{\"allow\":true}", ERR_SYNTAX, false, NULL},
        {0, "{\"allow\":true}", ERR_SYNTAX, false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct consult_answer a = {.allow = !row[i].allow, .why = "before"};
        assert_int_equal(consult_answer_read(row[i].status, str_c(row[i].body), &a), row[i].e);
        assert_true(a.allow == (row[i].e == OK ? row[i].allow : !row[i].allow));
        assert_string_equal(a.why, row[i].e == OK ? row[i].why : "before");
    }
}

/* A body of n bytes, padded inside of its string. */
static struct str padded(char *buf, const char *head, size_t n, char with)
{
    size_t h = strlen(head);
    memset(buf, with, n);
    memcpy(buf, head, h);
    memcpy(buf + n - 2, "\"}", 2);
    return str_of(buf, n);
}

static void bounds(void **state)
{
    static char buf[CONSULT_ANSWER_MAX + 1];
    static const char head[] = "{\"allow\":true,\"why\":\"";
    struct consult_answer a;
    (void)state;
    assert_ok(consult_answer_read(200, padded(buf, head, CONSULT_ANSWER_MAX, 'w'), &a));
    assert_int_equal(strlen(a.why), CONSULT_WHY_MAX);
    assert_int_equal(consult_answer_read(200, padded(buf, head, CONSULT_ANSWER_MAX + 1, 'w'), &a),
                     ERR_LIMIT);
    for (size_t n = CONSULT_WHY_MAX - 1; n <= CONSULT_WHY_MAX + 1; n++) {
        assert_ok(consult_answer_read(200, padded(buf, head, sizeof head - 1 + n + 2, 'w'), &a));
        assert_int_equal(strlen(a.why), MIN(n, (size_t)CONSULT_WHY_MAX));
    }
    /* What a terminal would obey does not get there. */
    assert_ok(consult_answer_read(200, STR("{\"allow\":false,\"why\":\"a\xc2\x9bm\x7f\"}"), &a));
    assert_string_equal(a.why, "a??m?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
