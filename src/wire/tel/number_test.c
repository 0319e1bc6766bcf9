#include "base/test.h"
#include "wire/tel/number.h"
#include <stdio.h>
#include <stdlib.h>

#define ISO(a, b) ((uint16_t)((a) << 8 | (b)))
static const struct dial_plan BERLIN = {ISO('D', 'E'), STR("30"), STR("00"), STR("0"), STR("")};
static const struct dial_plan LINE = {ISO('D', 'E'), STR("30"), STR("00"), STR("0"), STR("9")};
static const struct dial_plan YORK = {ISO('U', 'S'), STR("212"), STR("011"), STR("1"), STR("")};
static const struct dial_plan MADRID = {ISO('E', 'S'), STR(""), STR("00"), STR(""), STR("")};
static const struct dial_plan NOWHERE = {0, STR(""), STR(""), STR(""), STR("")};

static const struct {
    const struct dial_plan *plan;
    const char *dialled, *e164;
    enum number_class kind;
    const char *country;
} ROWS[] = {
    {&BERLIN, "1234567", "+49301234567", CLASS_LOCAL, "DE"},
    {&BERLIN, "030 1234567", "+49301234567", CLASS_LOCAL, "DE"},
    {&BERLIN, "089-123456", "+4989123456", CLASS_NATIONAL, "DE"},
    {&BERLIN, "+49 (30) 1234.567", "+49301234567", CLASS_LOCAL, "DE"},
    {&BERLIN, "004989123456", "+4989123456", CLASS_NATIONAL, "DE"},
    {&BERLIN, "015123456789", "+4915123456789", CLASS_MOBILE, "DE"},
    {&BERLIN, "+43 1 58058", "+43158058", CLASS_INTERNATIONAL, "AT"},
    {&BERLIN, "08001234567", "+498001234567", CLASS_TOLL_FREE, "DE"},
    {&BERLIN, "+18002123456", "+18002123456", CLASS_INTERNATIONAL, "US"},
    {&BERLIN, "+80012345678", "+80012345678", CLASS_TOLL_FREE, ""},
    {&BERLIN, "+80812345678", "+80812345678", CLASS_SHARED_COST, ""},
    {&BERLIN, "018012345", "+4918012345", CLASS_SHARED_COST, "DE"},
    {&BERLIN, "09001234567", "+499001234567", CLASS_PREMIUM, "DE"},
    {&BERLIN, "9001234567", "+499001234567", CLASS_PREMIUM, "DE"},          /* the dearer reading */
    {&BERLIN, "090012345678901", "+4990012345678901", CLASS_PREMIUM, "DE"}, /* dialled on */
    {&BERLIN, "070012345678", "+4970012345678", CLASS_PREMIUM, "DE"},       /* a personal number */
    {&BERLIN, "008821234567", "+8821234567", CLASS_SATELLITE, ""},
    {&BERLIN, "+881612345678", "+881612345678", CLASS_SATELLITE, ""},
    {&BERLIN, "+870301234567", "+870301234567", CLASS_SATELLITE, ""},
    {&BERLIN, "+878101234567890", "+878101234567890", CLASS_SATELLITE, ""},
    {&BERLIN, "+88312345678", "+88312345678", CLASS_SATELLITE, ""},
    {&BERLIN, "+88812345678901", "+88812345678901", CLASS_SATELLITE, ""},
    {&BERLIN, "+8750000", "+8750000", CLASS_SATELLITE, ""},
    {&BERLIN, "+979123456789", "+979123456789", CLASS_PREMIUM, ""},
    {&BERLIN, "+9797", "+9797", CLASS_PREMIUM, ""},
    {&BERLIN, "+88012345678", "+88012345678", CLASS_UNKNOWN, "BD"},
    {&BERLIN, "+2101234567", "+2101234567", CLASS_UNKNOWN, ""},
    {&BERLIN, "+49 (0)30 123456", "+49030123456", CLASS_UNKNOWN, "DE"},
    {&BERLIN, "110", "", CLASS_EMERGENCY, ""},
    {&BERLIN, "112", "", CLASS_EMERGENCY, ""},
    {&BERLIN, "+112", "+112", CLASS_UNKNOWN, "US"},
    {&LINE, "9089123456", "+4989123456", CLASS_NATIONAL, "DE"},
    {&LINE, "9112", "", CLASS_EMERGENCY, ""},
    {&LINE, "112", "", CLASS_EMERGENCY, ""},
    {&LINE, "089123456", "", CLASS_UNKNOWN, ""},
    {&LINE, "+4989123456", "+4989123456", CLASS_NATIONAL, "DE"},
    {&LINE, "9008821234567", "+8821234567", CLASS_SATELLITE, ""},
    {&LINE, "9", "", CLASS_UNKNOWN, ""},
    {&YORK, "2125550123", "+12125550123", CLASS_LOCAL, "US"},
    {&YORK, "5550123", "+12125550123", CLASS_LOCAL, "US"},
    {&YORK, "13105550123", "+13105550123", CLASS_NATIONAL, "US"},
    {&YORK, "16045550123", "+16045550123", CLASS_INTERNATIONAL, "CA"},
    {&YORK, "8765230123", "+18765230123", CLASS_INTERNATIONAL, "JM"},
    {&YORK, "18095550123", "+18095550123", CLASS_INTERNATIONAL, "DO"},
    {&YORK, "12844961234", "+12844961234", CLASS_INTERNATIONAL, "VG"},
    {&YORK, "18002345678", "+18002345678", CLASS_TOLL_FREE, "US"},
    {&YORK, "19002345678", "+19002345678", CLASS_PREMIUM, "US"},
    {&YORK, "01144 20 7031 3000", "+442070313000", CLASS_INTERNATIONAL, "GB"},
    {&YORK, "911", "", CLASS_EMERGENCY, ""},
    {&MADRID, "910123456", "+34910123456", CLASS_NATIONAL, "ES"},
    {&MADRID, "803123456", "+34803123456", CLASS_PREMIUM, "ES"},
    {&NOWHERE, "+4930123456", "+4930123456", CLASS_INTERNATIONAL, "DE"},
    {&NOWHERE, "0088161234567", "+88161234567", CLASS_SATELLITE, ""},
    {&NOWHERE, "9123", "", CLASS_UNKNOWN, ""},
    {&NOWHERE, "112", "", CLASS_EMERGENCY, ""},
};

static void dialled_numbers(void **st)
{
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct number n;
        assert_ok(number_of(ROWS[i].plan, str_c(ROWS[i].dialled), &n));
        bool same = str_eq(str_of(n.e164, n.n), str_c(ROWS[i].e164)) && n.kind == ROWS[i].kind &&
                    n.country == country_parse(str_c(ROWS[i].country));
        if (!same)
            fail_msg("%s: %.*s %s %c%c", ROWS[i].dialled, (int)n.n, n.e164,
                     number_class_name(n.kind).p, n.country >> 8 | 32, (n.country & 255) | 32);
    }
}

static void no_numbers(void **st)
{
    (void)st;
    static const char *const BAD[] = {"",
                                      "+",
                                      "alice",
                                      "*98",
                                      "12a",
                                      "1+2",
                                      "()",
                                      "+4930\xc2\xb2",
                                      "+1234567890123456789",
                                      "0000000000000000000000000",
                                      "001234567890123456789"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct number n = {.kind = 77};
        assert_int_equal(number_of(&BERLIN, str_c(BAD[i]), &n), ERR_SYNTAX);
        assert_int_equal(n.kind, 77);
    }
    struct number n;
    assert_ok(number_of(&BERLIN, STR("+123456789012345678"), &n));
    assert_int_equal(n.n, 19);
}

static void names_and_countries(void **st)
{
    (void)st;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        enum number_class c;
        assert_true(number_class_parse(number_class_name((enum number_class)i), &c));
        assert_int_equal(c, i);
    }
    enum number_class c;
    assert_false(number_class_parse(STR("Premium"), &c));
    assert_false(number_class_parse(STR(""), &c));
    assert_int_equal(country_parse(STR("de")), ISO('D', 'E'));
    assert_int_equal(country_parse(STR("XX")), 0);
    assert_int_equal(country_parse(STR("D")), 0);
    assert_int_equal(country_parse(STR("D1")), 0);
    assert_true(str_starts(number_source(), STR("libphonenumber ")));
    struct dial_plan p;
    assert_true(number_plan_default(ISO('U', 'S'), &p));
    assert_true(str_eq(p.international, STR("011")) && str_eq(p.national, STR("1")));
    assert_false(number_plan_default(0, &p));
}

static void calls_for_help(void **st)
{
    (void)st;
    assert_true(number_emergency(0, STR("112")) && number_emergency(0, STR("911")));
    assert_true(number_emergency(ISO('D', 'E'), STR("110")));
    assert_false(number_emergency(ISO('U', 'S'), STR("110")));
    assert_false(number_emergency(ISO('D', 'E'), STR("1100")));
    assert_false(number_emergency(ISO('D', 'E'), STR("11")));
    assert_false(number_emergency(ISO('D', 'E'), STR("")));
    assert_false(number_emergency(ISO('D', 'E'), STR("help")));
    assert_true(number_emergency(ISO('G', 'B'), STR("999")));
}

static FILE *corpus(const char *name)
{
    char path[512];
    const char *env = getenv("RINGWALL_CORPUS");
    (void)snprintf(path, sizeof path, "%s/numbering/%s",
                   env ? env : SOURCE_ROOT "/../shared/corpus", name);
    return fopen(path, "r");
}

static enum number_class abroad(uint16_t own, const char *e164)
{
    uint16_t there, from = own == ISO('U', 'S') ? ISO('C', 'A') : ISO('U', 'S');
    return number_classify(from, str_c(e164), &there);
}

/* Each row of the corpus: its example, seen from its own country. */
static void examples_of_the_corpus(void **st)
{
    (void)st;
    FILE *f = corpus("numbers-by-type.tsv");
    if (!f)
        skip();
    char line[8192];
    unsigned rows = 0, wrong = 0, dear = 0, plain = 0;
    while (fgets(line, sizeof line, f)) {
        char *save = NULL, *col[5] = {0};
        for (unsigned i = 0; i < 5; i++)
            col[i] = strtok_r(i ? NULL : line, "\t\n", &save);
        if (!col[4] || col[4][0] != '+')
            continue;
        uint16_t there, own = country_parse(str_c(col[0]));
        enum number_class c = number_classify(own, str_c(col[4]), &there);
        bool risky = c == CLASS_PREMIUM || c == CLASS_SHARED_COST;
        bool bad = false;
        if (!strcmp(col[2], "PREMIUM_RATE") || !strcmp(col[2], "SHARED_COST")) {
            dear++;
            bad = !risky;
        } else if (!strcmp(col[2], "FIXED_LINE") || !strcmp(col[2], "MOBILE")) {
            plain++;
            bad = risky || c == CLASS_UNKNOWN || (own && c == CLASS_SATELLITE);
            if (!own)
                bad = c != CLASS_SATELLITE;
            else if (!strcmp(col[1], "1")) /* each with its own country, and none is national */
                bad = bad || there != own || abroad(own, col[4]) != CLASS_INTERNATIONAL;
        }
        rows++;
        wrong += bad;
        if (bad)
            print_message("%s %s %s: %s\n", col[0], col[2], col[4], number_class_name(c).p);
    }
    fclose(f);
    print_message("%u rows, %u dear, %u plain\n", rows, dear, plain);
    assert_int_equal(wrong, 0);
    assert_true(dear >= 200 && plain >= 490);
}

int main(void)
{
    static const struct CMUnitTest t[] = {
        cmocka_unit_test(dialled_numbers),        cmocka_unit_test(no_numbers),
        cmocka_unit_test(names_and_countries),    cmocka_unit_test(calls_for_help),
        cmocka_unit_test(examples_of_the_corpus),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}
