/* The vault's word on one-time codes and countries: what a right code opens, and the requests of
 * administrators. */
#include "app/vault/factor.h"
#include "base/test.h"
#include "identity/rights.h"

#define ALICE    STR("alice@example.com")
#define CC(a, b) ((uint16_t)((a) << 8 | (b)))
static const struct sipkey nonce_key = {11, 22};
static const uint8_t noise[32] = {7};
static struct vault *v;
static struct rng rng;
static struct now now;
static struct otp_seed seed;

static void add_user(const char *aor)
{
    struct user *x = NULL, *old = NULL;
    assert_ok(user_new(str_c(aor), &x));
    assert_ok(users_put(&v->users, x, &old));
}

static int begin(void **state)
{
    (void)state;
    rng_init(&rng, noise);
    now = (struct now){{INT64_C(50000000)}, {INT64_C(1800000000000000)}};
    assert_ok(vault_new(&nonce_key, noise, &v));
    add_user("alice@example.com");
    add_user("bob@example.com");
    seed = (struct otp_seed){.alg = OTP_SHA1, .digits = 6, .n = 20};
    memset(seed.seed, 'a', seed.n);
    assert_ok(otps_put(&v->otps, ALICE, &seed, now.wall, 0));
    return 0;
}

static int done(void **state)
{
    (void)state;
    vault_free(v);
    return 0;
}

static enum reason code(const char *who, bool right, int step, uint16_t country, const char *device)
{
    struct vault_env env = {0, now, NULL, NULL};
    struct answer a;
    char digits[OTP_DIGITS_MAX + 1] = "000000";
    uint64_t at = (uint64_t)(now.wall.us / 1000000) / OTP_STEP_S;
    if (right)
        assert_ok(otp_code(&seed, (uint64_t)((int64_t)at + step), digits));
    struct ask q = {.id = 5, .kind = ASK_OTP, .key = country};
    assert_true(ask_add(&q, str_c(who), &q.user) && ask_add(&q, str_c(digits), &q.response) &&
                ask_add(&q, str_c(device), &q.nonce));
    assert_ok(ask_valid(&q, ask_size(&q)));
    vault_answer(v, &env, &q, &a);
    return (enum reason)a.reason;
}

static bool open(struct str aor, uint16_t country)
{
    return countries_find(&v->countries, aor, country) != NULL;
}

static void a_right_code_opens_the_country_that_was_called(void **state)
{
    (void)state;
    assert_int_equal(code("alice@example.com", false, 0, CC('A', 'T'), ""), REASON_auth_otp);
    assert_false(open(ALICE, CC('A', 'T')) || v->told);
    assert_int_equal(v->opened.code, 0);
    assert_int_equal(code("alice@example.com", true, 0, 0, ""), REASON_NONE); /* no first country */
    assert_int_equal(v->countries.rows.n, 0);
    assert_false(v->told);
    assert_int_equal(code("alice@example.com", true, 0, CC('A', 'T'), ""), REASON_auth_otp);
    assert_false(open(ALICE, CC('A', 'T'))); /* the code was used */
    assert_int_equal(code("alice@example.com", true, 1, CC('A', 'T'), ""), REASON_NONE);
    assert_true(open(ALICE, CC('A', 'T')) && v->told && v->countries.changed);
    assert_string_equal(countries_find(&v->countries, ALICE, CC('A', 'T'))->by, "one-time code");
    assert_int_equal(v->opened.code, CC('A', 'T'));
    assert_string_equal(v->opened.aor, "alice@example.com");
    assert_int_equal(countries_find(&v->countries, ALICE, CC('A', 'T'))->when.us, now.wall.us);
    assert_int_equal(code("bob@example.com", true, 1, CC('A', 'T'), ""), REASON_auth_otp);
    assert_int_equal(v->countries.rows.n, 1);
}

/* An engine may name what it likes: there is no such country. */
static void no_country_no_memory(void **state)
{
    (void)state;
    assert_int_equal(code("alice@example.com", true, 0, CC('Z', 'Z'), ""), REASON_NONE);
    assert_int_equal(v->countries.rows.n, 0);
    assert_false(v->told || v->countries_full);
}

static void without_room_the_call_goes_all_the_same(void **state)
{
    (void)state;
    unsigned n = 0;
    for (uint16_t c = CC('A', 'A'); n < DIRECTORY_COUNTRIES; c++)
        n += (c & 0xff) <= 'Z' && (c & 0xff) >= 'A' &&
             countries_allow(&v->countries, ALICE, c, STR("carol"), now.wall) == OK;
    assert_int_equal(code("alice@example.com", true, 0, CC('Z', 'W'), ""), REASON_NONE);
    assert_true(v->countries_full);
    assert_false(open(ALICE, CC('Z', 'W')) || v->told);
}

/* --- requests --- */

static enum control_code ask(const char *request, const char *has)
{
    struct factor f = {v, NULL, &rng, now.wall, STR("example.com")};
    struct admin_reply r;
    assert_true(factor_wants(str_c(request)));
    factor_do(&f, str_c(request), &r);
    struct str text = str_of(r.text, r.n);
    if (str_search(text, str_c(has)) >= text.n)
        fail_msg("%s -> %.*s", request, STR_ARG(text));
    enum control_code code = r.code;
    admin_reply_done(&r);
    return code;
}

static void allowed_listed_forgotten(void **state)
{
    (void)state;
    assert_int_equal(ask("{\"cmd\":\"country-list\"}", "\"countries\":[]"), CONTROL_OK);
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"bob\",\"country\":\"at\",\"by\":\"carol\"}",
            "\"before\":\"AT closed to bob@example.com\",\"after\":\"AT open to bob@example.com\""),
        CONTROL_OK);
    assert_true(v->told && open(STR("bob@example.com"), CC('A', 'T')));
    assert_int_equal(ask("{\"cmd\":\"country-list\",\"user\":\"bob\"}", "\"by\":\"carol\""),
                     CONTROL_OK);
    assert_int_equal(ask("{\"cmd\":\"country-list\",\"user\":\"alice\"}", "[]"), CONTROL_OK);
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"bob\",\"country\":\"AT\"}", "already"),
        CONTROL_REFUSED);
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"bob\",\"country\":\"XX\"}", "XX open"),
        CONTROL_OK);
    assert_true(open(STR("bob@example.com"), RIGHTS_NO_COUNTRY));
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"bob\",\"country\":\"ZZ\"}", "two letters"),
        CONTROL_BAD_REQUEST);
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"zoe\",\"country\":\"AT\"}", "no such user"),
        CONTROL_NOT_FOUND);
    assert_int_equal(ask("{\"cmd\":\"country-allow\",\"user\":\"bob\"}", "two letters"),
                     CONTROL_BAD_REQUEST);
    v->told = false;
    assert_int_equal(ask("{\"cmd\":\"country-forget\",\"user\":\"bob\",\"country\":\"AT\"}",
                         "\"before\":\"AT open to bob@example.com\",\"after\":\"AT closed"),
                     CONTROL_OK);
    assert_true(v->told && !open(STR("bob@example.com"), CC('A', 'T')));
    assert_int_equal(
        ask("{\"cmd\":\"country-forget\",\"user\":\"bob\",\"country\":\"AT\"}", "was not let"),
        CONTROL_NOT_FOUND);
}

static void full_is_told(void **state)
{
    (void)state;
    unsigned n = 0;
    for (uint16_t c = CC('A', 'A'); n < DIRECTORY_COUNTRIES; c++)
        n += (c & 0xff) <= 'Z' && (c & 0xff) >= 'A' &&
             countries_allow(&v->countries, ALICE, c, STR("carol"), now.wall) == OK;
    assert_int_equal(
        ask("{\"cmd\":\"country-allow\",\"user\":\"alice\",\"country\":\"ZW\"}", "64 countries"),
        CONTROL_REFUSED);
}

/* Whoever gets the name next begins with none. */
static void forgotten_with_the_user(void **state)
{
    (void)state;
    assert_ok(countries_allow(&v->countries, ALICE, CC('A', 'T'), STR("carol"), now.wall));
    assert_ok(countries_allow(&v->countries, ALICE, CC('C', 'H'), STR("carol"), now.wall));
    assert_ok(countries_allow(&v->countries, STR("bob@example.com"), CC('A', 'T'), STR("carol"),
                              now.wall));
    struct user *gone = users_take(&v->users, STR("alice"), STR("example.com"));
    assert_non_null(gone);
    user_free(gone);
    v->countries.changed = false;
    factor_sweep(v);
    assert_int_equal(v->countries.rows.n, 1);
    assert_true(v->countries.changed && open(STR("bob@example.com"), CC('A', 'T')));
    assert_null(otps_find(&v->otps, ALICE));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, done)
    if (otp_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {T(a_right_code_opens_the_country_that_was_called),
                                       T(no_country_no_memory),
                                       T(without_room_the_call_goes_all_the_same),
                                       T(allowed_listed_forgotten),
                                       T(full_is_told),
                                       T(forgotten_with_the_user)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
