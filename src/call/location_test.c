#include "base/rng.h"
#include "call/fixture_test.h"

enum { CAP = 64 };
static struct sipkey key = {1, 2};
static struct location_shard *s;

static int setup(void **state)
{
    (void)state;
    s = test_calloc(1, location_bytes(CAP));
    assert_ok(location_attach(s, CAP));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    test_free(s);
    return 0;
}

static struct binding make(const char *aor, const char *contact, int64_t expires_s)
{
    struct binding b = {
        .aor_hash = location_hash(&key, str_c(aor)), .expires = {expires_s * 1000000}, .q = 1000};
    b.aor_len = (uint8_t)strlen(aor);
    b.contact_len = (uint8_t)strlen(contact);
    memcpy(b.aor, aor, b.aor_len);
    memcpy(b.contact, contact, b.contact_len);
    return b;
}

static size_t look(const char *aor, int64_t now_s, struct binding *b)
{
    return location_lookup(&s, 1, &key, str_c(aor), (struct wall){now_s * 1000000}, b, 16);
}

static void size_of_a_binding(void **state)
{
    (void)state;
    assert_true(sizeof(struct binding) + 8 <= 400);
}

static void put_find_replace_remove(void **state)
{
    (void)state;
    struct binding b[16], x = make("alice@e", "sip:a@1", 10), y = make("alice@e", "sip:a@2", 20);
    assert_ok(location_put(s, &x));
    assert_ok(location_put(s, &y));
    assert_int_equal(look("alice@e", 0, b), 2);
    x.expires.us = INT64_C(30) * 1000000;
    assert_ok(location_put(s, &x));
    assert_int_equal(s->used, 2);
    assert_int_equal(look("alice@e", 25, b), 1);
    assert_str(str_of(b[0].contact, b[0].contact_len), "sip:a@1");
    assert_int_equal(look("alice@e", 31, b), 0);
    assert_int_equal(look("bob@e", 0, b), 0);
    assert_true(location_del(s, &x));
    assert_false(location_del(s, &x));
    assert_int_equal(look("alice@e", 0, b), 1);
}

static void instance_is_the_key_where_there_is_one(void **state)
{
    (void)state;
    struct binding b[16], x = make("alice@e", "sip:a@1", 10), y = make("alice@e", "sip:a@2", 20);
    x.instance = y.instance = 7;
    assert_ok(location_put(s, &x));
    assert_ok(location_put(s, &y));
    assert_int_equal(look("alice@e", 0, b), 1);
    assert_str(str_of(b[0].contact, b[0].contact_len), "sip:a@2");
}

static void best_q_first(void **state)
{
    (void)state;
    struct binding b[16], x = make("alice@e", "sip:a@1", 10), y = make("alice@e", "sip:a@2", 20);
    x.q = 300;
    assert_ok(location_put(s, &y));
    assert_ok(location_put(s, &x));
    assert_int_equal(look("alice@e", 0, b), 2);
    assert_int_equal(b[0].q, 1000);
}

static void full_is_told_and_sweeping_makes_room(void **state)
{
    (void)state;
    char aor[16];
    uint32_t cursor = 0;
    for (int i = 0; i < CAP; i++) {
        (void)snprintf(aor, sizeof aor, "u%d@e", i);
        struct binding b = make(aor, "sip:x", i < 10 ? 5 : 50);
        assert_ok(location_put(s, &b));
    }
    struct binding more = make("more@e", "sip:x", 50);
    assert_err(location_put(s, &more), ERR_FULL);
    struct binding gone;
    uint32_t budget = CAP;
    int n = 0;
    for (; location_sweep(s, (struct wall){6000000}, &cursor, &budget, &gone); n++)
        assert_true(gone.expires.us == INT64_C(5) * 1000000);
    assert_int_equal(n, 10);
    assert_int_equal(budget, 0);
    assert_int_equal(s->used, CAP - 10);
    assert_ok(location_put(s, &more));
}

/* A writer that dies inside a slot leaves it odd; the next one drops it and keeps the rest. */
static void a_dead_writer_costs_one_slot(void **state)
{
    (void)state;
    struct binding b[16], x = make("alice@e", "sip:a@1", 10), y = make("bob@e", "sip:b@1", 10);
    assert_ok(location_put(s, &x));
    assert_ok(location_put(s, &y));
    uint32_t *seq = (uint32_t *)(void *)(s->data + 64 * sizeof(uint32_t)); /* slot 1: alice */
    ++*seq;
    assert_int_equal(look("alice@e", 0, b), 0);
    assert_ok(location_attach(s, CAP));
    assert_int_equal(s->used, 1);
    assert_int_equal(look("bob@e", 0, b), 1);
    assert_ok(location_put(s, &x));
    assert_int_equal(look("alice@e", 0, b), 1);
    assert_err(location_attach(s, CAP + 1), ERR_SYNTAX);
}

/* Random puts and deletes against a plain table. */
static void agrees_with_a_plain_model(void **state)
{
    (void)state;
    struct rng r;
    uint8_t seed[32] = {3};
    bool have[20][3] = {{false}};
    char aor[16], contact[16];
    struct binding b[16];
    rng_init(&r, seed);
    for (int step = 0; step < 20000; step++) {
        unsigned u = rng_below(&r, 20), c = rng_below(&r, 3);
        (void)snprintf(aor, sizeof aor, "u%u@e", u);
        (void)snprintf(contact, sizeof contact, "sip:c%u", c);
        struct binding x = make(aor, contact, 100);
        if (rng_below(&r, 2)) {
            assert_ok(location_put(s, &x));
            have[u][c] = true;
        } else {
            assert_int_equal(location_del(s, &x), have[u][c]);
            have[u][c] = false;
        }
        assert_int_equal(look(aor, 0, b), have[u][0] + have[u][1] + have[u][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(size_of_a_binding, setup, teardown),
        cmocka_unit_test_setup_teardown(put_find_replace_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(instance_is_the_key_where_there_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(best_q_first, setup, teardown),
        cmocka_unit_test_setup_teardown(full_is_told_and_sweeping_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_writer_costs_one_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_a_plain_model, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
