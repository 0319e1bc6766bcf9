/* What a third party answers about a call. First two bytes: the status. Whatever is let go was said
 * in so many words, and nothing unprintable gets through. */
#include "call/consult_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned often[] = {200, 403, 200, 302};
    struct consult_answer a = {.why = "untouched"}, b;
    if (n < 2)
        return 0;
    unsigned status = data[0] < 128 ? often[data[0] % 4] : (unsigned)data[0] << 8 | data[1];
    struct str body = str_of((const char *)data + 2, n - 2);
    enum err e = consult_answer_read(status, body, &a);
    if (e != OK) {
        CHECK(strcmp(a.why, "untouched") == 0);
        CHECK(e == ERR_SYNTAX || (e == ERR_LIMIT && body.n > CONSULT_ANSWER_MAX));
        return 0;
    }
    CHECK(status == 200 || (status == 403 && !a.allow));
    CHECK(!a.allow ||
          (str_search(body, STR("\"allow\"")) < body.n && str_search(body, STR("true")) < body.n));
    CHECK(memchr(a.why, 0, sizeof a.why));
    for (const char *p = a.why; *p; p++)
        CHECK(*p >= ' ' && *p <= '~');
    CHECK(consult_answer_read(status, body, &b) == OK && b.allow == a.allow &&
          strcmp(a.why, b.why) == 0);
    return 0;
}
