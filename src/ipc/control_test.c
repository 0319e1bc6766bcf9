#include "base/test.h"
#include "ipc/control.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void members(void **state)
{
    (void)state;
    struct str j = STR("{\"cmd\":\"user-add\", \"nested\":{\"cmd\":\"x\",\"a\":[1,\"}\"]} "
                       ",\"off\":true,\"n\": 17 ,\"esc\":\"a\\\"b\",\"last\":\"z\"}");
    assert_str(control_member(j, "cmd"), "user-add");
    assert_str(control_member(j, "off"), "true");
    assert_str(control_member(j, "n"), "17");
    assert_str(control_member(j, "esc"), "a\\\"b");
    assert_str(control_member(j, "last"), "z");
    assert_null(control_member(j, "absent").p);
    assert_null(control_member(j, "a").p); /* only the top level */
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "cmd",
                                      "{cmd:1}",
                                      "{\"cmd\"}",
                                      "{\"cmd\":\"x",
                                      "{\"a\":1;\"cmd\":2}",
                                      "{\"cmd\" \"x\"}",
                                      "{\"a\":\"\\"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (control_member(str_c(bad[i]), "cmd").p)
            fail_msg("row %zu", i);
}

static void sound(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"{}", "{\"cmd\":\"x\"}", " {\"a\":{\"a\":1},\"b\":[\"}\"]} ",
                                       "{\"cmd\":\"a\\\"b\",\"n\":1}"};
    static const char *const BAD[] = {"",
                                      "[]",
                                      "{",
                                      "{\"cmd\":\"a\",\"cmd\":\"b\"}", /* who reads which? */
                                      "{\"cmd\":\"a\",\"c\\u006dd\":\"b\"}",
                                      "{\"cmd\":\"a\"} {\"cmd\":\"b\"}",
                                      "{\"cmd\":\"a\",}",
                                      "{\"cmd\":\"a\"",
                                      "{\"a\":1,\r\"cmd\":\"b\"}",
                                      "{\"cmd\" \"a\"}"};
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++)
        if (!control_sound(str_c(GOOD[i])))
            fail_msg("good row %zu", i);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        if (control_sound(str_c(BAD[i])))
            fail_msg("bad row %zu", i);
}

static void without(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } ROWS[] = {{"{\"a\":1,\"reason\":\"x\"}", "{\"a\":1}"},
                {"{\"reason\":\"x\",\"b\": [1,2] , \"c\":{\"reason\":3}}",
                 "{\"b\": [1,2],\"c\":{\"reason\":3}}"},
                {"{\"reason\":\"x\"}", "{}"},
                {"{}", "{}"},
                {"{\"a\":\"b\"}", "{\"a\":\"b\"}"}};
    char text[128];
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct out o = out_of(text, sizeof text);
        assert_true(control_without(str_c(ROWS[i].in), "reason", &o));
        assert_true(str_eq(out_str(&o), str_c(ROWS[i].out)));
    }
    struct out small = out_of(text, 5);
    assert_false(control_without(STR("{\"a\":\"b\"}"), "reason", &small));
}

/* A server that answers with fixed bytes. */
static void serve(int listener, const char *bytes, size_t n)
{
    char buf[256];
    int fd = accept(listener, NULL, NULL);
    ssize_t got = recv(fd, buf, sizeof buf, 0), put = send(fd, bytes, n, MSG_NOSIGNAL);
    _exit(got > 0 && put == (ssize_t)n ? 0 : 1);
}

static enum err ask(const char *bytes, uint32_t *code, char **json, size_t *n)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "/tmp/ringwall-ctl-%d", (int)getpid());
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(l, 1), 0);
    pid_t pid = fork();
    if (pid == 0)
        serve(l, bytes, strlen(bytes));
    enum err e = control_ask(a.sun_path, STR("{\"cmd\":\"status\"}"), code, json, n);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)unlink(a.sun_path);
    (void)close(l);
    return e;
}

static void asking(void **state)
{
    (void)state;
    uint32_t code = 99;
    char *json = NULL;
    size_t n = 0;
    assert_err(control_ask("/nonexistent/sock", STR("{}"), &code, &json, &n), ERR_NOT_FOUND);
    assert_ok(ask("3 7\n{\"a\":1}", &code, &json, &n));
    assert_int_equal(code, 3);
    assert_int_equal(n, 7);
    assert_string_equal(json, "{\"a\":1}");
    free(json);
    static const char *const bad[] = {"3 8\n{\"a\":1}", "x 7\n{\"a\":1}", "3\n",
                                      "3 99999999999999999999\n",
                                      "0000000000000000000000000000000000000 1\n{"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_not_equal(ask(bad[i], &code, &json, &n), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(members), cmocka_unit_test(sound),
                                       cmocka_unit_test(without), cmocka_unit_test(asking)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
