/* Lists by themselves; what legs and their answers make of them is in lines_test.c. */
#include "base/test.h"
#include "media/state.h"

static struct media *m;

static int fresh(void **state)
{
    (void)state;
    m = calloc(1, sizeof *m);
    return m ? 0 : -1;
}

static int gone(void **state)
{
    (void)state;
    free(m);
    return 0;
}

static uint8_t keep(const char *text)
{
    struct span spans[CODECS_NAMES_MAX + 1];
    struct codec_names n = {spans, str_c(text), 0};
    for (struct str rest = n.text; rest.n > 0 && n.n <= CODECS_NAMES_MAX;)
        spans[n.n++] = str_span(n.text, sdp_token_next(&rest));
    return codecs_keep(m, &n);
}

static uint32_t legs(void)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++)
        n += m->lists[i].legs;
    return n;
}

static void shared(void **state)
{
    (void)state;
    assert_int_equal(keep(""), 0);
    assert_int_equal(legs(), 0);
    uint8_t a = keep("pcma opus"), b = keep("opus pcma"), c = keep("pcma");
    assert_true(a && b && c && a != b && b != c && a != c); /* the order is a part of it */
    assert_true(a <= CODECS_LISTS_MAX && b <= CODECS_LISTS_MAX && c <= CODECS_LISTS_MAX);
    assert_int_equal(keep("pcma opus"), a);
    assert_int_equal(keep("pcma"), c);
    assert_int_equal(codecs_share(m, a), a);
    assert_int_equal(m->lists[a - 1].legs, 3);
    assert_int_equal(m->lists[c - 1].legs, 2);
    assert_int_equal(codecs_share(m, 0), 0);
    codecs_drop(m, 0);
    assert_int_equal(legs(), 6);
    codecs_drop(m, a);
    codecs_drop(m, a);
    assert_true(codecs_has(m, a, STR("opus"))); /* the last leg still has it */
    assert_int_equal(keep("pcma opus"), a);
    codecs_drop(m, a);
    codecs_drop(m, a);
    codecs_drop(m, b);
    codecs_drop(m, c);
    codecs_drop(m, c);
    assert_int_equal(legs(), 0);
    /* Nobody's list is not found again by what is left of its text. */
    uint8_t fresh_one = keep("pcma opus");
    assert_int_equal(m->lists[fresh_one - 1].legs, 1);
}

static void places(void **state)
{
    uint8_t of[CODECS_LISTS_MAX];
    uint64_t seen = 0;
    (void)state;
    for (unsigned i = 0; i < CODECS_LISTS_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "c%u", i);
        of[i] = keep(name);
        assert_in_range(of[i], 1, CODECS_LISTS_MAX);
        seen |= UINT64_C(1) << (of[i] - 1);
    }
    assert_int_equal(seen, UINT64_MAX); /* each its own */
    assert_int_equal(keep("one-more"), CODECS_FULL);
    assert_int_equal(legs(), CODECS_LISTS_MAX);
    assert_int_equal(keep("c5"), of[5]); /* one that is there needs no place */
    codecs_drop(m, of[5]);
    assert_int_equal(keep("one-more"), CODECS_FULL);
    codecs_drop(m, of[5]);
    assert_int_equal(keep("one-more"), of[5]);
    assert_true(codecs_has(m, of[5], STR("one-more")));
    assert_false(codecs_has(m, of[5], STR("c5")));
    assert_true(codecs_has(m, of[6], STR("c6")));
}

/* Sixteen names, 512 bytes: from both sides, and nothing held after a refusal. */
static void limits(void **state)
{
    char text[CODECS_TEXT_MAX + 2];
    (void)state;
    assert_true(keep("a b c d e f g h i j k l m n o p"));
    assert_int_equal(legs(), 1);
    assert_int_equal(keep("a b c d e f g h i j k l m n o p q"), CODECS_FULL);
    memset(text, 'x', sizeof text);
    text[CODECS_TEXT_MAX + 1] = '\0';
    assert_int_equal(keep(text), CODECS_FULL);
    text[1] = ' '; /* nor the half of a list */
    assert_int_equal(keep(text), CODECS_FULL);
    text[1] = 'x';
    text[CODECS_TEXT_MAX] = '\0';
    uint8_t whole = keep(text);
    assert_in_range(whole, 1, CODECS_LISTS_MAX);
    assert_true(codecs_has(m, whole, str_c(text)));
    text[100] = ' '; /* spaces count, too */
    assert_in_range(keep(text), 1, CODECS_LISTS_MAX);
    assert_int_equal(legs(), 3);
    struct span none[2] = {SPAN_NONE, SPAN_NONE};
    struct codec_names empty = {none, STR("pcma"), 1};
    assert_int_equal(codecs_keep(m, &empty), CODECS_FULL); /* a name of no letters is no list */
    assert_int_equal(legs(), 3);
}

static void has(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } rows[] = {
        {"pcma", true}, {"PCMA", true},       {"g726-32", true},    {"G726-32", true},
        {"opus", true}, {"OPUS", true},       {"pcm", false},       {"pcmaa", false},
        {"cma", false}, {"g726", false},      {"pcma opus", false}, {"pcma ", false},
        {"", false},    {"pcma g726", false}, {"opus\n", false},
    };
    (void)state;
    uint8_t l = keep("pcma g726-32 opus");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(codecs_has(m, l, str_c(rows[i].name)), rows[i].want);
        assert_true(codecs_has(m, 0, str_c(rows[i].name))); /* no list: every codec */
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, gone)
int main(void)
{
    const struct CMUnitTest tests[] = {T(shared), T(places), T(limits), T(has)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
