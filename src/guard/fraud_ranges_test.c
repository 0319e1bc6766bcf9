/* Ranges of ill repute by themselves: how they are kept, found, and which of them wins. */
#include "base/test.h"
#include "guard/fraud_int.h"

static struct fraud f;

static int fresh(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.p.seed_off = true;
    return 0;
}

static uint8_t weight(const char *number)
{
    return fraud_range_weight(&f, str_c(number));
}

/* By n, then digits, each once: as find and fraud_ranges_valid want it. */
static void expect_order(void)
{
    assert_ok(fraud_ranges_valid(f.p.ranges, f.p.n_ranges * sizeof f.p.ranges[0]));
}

static void add(void **state)
{
    static const struct {
        const char *digits;
        uint32_t weight;
        enum err want;
    } rows[] = {
        {"1", 1, OK},
        {"+2", 2, OK},
        {"0", 0, OK},
        {"00", 3, OK}, /* another range than 0 */
        {"07", 4, OK},
        {"7", 5, OK},
        {"123456789", 250, OK},
        {"999999999", 250, OK},
        {"+999999998", 250, OK},
        {"000000001", 6, OK},
        {"1234567890", 1, ERR_SYNTAX},
        {"0000000001", 1, ERR_SYNTAX},
        {"", 1, ERR_SYNTAX},
        {"+", 1, ERR_SYNTAX},
        {"++1", 1, ERR_SYNTAX},
        {"1+", 1, ERR_SYNTAX},
        {"-1", 1, ERR_SYNTAX},
        {"1 ", 1, ERR_SYNTAX},
        {" 1", 1, ERR_SYNTAX},
        {"1*", 1, ERR_SYNTAX},
        {"x", 1, ERR_SYNTAX},
        {"3", 251, ERR_RANGE},
        {"3", UINT32_MAX, ERR_RANGE},
        {"3", 256, ERR_RANGE},
        {"1", 9, ERR_EXISTS},
        {"+1", 1, ERR_EXISTS},
        {"2", 2, ERR_EXISTS},
        {"07", 4, ERR_EXISTS},
    };
    unsigned n = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_err(fraud_range_add(&f.p, str_c(rows[i].digits), rows[i].weight), rows[i].want);
        n += rows[i].want == OK;
        assert_int_equal(f.p.n_ranges, n);
        expect_order();
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].want == OK)
            assert_int_equal(weight(rows[i].digits), rows[i].weight);
}

static void full(void **state)
{
    char digits[8];
    (void)state;
    for (unsigned i = 0; i < FRAUD_RANGES; i++) { /* from behind: each goes before all others */
        (void)snprintf(digits, sizeof digits, "%u", 9999 - i);
        assert_ok(fraud_range_add(&f.p, str_c(digits), i % 251));
    }
    assert_int_equal(f.p.n_ranges, FRAUD_RANGES);
    expect_order();
    assert_err(fraud_range_add(&f.p, STR("1"), 1), ERR_FULL);
    assert_err(fraud_range_add(&f.p, STR("99999"), 1), ERR_FULL);
    assert_err(fraud_range_add(&f.p, STR("9999"), 1), ERR_EXISTS);
    assert_int_equal(f.p.n_ranges, FRAUD_RANGES);
    assert_int_equal(weight("9998"), 1);
    assert_int_equal(weight("8976"), 1023 % 251);
    assert_int_equal(weight("8975"), 0);
    assert_false(f.p.off_signs); /* what lies around the table */
}

static void longest(void **state)
{
    char digits[] = "123456789";
    (void)state;
    for (unsigned n = 1; n <= 9; n++)
        assert_ok(fraud_range_add(&f.p, str_head(STR("123456789"), n), n * 10));
    for (unsigned n = 1; n <= 9; n++) {
        assert_int_equal(fraud_range_weight(&f, str_head(STR("123456789"), n)), n * 10);
        digits[n - 1] = '0'; /* from here on another number */
        assert_int_equal(fraud_range_weight(&f, str_c(digits)), (n - 1) * 10);
        digits[n - 1] = (char)('0' + n);
    }
    assert_int_equal(weight("+123456789"), 90);
    assert_int_equal(weight("+1234567890123456789"), 90);
    assert_int_equal(weight("12345678900000"), 90);
    assert_int_equal(weight("2"), 0);
    assert_int_equal(weight("+"), 0);
    assert_int_equal(weight(""), 0);
    assert_int_equal(fraud_range_weight(&f, STR_NONE), 0);
    assert_int_equal(weight("01"), 0); /* no leading zero is passed over */
    assert_int_equal(weight("++1"), 0);
    (void)fresh(NULL);
    assert_ok(fraud_range_add(&f.p, STR("0070"), 77)); /* the same number, of more digits */
    assert_int_equal(weight("00701"), 77);
    assert_int_equal(weight("0701"), 0);
    assert_int_equal(weight("701"), 0);
}

/* Policy, then list, then what is built in; but the longest first of all. "247": 150, built in. */
static void who_wins(void **state)
{
    static const struct fraud_range list[] = {{24, 2, 11}, {247, 3, 12}, {2479, 4, 13}};
    const struct {
        const char *policy;
        bool list, seed;
        const char *number;
        uint8_t want;
    } rows[] = {
        {NULL, false, false, "2471", 0},  {NULL, false, true, "2471", 150},
        {NULL, true, false, "2471", 12},  {NULL, true, true, "2471", 12},
        {"247", false, true, "2471", 99}, {"247", true, true, "2471", 99},
        {"24", false, true, "2471", 150}, {"24", true, true, "2471", 12},
        {"24", true, false, "2431", 99},  {"2471", true, true, "2471", 99},
        {"2471", true, true, "2472", 12}, {"247", true, true, "2479", 13},
        {"2", true, true, "2479", 13},    {"2", true, true, "2400", 90}, /* 240, built in */
        {"2400", true, true, "2400", 99}, {NULL, false, true, "24", 0},
        {NULL, false, true, "+247", 150}, {NULL, false, true, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)fresh(NULL);
        f.p.seed_off = !rows[i].seed;
        if (rows[i].policy)
            assert_ok(fraud_range_add(&f.p, str_c(rows[i].policy), 99));
        fraud_ranges_set(&f, rows[i].list ? list : NULL, sizeof list);
        if (weight(rows[i].number) != rows[i].want)
            fail_msg("row %zu: %u", i, weight(rows[i].number));
    }
}

/* Known to be good (weight 0) is an answer, too, and outweighs what is shorter. */
static void known_good(void **state)
{
    static const struct fraud_range list[] = {{2470, 4, 0}};
    (void)state;
    f.p.seed_off = false;
    fraud_ranges_set(&f, list, sizeof list);
    assert_int_equal(weight("+24709"), 0);
    assert_int_equal(weight("+24719"), 150);
    assert_ok(fraud_range_add(&f.p, STR("247"), 0));
    assert_int_equal(weight("+24719"), 0);
    fraud_ranges_set(&f, NULL, sizeof list);
    assert_null(f.blob);
    assert_int_equal(f.blob_bytes, 0);
}

static void lists(void **state)
{
    static const struct {
        struct fraud_range v[3];
        unsigned n;
        enum err want;
    } rows[] = {
        {{{0, 0, 0}}, 0, OK},
        {{{0, 1, 0}}, 1, OK},
        {{{9, 1, 250}}, 1, OK},
        {{{999999999, 9, 250}}, 1, OK},
        {{{10, 1, 0}}, 1, ERR_RANGE},
        {{{99, 2, 0}, {99, 3, 0}}, 2, OK},
        {{{99999, 5, 1}, {100000, 5, 1}}, 2, ERR_RANGE},
        {{{99999999, 8, 1}}, 1, OK},
        {{{100000000, 8, 1}}, 1, ERR_RANGE},
        {{{1000000000, 9, 1}}, 1, ERR_RANGE},
        {{{UINT32_MAX, 9, 1}}, 1, ERR_RANGE},
        {{{1, 0, 0}}, 1, ERR_RANGE},
        {{{0, 0, 0}}, 1, ERR_RANGE},
        {{{1, 10, 0}}, 1, ERR_RANGE},
        {{{1, 255, 0}}, 1, ERR_RANGE},
        {{{1, 1, 251}}, 1, ERR_RANGE},
        {{{1, 1, 1}, {2, 1, 1}, {1, 2, 1}}, 3, OK},
        {{{1, 1, 1}, {1, 1, 2}}, 2, ERR_SYNTAX},            /* twice */
        {{{2, 1, 1}, {1, 1, 1}}, 2, ERR_SYNTAX},            /* not in order */
        {{{10, 2, 1}, {9, 1, 1}}, 2, ERR_SYNTAX},           /* the shorter first */
        {{{1, 1, 1}, {2, 1, 1}, {2, 1, 1}}, 3, ERR_SYNTAX}, /* the last, too */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_err(fraud_ranges_valid(rows[i].v, rows[i].n * sizeof rows[i].v[0]), rows[i].want);
        assert_err(fraud_ranges_valid(rows[i].v, rows[i].n * sizeof rows[i].v[0] + 1), ERR_SYNTAX);
    }
    assert_ok(fraud_ranges_valid(NULL, 0));
}

/* -- against a slow model: texts, the longest that the number begins with -- */

static uint32_t chance(uint32_t n)
{
    static uint64_t seed = 7;
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static struct str some_digits(char *text, size_t least, size_t most)
{
    size_t n = least + chance((uint32_t)(most - least + 1));
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('0' + chance(3));
    return str_of(text, n);
}

static void model(void **state)
{
    static struct {
        char text[9];
        struct str s;
        uint8_t weight;
    } of[2][150];
    static struct fraud_policy list; /* the list is made as a policy is */
    (void)state;
    unsigned n[2] = {0, 0};
    memset(&list, 0, sizeof list);
    for (unsigned i = 0; i < 2 * ARRAY_LEN(of[0]); i++) {
        unsigned w = i % 2, k = n[w];
        of[w][k].s = some_digits(of[w][k].text, 1, 9);
        of[w][k].weight = (uint8_t)chance(251);
        n[w] += fraud_range_add(w ? &list : &f.p, of[w][k].s, of[w][k].weight) == OK;
    }
    expect_order();
    assert_true(n[0] > 100 && n[1] > 100);
    fraud_ranges_set(&f, list.ranges, list.n_ranges * sizeof list.ranges[0]);
    for (unsigned turn = 0; turn < 20000; turn++) {
        char text[16] = "+";
        struct str digits = some_digits(text + 1, 0, 15);
        size_t best = 0;
        uint8_t want = 0;
        for (unsigned w = 0; w < 2; w++)
            for (unsigned i = 0; i < n[w]; i++)
                if (of[w][i].s.n > best && str_starts(digits, of[w][i].s)) {
                    best = of[w][i].s.n;
                    want = of[w][i].weight;
                }
        assert_int_equal(fraud_range_weight(&f, str_of(text, digits.n + 1)), want);
        assert_int_equal(fraud_range_weight(&f, digits), want);
    }
}

/* Each range that is built in is found by its digits, and by nothing shorter. */
static void built_in(void **state)
{
    const char *digits, *why;
    uint8_t w = 0, before = 77;
    uint32_t n = 0;
    (void)state;
    f.p.seed_off = false;
    for (; (digits = fraud_seed_at(n, &w, &why)) != NULL; n++) {
        char number[20];
        assert_true(w > 0 && strlen(why) > 3);
        (void)snprintf(number, sizeof number, "+%s", digits);
        assert_int_equal(weight(number), w);
        assert_int_not_equal(fraud_range_weight(&f, str_head(str_c(digits), strlen(digits) - 1)),
                             w);
    }
    assert_true(n >= 50);
    why = "mine";
    assert_null(fraud_seed_at(n, &before, &why));
    assert_null(fraud_seed_at(UINT32_MAX, &before, &why));
    assert_int_equal(before, 77);
    assert_string_equal(why, "mine");
}

#define T(name) cmocka_unit_test_setup(name, fresh)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(add), T(full), T(longest), T(who_wins), T(known_good), T(lists), T(model), T(built_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
