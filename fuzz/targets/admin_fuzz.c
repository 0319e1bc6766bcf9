/* Requests of an administrator: lines of JSON, one after the other on the same small table. Every
 * reply is a JSON object, an error says so, and the table is sound afterwards. */
#include "app/vault/admin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct users users;
    static struct peers peers;
    static struct rng rng;
    static const struct sipkey key = {1, 2};
    const uint8_t seed[32] = {2};
    struct admin a = {.users = &users,
                      .peers = &peers,
                      .rng = &rng,
                      .now = {INT64_C(1700000000000000)},
                      .domain = "example.com"};
    struct str rest = str_of((const char *)data, n), line;
    users_init(&users, &key);
    peers.n = 0;
    rng_init(&rng, seed);
    while (rest.n > 0) {
        struct admin_reply r;
        rest = str_cut(rest, '\n', &line);
        a.users_changed = false;
        admin_do(&a, line, &r);
        CHECK(r.n >= 2 && r.text[0] == '{' && r.text[r.n - 1] == '}');
        struct str text = str_of(r.text, r.n);
        CHECK((r.code == CONTROL_OK) != str_starts(text, STR("{\"error\":")));
        CHECK(r.code == CONTROL_OK || !a.users_changed);
        admin_reply_done(&r);
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < users.n; i++) {
        const struct user *x = users.v[i];
        bytes += strlen(x->aor);
        CHECK(users_find(&users, user_name(x), user_domain(x)) == x);
    }
    CHECK(bytes == users.aor_bytes);
    users_done(&users);
    return 0;
}
