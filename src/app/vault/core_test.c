#include "base/test.h"

#include "app/vault/core.h"
#include "crypto/hash.h"

static const struct sipkey NONCE_KEY = {11, 22};
static const uint8_t SEED[32] = {7};
static const struct now NOW = {{INT64_C(50000000)}, {INT64_C(1700000000000000)}};
static struct rng rng;

static struct now later(int64_t ms)
{
    return (struct now){{NOW.mono.us + ms * 1000}, {NOW.wall.us + ms * 1000}};
}

static struct str peer(void *arg, uint16_t index)
{
    (void)arg;
    return index == 3 ? STR("trunk") : index == 4 ? STR("nobody") : STR_NONE;
}

static void add_user(struct vault *v, const char *aor, const char *password, bool md5)
{
    struct user *x = NULL, *old = NULL;
    assert_ok(user_new(str_c(aor), &x));
    if (md5)
        assert_ok(user_md5_waive(x, (struct wall){NOW.wall.us + 60000000}, STR("o"), STR("r")));
    assert_ok(user_password(x, str_c(password)));
    assert_ok(users_put(&v->users, x, &old));
}

static struct vault *make(void)
{
    struct vault *v = NULL;
    assert_ok(vault_new(&NONCE_KEY, SEED, &v));
    add_user(v, "alice@example.com", "wonderland-77", false);
    add_user(v, "bob@example.com", "builders-99", true);
    assert_ok(peers_put(&v->peers, STR("trunk"), STR("trunk-pw")));
    return v;
}

/* What a phone would send. */
struct phone {
    const char *user, *realm, *password;
    enum digest_alg alg;
    const char *qop;
    const char *nc;
    char nonce[NONCE_CHARS];
};

static struct phone phone(const char *user, const char *password, struct now now)
{
    struct phone p = {user, "example.com", password, DIGEST_SHA256, "auth", "00000001", {0}};
    nonce_mint(&NONCE_KEY, now.wall, &rng, p.nonce);
    return p;
}

static struct ask question(const struct phone *p)
{
    struct ask q = {.id = 77, .kind = ASK_VERIFY, .alg = (uint8_t)p->alg};
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], response[DIGEST_HEX_MAX];
    size_t n = digest_hex_chars(p->alg);
    struct str nonce = str_of(p->nonce, NONCE_CHARS);
    assert_ok(digest_ha1(p->alg, str_c(p->user), str_c(p->realm), str_c(p->password), ha1));
    assert_ok(digest_ha2(p->alg, STR("REGISTER"), STR("sip:example.com"), false, STR_NONE, ha2));
    assert_ok(digest_response(p->alg, str_of(ha1, n), nonce, str_c(p->nc), STR("cn"), str_c(p->qop),
                              str_of(ha2, n), response));
    assert_true(ask_add(&q, str_c(p->user), &q.user) && ask_add(&q, str_c(p->realm), &q.realm) &&
                ask_add(&q, nonce, &q.nonce) && ask_add(&q, str_c(p->nc), &q.nc) &&
                ask_add(&q, STR("cn"), &q.cnonce) && ask_add(&q, str_c(p->qop), &q.qop) &&
                ask_add(&q, str_of(ha2, n), &q.ha2) &&
                ask_add(&q, str_of(response, n), &q.response));
    assert_ok(ask_valid(&q, ask_size(&q)));
    return q;
}

static struct answer put(struct vault *v, const struct ask *q, struct now now)
{
    struct vault_env env = {0, now, peer, NULL};
    struct answer a;
    vault_answer(v, &env, q, &a);
    assert_ok(answer_valid(&a, answer_size(&a)));
    assert_int_equal(a.id, q->id);
    assert_int_equal(a.kind, q->kind);
    return a;
}

static enum reason try_at(struct vault *v, const struct phone *p, struct now now)
{
    struct ask q = question(p);
    return (enum reason)put(v, &q, now).reason;
}

static void test_right_and_wrong(void **state)
{
    (void)state;
    struct vault *v = make();
    for (unsigned alg = 0; alg < DIGEST_ALG_COUNT; alg++) {
        struct phone p = phone("bob", "builders-99", NOW);
        p.alg = (enum digest_alg)alg;
        assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
        p = phone("bob", "builders-98", NOW);
        p.alg = (enum digest_alg)alg;
        assert_int_equal(try_at(v, &p, NOW), REASON_auth_failed);
    }
    struct phone p = phone("alice", "wonderland-77", NOW);
    p.qop = "auth-int";
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    p = phone("alice", "wonderland-77", NOW);
    p.realm = "example.net";
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_failed);
    p = phone("nobody", "wonderland-77", NOW);
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_failed);
    vault_free(v);
}

static void test_md5_needs_waiver(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone p = phone("alice", "wonderland-77", NOW);
    p.alg = DIGEST_MD5;
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_algorithm);
    p = phone("nobody", "x", NOW); /* the gates offer MD5 to some names that do not exist */
    p.alg = DIGEST_MD5;
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_failed);
    p = phone("bob", "builders-99", later(59999));
    p.alg = DIGEST_MD5;
    assert_int_equal(try_at(v, &p, later(59999)), REASON_NONE);
    p = phone("bob", "builders-99", later(60000)); /* the waiver has ended */
    p.alg = DIGEST_MD5;
    assert_int_equal(try_at(v, &p, later(60000)), REASON_auth_algorithm);
    vault_free(v);
}

static void test_replay(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone p = phone("alice", "wonderland-77", NOW);
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_replay);
    p.nc = "00000002";
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    p.nc = "00000000";
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_replay);
    p.nc = "0000000A";
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    /* A wrong digest moves no window. */
    struct phone wrong = p;
    wrong.password = "guess";
    wrong.nc = "0000000b";
    assert_int_equal(try_at(v, &wrong, NOW), REASON_auth_failed);
    p.nc = "0000000b";
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    vault_free(v);
}

static void test_nonces(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone p = phone("alice", "wonderland-77", NOW);
    uint64_t hashes = v->hashes;
    assert_int_equal(try_at(v, &p, later(300001)), REASON_auth_stale);
    p.nonce[3] = p.nonce[3] == 'A' ? 'B' : 'A';
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_nonce_forged);
    assert_int_equal(v->hashes, hashes); /* no work for a nonce that is not ours */
    vault_free(v);
}

static void test_syntax(void **state)
{
    (void)state;
    struct vault *v = make();
    static const struct {
        const char *qop, *nc;
    } rows[] = {{"", "00000001"},     {"auth-conf", "00000001"}, {"auth", "1"},
                {"auth", "0000001g"}, {"auth", "000000001"},     {"auth", ""}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct phone p = phone("alice", "wonderland-77", NOW);
        p.qop = rows[i].qop;
        p.nc = rows[i].nc;
        assert_int_equal(try_at(v, &p, NOW), REASON_auth_syntax);
    }
    struct phone p = phone("alice", "wonderland-77", NOW);
    struct ask q = question(&p);
    q.ha2.len--;
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_syntax);
    q = question(&p);
    q.response.len--;
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_failed);
    q.response.len = 0;
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_failed);
    vault_free(v);
}

/* Ten wrong tries, then none for a while, right or wrong; one more every six seconds. */
static void limit(struct vault *v, const char *name)
{
    struct phone p = phone(name, "guess", NOW);
    for (int i = 0; i < VAULT_FAIL_BURST; i++)
        assert_int_equal(try_at(v, &p, NOW), REASON_auth_failed);
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_limited);
    p = phone(name, "wonderland-77", NOW);
    assert_int_equal(try_at(v, &p, NOW), REASON_auth_limited);
    int64_t refill = VAULT_FAIL_REFILL_S * 1000;
    p = phone(name, "guess", NOW);
    assert_int_equal(try_at(v, &p, later(refill - 100)), REASON_auth_limited);
    assert_int_equal(try_at(v, &p, later(refill + 100)), REASON_auth_failed);
    assert_int_equal(try_at(v, &p, later(refill + 100)), REASON_auth_limited);
}

static void test_limit(void **state)
{
    (void)state;
    struct vault *v = make();
    limit(v, "alice");
    limit(v, "nobody"); /* the same for a name that there is not */
    struct phone p = phone("bob", "builders-99", NOW);
    assert_int_equal(try_at(v, &p, NOW), REASON_NONE); /* others are not touched */
    p = phone("alice", "wonderland-77", later(30000));
    assert_int_equal(try_at(v, &p, later(30000)), REASON_NONE);
    p = phone("alice", "guess", later(3600000)); /* never more than the burst */
    for (int i = 0; i < VAULT_FAIL_BURST; i++)
        assert_int_equal(try_at(v, &p, later(3600000)), REASON_auth_failed);
    assert_int_equal(try_at(v, &p, later(3600000)), REASON_auth_limited);
    vault_free(v);
}

/* Success costs no try. */
static void test_success_is_free(void **state)
{
    (void)state;
    struct vault *v = make();
    for (unsigned i = 0; i < 200; i++) {
        struct phone p = phone("alice", "wonderland-77", NOW);
        assert_int_equal(try_at(v, &p, NOW), REASON_NONE);
    }
    assert_int_equal(v->verified, 200);
    vault_free(v);
}

/* One digest for every outcome that gets so far. */
static void test_same_work(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone rows[] = {phone("alice", "wonderland-77", NOW), phone("alice", "guess", NOW),
                           phone("nobody", "guess", NOW), phone("alice", "wonderland-77", NOW)};
    rows[3].alg = DIGEST_MD5;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t before = v->hashes;
        (void)try_at(v, &rows[i], NOW);
        assert_int_equal(v->hashes - before, 1);
    }
    vault_free(v);
}

/* A captured engine cannot ask without end. */
static void test_engine_cap(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone p = phone("alice", "wonderland-77", NOW);
    struct ask q = question(&p);
    struct vault_env env = {5, NOW, peer, NULL};
    struct answer a;
    for (unsigned i = 0; i < VAULT_ASK_RATE; i++)
        vault_answer(v, &env, &q, &a);
    assert_int_not_equal(a.reason, REASON_auth_unavailable);
    vault_answer(v, &env, &q, &a);
    assert_int_equal(a.reason, REASON_auth_unavailable);
    env.engine = 6; /* another engine is not hurt */
    vault_answer(v, &env, &q, &a);
    assert_int_equal(a.reason, REASON_auth_replay);
    env.engine = 5;
    env.now = later(1);
    vault_answer(v, &env, &q, &a);
    assert_int_equal(a.reason, REASON_auth_replay);
    vault_free(v);
}

static void test_respond(void **state)
{
    (void)state;
    struct vault *v = make();
    struct phone p = phone("ringwall", "trunk-pw", NOW);
    for (unsigned alg = 0; alg < DIGEST_ALG_COUNT; alg++) {
        p.alg = (enum digest_alg)alg;
        p.realm = "carrier.example.net";
        struct ask q = question(&p);
        struct str want = span_str(str_of(q.text, q.n), q.response);
        q.kind = ASK_RESPOND;
        q.key = 3;
        struct answer a = put(v, &q, NOW);
        assert_int_equal(a.reason, REASON_NONE);
        assert_str_eq(str_of((const char *)a.bytes, a.n), want);
        for (uint16_t key = 4; key < 6; key++) { /* a peer without a password, no peer */
            q.key = key;
            a = put(v, &q, NOW);
            assert_int_equal(a.reason, REASON_auth_unavailable);
            assert_int_equal(a.n, 0);
        }
    }
    vault_free(v);
}

static void test_sign(void **state)
{
    (void)state;
    struct vault *v = make();
    struct ask q = {.id = 5, .kind = ASK_SIGN, .key = 2};
    struct str digest = STR("0123456789abcdef0123456789abcdef");
    assert_true(ask_add(&q, digest, &q.ha2));
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_unavailable);
    assert_ok(key_new(&v->keys[2]));
    struct answer a = put(v, &q, NOW);
    assert_int_equal(a.reason, REASON_NONE);
    assert_ok(key_verify(v->keys[2], digest, str_of((const char *)a.bytes, a.n)));
    q.key = VAULT_KEYS;
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_unavailable);
    q.key = UINT16_MAX;
    assert_int_equal(put(v, &q, NOW).reason, REASON_auth_unavailable);
    vault_free(v);
}

int main(void)
{
    rng_init(&rng, SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_and_wrong),
        cmocka_unit_test(test_md5_needs_waiver),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_nonces),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_success_is_free),
        cmocka_unit_test(test_same_work),
        cmocka_unit_test(test_engine_cap),
        cmocka_unit_test(test_respond),
        cmocka_unit_test(test_sign),
    };
    return crypto_init() == OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
