#include "base/test.h"

#include "identity/digest.h"

static const struct sipkey KEY = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
static const struct wall NOW = {INT64_C(1700000000000000)};
static struct rng rng;

static struct wall later(int64_t ms)
{
    return (struct wall){NOW.us + ms * 1000};
}

static struct str mint(char text[NONCE_CHARS], struct wall at)
{
    nonce_mint(&KEY, at, &rng, text);
    return str_of(text, NONCE_CHARS);
}

static void test_life(void **state)
{
    (void)state;
    char text[NONCE_CHARS];
    uint64_t id = 0, again = 0;
    struct str n = mint(text, NOW);
    assert_ok(nonce_check(&KEY, n, NOW, &id));
    assert_ok(nonce_check(&KEY, n, later(NONCE_LIFE_S * 1000), &again));
    assert_int_equal(id, again);
    assert_err(nonce_check(&KEY, n, later(NONCE_LIFE_S * 1000 + 1), &again), ERR_REPLAY);
    assert_err(nonce_check(&KEY, n, later(86400000), &again), ERR_REPLAY);
    assert_ok(nonce_check(&KEY, n, later(-2000), &again)); /* the clock was set back a little */
    assert_err(nonce_check(&KEY, n, later(-2001), &again), ERR_REPLAY);
    for (size_t i = 0; i < NONCE_CHARS; i++) /* quoted-string and token safe */
        assert_non_null(
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text[i]));
}

static void test_forged(void **state)
{
    (void)state;
    char text[NONCE_CHARS], bad[NONCE_CHARS + 1];
    uint64_t id = 42;
    struct sipkey other = {KEY.k0 ^ 1, KEY.k1};
    (void)mint(text, NOW);
    for (size_t i = 0; i < NONCE_CHARS; i++) {
        memcpy(bad, text, NONCE_CHARS);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_err(nonce_check(&KEY, str_of(bad, NONCE_CHARS), NOW, &id), ERR_AUTH);
    }
    memcpy(bad, text, NONCE_CHARS);
    bad[NONCE_CHARS] = 'A';
    assert_err(nonce_check(&KEY, str_of(bad, NONCE_CHARS + 1), NOW, &id), ERR_AUTH);
    assert_err(nonce_check(&KEY, str_of(text, NONCE_CHARS - 1), NOW, &id), ERR_AUTH);
    assert_err(nonce_check(&KEY, STR_NONE, NOW, &id), ERR_AUTH);
    assert_err(nonce_check(&other, str_of(text, NONCE_CHARS), NOW, &id), ERR_AUTH);
    assert_int_equal(id, 42);
}

static void test_unlike(void **state)
{
    (void)state;
    char a[NONCE_CHARS], b[NONCE_CHARS];
    uint64_t ia = 0, ib = 0;
    (void)mint(a, NOW);
    (void)mint(b, NOW);
    assert_memory_not_equal(a, b, NONCE_CHARS);
    assert_ok(nonce_check(&KEY, str_of(a, NONCE_CHARS), NOW, &ia));
    assert_ok(nonce_check(&KEY, str_of(b, NONCE_CHARS), NOW, &ib));
    assert_int_not_equal(ia, ib);
}

static uint64_t fresh_id(struct wall at)
{
    char text[NONCE_CHARS];
    uint64_t id = 0;
    assert_ok(nonce_check(&KEY, mint(text, at), at, &id));
    return id;
}

static struct nc_table *table(uint32_t cap)
{
    return nc_init(malloc(nc_bytes(cap)), cap);
}

static void test_window(void **state)
{
    (void)state;
    struct nc_table *t = table(64);
    uint64_t id = fresh_id(NOW), other = fresh_id(NOW);
    assert_err(nc_use(t, id, 0, NOW), ERR_REPLAY);
    assert_ok(nc_use(t, id, 1, NOW));
    assert_err(nc_use(t, id, 1, NOW), ERR_REPLAY);
    assert_ok(nc_use(t, other, 1, NOW)); /* each nonce has its own counts */
    assert_ok(nc_use(t, id, 3, NOW));
    assert_ok(nc_use(t, id, 2, NOW)); /* late, inside the window */
    assert_err(nc_use(t, id, 2, NOW), ERR_REPLAY);
    assert_err(nc_use(t, id, 3, NOW), ERR_REPLAY);
    assert_ok(nc_use(t, id, 66, NOW));
    assert_err(nc_use(t, id, 2, NOW), ERR_REPLAY);  /* 64 back: below the window */
    assert_err(nc_use(t, id, 3, NOW), ERR_REPLAY);  /* 63 back: remembered */
    assert_ok(nc_use(t, id, 4, NOW));               /* 62 back: never used */
    assert_ok(nc_use(t, id, 130, NOW));             /* a jump of exactly 64 */
    assert_err(nc_use(t, id, 66, NOW), ERR_REPLAY); /* just out of it */
    assert_ok(nc_use(t, id, 67, NOW));
    assert_ok(nc_use(t, id, UINT32_MAX, NOW));
    assert_err(nc_use(t, id, UINT32_MAX, NOW), ERR_REPLAY);
    assert_ok(nc_use(t, id, UINT32_MAX - 1, NOW));
    free(t);
}

/* A full table forgets the oldest and then refuses everything as old or older: never a replay. */
static void test_eviction(void **state)
{
    (void)state;
    enum { N = 40 };
    struct nc_table *t = table(8); /* one bucket */
    uint64_t ids[N];
    for (unsigned i = 0; i < N; i++) {
        ids[i] = fresh_id(later(i * 10));
        assert_ok(nc_use(t, ids[i], 1, later(i * 10)));
    }
    struct wall end = later(N * 10);
    for (unsigned i = 0; i < N; i++)
        assert_err(nc_use(t, ids[i], 1, end), ERR_REPLAY);
    for (unsigned i = 0; i < N - 8; i++) /* forgotten: even a count never used */
        assert_err(nc_use(t, ids[i], 2, end), ERR_REPLAY);
    for (unsigned i = N - 8; i < N; i++)
        assert_ok(nc_use(t, ids[i], 2, end));
    assert_err(nc_use(t, fresh_id(later(5)), 1, end), ERR_REPLAY); /* minted before the horizon */
    assert_ok(nc_use(t, fresh_id(end), 1, end));
    free(t);
}

/* Dead nonces make room without moving the horizon. */
static void test_dead_make_room(void **state)
{
    (void)state;
    struct nc_table *t = table(8);
    for (unsigned i = 0; i < 8; i++)
        assert_ok(nc_use(t, fresh_id(NOW), 1, NOW));
    for (int64_t ms = 301000; ms < 2400000; ms += 301000) {
        uint64_t before = fresh_id(later(ms - 1000));
        assert_ok(nc_use(t, fresh_id(later(ms)), 1, later(ms)));
        assert_ok(nc_use(t, before, 1, later(ms)));
    }
    free(t);
}

static void test_cap(void **state)
{
    (void)state;
    struct nc_table *t = table(0); /* rounds up to one bucket */
    assert_ok(nc_use(t, fresh_id(NOW), 1, NOW));
    free(t);
    assert_true(nc_bytes(65536) < 65536 * 48);
}

int main(void)
{
    const uint8_t seed[32] = {1};
    rng_init(&rng, seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),     cmocka_unit_test(test_forged),
        cmocka_unit_test(test_unlike),   cmocka_unit_test(test_window),
        cmocka_unit_test(test_eviction), cmocka_unit_test(test_dead_make_room),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
