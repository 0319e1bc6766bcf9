/* What a captured engine may put into its ring of questions, and a captured vault into its answers:
 * the bytes as they are, judged by the reader; what it lets pass is asked of a vault. The first
 * byte chooses; 'b' builds a question out of the rest and expects it to pass. */
#include "app/vault/core.h"
#include "identity/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct vault *the_vault(void)
{
    static struct vault *v;
    static const struct sipkey key = {1, 2};
    static const uint8_t seed[32] = {5};
    struct user *x = NULL, *old = NULL;
    if (v)
        return v;
    CHECK(vault_new(&key, seed, &v) == OK && user_new(STR("alice@example.com"), &x) == OK);
    CHECK(user_password(x, STR("wonderland-77")) == OK && users_put(&v->users, x, &old) == OK);
    CHECK(peers_put(&v->peers, STR("trunk"), STR("pw")) == OK && key_new(&v->keys[0]) == OK);
    return v;
}

static struct str peer(void *arg, uint16_t index)
{
    (void)arg;
    return index == 0 ? STR("trunk") : STR_NONE;
}

static void read_ask(const uint8_t *p, size_t n)
{
    struct ask q = {.id = 0};
    struct answer a;
    if (n > sizeof(q))
        return;
    memcpy(&q, p, n);
    if (ask_valid(&q, n) != OK)
        return;
    CHECK(n == ask_size(&q));
    struct str t = str_of(q.text, q.n);
    CHECK(span_str(t, q.user).n <= q.n && span_str(t, q.response).n <= q.n);
    struct vault_env env = {0, {{INT64_C(1000000)}, {INT64_C(1700000000000000)}}, peer, NULL};
    vault_answer(the_vault(), &env, &q, &a);
    CHECK(answer_valid(&a, answer_size(&a)) == OK && a.id == q.id && a.kind == q.kind);
    CHECK(q.kind != ASK_VERIFY || a.reason != REASON_NONE); /* nobody guesses a nonce's tag */
}

static void read_answer(const uint8_t *p, size_t n)
{
    struct answer a = {.id = 0};
    if (n > sizeof(a))
        return;
    memcpy(&a, p, n);
    if (answer_valid(&a, n) == OK)
        CHECK(a.n <= ANSWER_BYTES_MAX && a.reason < REASON_COUNT && n == answer_size(&a));
}

static void build(const uint8_t *p, size_t n)
{
    struct ask q = {.kind = ASK_VERIFY};
    struct span *const where[] = {&q.user,   &q.realm, &q.nonce, &q.nc,
                                  &q.cnonce, &q.qop,   &q.ha2,   &q.response};
    struct str rest = str_of((const char *)p, n), part, kept[8];
    bool fits[8];
    for (unsigned i = 0; i < 8; i++) {
        rest = str_cut(rest, '\n', &part);
        kept[i] = part;
        fits[i] = ask_add(&q, part, where[i]);
    }
    CHECK(ask_valid(&q, ask_size(&q)) == OK);
    for (unsigned i = 0; i < 8; i++)
        CHECK(!fits[i] || str_eq(span_str(str_of(q.text, q.n), *where[i]), kept[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] == 'b')
        build(data + 1, n - 1);
    else if (data[0] == 'a')
        read_answer(data + 1, n - 1);
    else
        read_ask(data + 1, n - 1);
    return 0;
}
