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
    struct location_view v = {s, CAP};
    return location_lookup(&v, 1, &key, str_c(aor), (struct wall){now_s * 1000000}, b, 16);
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
    assert_err(location_attach(s, 0), ERR_RANGE);
    assert_err(location_attach(s, UINT32_MAX), ERR_RANGE);
}

/* What the dead one left in the header is not believed; a slot that no reader takes is dropped. */
static void a_wild_writer_costs_the_next_nothing(void **state)
{
    (void)state;
    struct binding b[16], x = make("alice@e", "sip:a@1", 10), y = make("bob@e", "sip:b@1", 10);
    assert_ok(location_put(s, &x));
    assert_ok(location_put(s, &y));
    ((struct binding *)(void *)(s->data + 64 * sizeof(uint32_t) + 8))->flow.listener = 200;
    s->fresh = UINT32_MAX;
    s->free_head = 77777;
    memset(s->data, 0xff, 64 * sizeof(uint32_t));
    assert_ok(location_attach(s, CAP));
    assert_int_equal(s->used, 1);
    assert_int_equal(look("alice@e", 0, b), 0);
    assert_int_equal(look("bob@e", 0, b), 1);
    for (int i = 0; i < 2; i++) {
        *(i ? &s->cap : &s->buckets) = 0x80000000u;
        assert_ok(location_attach(s, CAP));
        assert_int_equal(s->used, 0);
        assert_int_equal(look("bob@e", 0, b), 0);
        assert_ok(location_put(s, &y));
        assert_int_equal(look("bob@e", 0, b), 1);
    }
}

/* Each row breaks one thing that readers rely on: the owner refuses it, a reader does not see it.
 */
static void what_is_not_sound(void **state)
{
    (void)state;
    struct location_view v = {s, CAP};
    struct binding got;
    for (int i = 0; i < 12; i++) {
        struct binding x = make("alice@e", "sip:a@1", 10);
        assert_true(location_sound(&x));
        switch (i) {
        case 0:
            x.aor_hash = 0;
            break;
        case 1:
            x.aor_len = 0;
            break;
        case 2:
            x.aor_len = LOCATION_AOR_MAX + 1;
            break;
        case 3:
            x.contact_len = 0;
            break;
        case 4:
            x.path_len = LOCATION_CONTACT_MAX - 6;
            break;
        case 5:
            x.contact_len = x.path_len = 255;
            break;
        case 6:
            x.q = 1001;
            break;
        case 7:
            x.flow.proto = PROTO_TLS + 1;
            break;
        case 8:
            x.flow.listener = POLICY_LISTENERS;
            break;
        case 9:
            x.flow.peer.family = 5;
            break;
        case 10:
            x.contact[3] = '\n';
            break;
        default:
            x.path_len = 1;
            x.contact[7] = ' ';
            break;
        }
        assert_false(location_sound(&x));
        assert_err(location_put(s, &x), ERR_RANGE);
        struct binding y = make("alice@e", "sip:a@1", 10);
        assert_ok(location_put(s, &y));
        memcpy(s->data + 64 * sizeof(uint32_t) + 8, &x, sizeof x);
        assert_false(location_slot(v, 0, &got));
        assert_int_equal(look("alice@e", 0, &got), 0);
        memset(s, 0, location_bytes(CAP));
        assert_ok(location_attach(s, CAP));
    }
    struct binding x = make("alice@e", "sip:a@1", 10); /* to the last byte */
    memset(x.contact, 'p', sizeof x.contact);
    x.path_len = LOCATION_CONTACT_MAX - 7;
    assert_ok(location_put(s, &x));
    assert_true(location_slot(v, 0, &got));
}

/* Another engine's users are not looked for in this engine's shard. */
static void a_shard_speaks_for_its_own_users(void **state)
{
    (void)state;
    struct location_shard *other = test_calloc(1, location_bytes(CAP));
    assert_ok(location_attach(other, CAP));
    struct binding b[16], x = make("alice@e", "sip:a@1", 10);
    unsigned home = (unsigned)(siphash(&key, STR("alice@e")) % 2);
    struct location_view v[2] = {{other, CAP}, {other, CAP}};
    v[home].s = s;
    assert_ok(location_put(other, &x));
    assert_int_equal(location_lookup(v, 2, &key, STR("alice@e"), (struct wall){0}, b, 16), 0);
    assert_ok(location_put(s, &x));
    assert_int_equal(location_lookup(v, 2, &key, STR("alice@e"), (struct wall){0}, b, 16), 1);
    test_free(other);
}

static void nothing_to_read(void **state)
{
    (void)state;
    static const struct location_view none[] = {{NULL, 0}, {NULL, CAP}};
    struct binding b;
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        uint32_t it = 0;
        assert_false(location_next(none[i], 1, STR("a"), (struct wall){0}, &it, &b));
        assert_false(location_slot(none[i], 0, &b));
        assert_int_equal(location_fresh(none[i]) + location_epoch(none[i]), 0);
    }
    struct location_view v = {s, CAP};
    uint32_t it = CAP + 1;
    assert_false(location_next(v, 1, STR("a"), (struct wall){0}, &it, &b));
    assert_false(location_slot(v, CAP, &b));
    assert_false(location_slot(v, UINT32_MAX, &b));
}

/* A captured engine: every field of its shard is noise, or noise round one thing that looks right.
 * Nothing is read outside of the shard (AddressSanitizer), and what comes out is sound. */
static void noise_is_read_safely(void **state)
{
    (void)state;
    struct rng r;
    uint8_t seed[32] = {9};
    size_t n = location_bytes(CAP), found = 0;
    rng_init(&r, seed);
    for (int round = 0; round < 400; round++) {
        rng_bytes(&r, s, n);
        uint32_t *bucket = (uint32_t *)(void *)s->data;
        for (int i = 0; i < 64; i++) /* links that lead somewhere, round and round */
            bucket[i] = round & 1 ? rng_below(&r, CAP + 2) : bucket[i];
        for (uint32_t i = 0; i < CAP && round & 2; i++) {
            uint32_t *slot = (uint32_t *)(void *)(s->data + 64 * sizeof(uint32_t) +
                                                  i * (8 + sizeof(struct binding)));
            struct binding x = make("alice@e", "sip:a@1", 10);
            slot[0] &= ~1u;
            slot[1] = rng_below(&r, CAP + 2);
            memcpy(slot + 2, &x, sizeof x);
            ((uint8_t *)(slot + 2))[8 + rng_below(&r, sizeof x - 8)] = (uint8_t)rng_below(&r, 256);
        }
        struct location_view v = {s, CAP};
        struct binding b[16], other;
        for (uint32_t i = 0; i < CAP + 2; i++)
            if (location_slot(v, i, &b[0])) {
                assert_true(location_sound(&b[0]));
                found++;
            }
        size_t k = look("alice@e", 0, b);
        assert_true(k <= 16);
        for (size_t i = 0; i < k; i++) {
            assert_true(location_sound(&b[i]));
            assert_str(str_of(b[i].aor, b[i].aor_len), "alice@e");
        }
        (void)location_moment(&v, 1, &key, STR("alice@e"));
        struct flow f = {.proto = PROTO_TLS};
        location_follow(&v, 1, &key, STR("alice@e"), (struct wall){0}, STR("sip:a@1"), 0, &f);
        (void)location_other(&v, 1, &key, STR("alice@e"), (struct wall){0}, &f, STR("sip:a@1"),
                             &other);
        assert_true(location_fresh(v) <= CAP);
    }
    assert_true(found > 1000); /* the noise hides no reader that reads nothing */
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
        cmocka_unit_test_setup_teardown(a_wild_writer_costs_the_next_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shard_speaks_for_its_own_users, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_read, setup, teardown),
        cmocka_unit_test_setup_teardown(noise_is_read_safely, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_a_plain_model, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
