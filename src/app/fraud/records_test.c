#include "app/fraud/records.h"
#include "base/out.h"
#include "base/test.h"
#include <stdlib.h>

#define HEAD "start,answer,user,to_e164,seconds,code,price_micro,label\n"
#define GOOD "2026-06-01T08:00:00Z,,alice@example.com,+4930,10,200,5,ok\n"

static enum err read_text(const char *text, struct records *ret_r)
{
    static char copy[65536];
    size_t n = strlen(text);
    memcpy(copy, text, n + 1);
    return records_read(copy, n, ret_r, NULL);
}

/* One bad row among good ones: which line, which column, what of it. */
static void bad_rows(void **st)
{
    static const struct {
        const char *row, *why;
        uint32_t column;
    } ROWS[] = {
        {"yesterday,,a,+49,1,200,1,", "the time of start", 1},
        {",,a,+49,1,200,1,", "the time of start", 1},
        {"2026-13-01T08:00:00Z,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-00T08:00:00Z,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01T24:00:00Z,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01T08:60:00Z,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01T08:00:61Z,,a,+49,1,200,1,", "the time of start", 1},
        {"1969-06-01T08:00:00Z,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01T08:00:00.xyzZ,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01,,a,+49,1,200,1,", "the time of start", 1},
        {"99999999999999999999,,a,+49,1,200,1,", "the time of start", 1},
        {"2026-06-01T08:00:00Z,soon,a,+49,1,200,1,", "the time of answer", 2},
        {"2026-06-01T08:00:00Z,,a,+49,-1,200,1,", "seconds", 5},
        {"2026-06-01T08:00:00Z,,a,+49,10000001,200,1,", "seconds", 5},
        {"2026-06-01T08:00:00Z,,a,+49,1.5,200,1,", "seconds", 5},
        {"2026-06-01T08:00:00Z,,a,+49,1,700,1,", "code", 6},
        {"2026-06-01T08:00:00Z,,a,+49,1,OK,1,", "code", 6},
        {"2026-06-01T08:00:00Z,,a,+49,1,200,0.5,", "price_micro", 7},
        {"2026-06-01T08:00:00Z,,a,+49,1,200,-5,", "price_micro", 7},
        {"2026-06-01T08:00:00Z,,a,+49,1,200,9223372036854775807,", "price_micro", 7},
    };
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[1024];
        struct records r;
        (void)snprintf(text, sizeof text, HEAD GOOD "\n%s\n" GOOD "x,,,,,,,\n", ROWS[i].row);
        assert_int_equal(read_text(text, &r), OK);
        assert_int_equal(r.n, 2);
        assert_int_equal(r.bad, 2);
        if (r.bad_line != 4 || r.bad_column != ROWS[i].column || strcmp(r.bad_why, ROWS[i].why))
            fail_msg("row %zu: line %u, column %u: %s", i, r.bad_line, r.bad_column, r.bad_why);
        records_free(&r);
    }
}

/* The same limits from their good side. */
static void good_rows(void **st)
{
    static const char *const ROWS[] = {
        "2026-06-01T08:00:00Z,,a,+49,10000000,699,9007199254740991,",
        "2026-06-01 08:00:60.999,2026-06-01T08:00:61Z"
        "\n2026-06-01T00:00:00Z",
        "1970-01-01T00:00:00Z,,,,,,,",
        "1780300800000000,1780300800000001,a,+49,1,200,1,ok",
        "2026-06-01T08:00:00Z",
        "2026-06-01T08:00:00Z,,a,+49,1,200,1,ok,more,and more",
    };
    static const size_t N[] = {1, 1, 1, 1, 1, 1}, BAD[] = {0, 1, 0, 0, 0, 0};
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char text[1024];
        struct records r;
        (void)snprintf(text, sizeof text, HEAD "%s\n", ROWS[i]);
        assert_int_equal(read_text(text, &r), OK);
        if (r.n != N[i] || r.bad != BAD[i])
            fail_msg("row %zu: %zu read, %llu bad: %s", i, r.n, (unsigned long long)r.bad,
                     r.bad_why ? r.bad_why : "");
        records_free(&r);
    }
}

static void heads(void **st)
{
    static const struct {
        const char *text;
        enum err want;
    } ROWS[] = {
        {"", ERR_SYNTAX},
        {"\n", ERR_SYNTAX},
        {"start,user\n", ERR_SYNTAX}, /* where to? */
        {"to,user\n", ERR_SYNTAX},    /* when? */
        {"start,to\n", OK},
        {"start,to", OK}, /* no line end, no records */
        {"START, To_E164 \n", OK},
        {"\xef\xbb\xbfstart,to\n", OK}, /* as spreadsheets write */
        {"\"start\",\"to\"\r\n", OK},
        {"start,\"to\n", ERR_SYNTAX}, /* a quote without end */
        {"colour,start,shape,to\n", OK},
    };
    (void)st;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct records r = {0};
        enum err e = read_text(ROWS[i].text, &r);
        if (e != ROWS[i].want)
            fail_msg("head %zu: %s", i, err_name(e));
        if (e == OK)
            records_free(&r);
    }
    for (unsigned columns = 64; columns <= 65; columns++) {
        char text[512];
        struct out o = out_of(text, sizeof text - 1);
        struct records r;
        OUT_LIT(&o, "start,to");
        for (unsigned i = 2; i < columns; i++)
            OUT_LIT(&o, ",x");
        out_ch(&o, '\n');
        text[o.n] = 0;
        assert_int_equal(read_text(text, &r), columns == 64 ? OK : ERR_SYNTAX);
        if (columns == 64)
            records_free(&r);
    }
}

static void quotes_and_lines(void **st)
{
    struct records r;
    (void)st;
    assert_int_equal(
        read_text("to,user,start,label\n"
                  "+49,\"a \"\"b\"\",\nc\",2026-06-01T09:00:00Z,Fraud\n" /* two lines */
                  "'+33,\"=x\",2026-06-01T08:00:00Z,1\r\n"
                  "+1,x,2026-06-31T99:00:00Z,\n"
                  "+2,\"open,2026-06-01T08:00:00Z,ok\n+3,y,2026-06-01T08:00:00Z,ok\n",
                  &r),
        OK);
    assert_int_equal(r.n, 2);
    assert_true(r.labels);
    assert_str(r.v[0].to,
               "+33"); /* by time; the mark that keeps spreadsheets from reckoning is off */
    assert_int_equal(r.v[0].line, 4);
    assert_int_equal(r.v[0].label, 2);
    assert_str(r.v[1].user, "a \"b\",\nc");
    assert_int_equal(r.v[1].line, 2);
    assert_int_equal(r.v[1].label, 2);
    assert_int_equal(r.v[1].start_us, INT64_C(1780304400000000));
    assert_int_equal(r.bad, 2);
    assert_int_equal(r.bad_line, 5);
    assert_int_equal(r.bad_column, 3);
    records_free(&r);
    assert_int_equal(read_text("start,to\n2026-06-01T08:00:00Z,\"+49\n", &r), OK);
    assert_int_equal(r.bad_line, 2);
    assert_int_equal(r.bad_column, 0);
    assert_string_equal(r.bad_why, "the end of a quote");
    records_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rows),
        cmocka_unit_test(good_rows),
        cmocka_unit_test(heads),
        cmocka_unit_test(quotes_and_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
