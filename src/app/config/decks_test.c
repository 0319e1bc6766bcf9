#include "app/config/decks.h"
#include "base/test.h"
#include <time.h>

static const struct config_deck DECK = {.file = "x", .minimum_s = 60, .increment_s = 30};
static struct deck_report rep;

static enum err read_text(const char *text, struct deck_rows *rows)
{
    memset(&rep, 0, sizeof rep);
    return deck_read_text(str_c(text), "deck.csv", 1, &DECK, rows, &rep);
}

static void money(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        bool comma;
        enum err e;
        int64_t micro;
    } ROWS[] = {
        {"0", false, OK, 0},
        {"1", false, OK, 1000000},
        {"0.012345", false, OK, 12345},
        {".5", false, OK, 500000},
        {"0.0000010", false, OK, 1},
        {"0.0000011", false, ERR_SYNTAX, 0},
        {"1000000", false, OK, 1000000000000},
        {"1000000.1", false, ERR_RANGE, 0},
        {"1000001", false, ERR_RANGE, 0},
        {"", false, ERR_SYNTAX, 0},
        {".", false, ERR_SYNTAX, 0},
        {"1.", false, ERR_SYNTAX, 0},
        {"-1", false, ERR_SYNTAX, 0},
        {"1e3", false, ERR_SYNTAX, 0},
        {"0,5", false, ERR_SYNTAX, 0},
        {"0,5", true, OK, 500000},
        {"0.5", true, OK, 500000},
        {"1.000,5", true, ERR_SYNTAX, 0},
        {"99999999999999999999", false, ERR_RANGE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t v = 0;
        if (deck_money(str_c(ROWS[i].s), ROWS[i].comma, &v) != ROWS[i].e)
            print_error("%s\n", ROWS[i].s);
        assert_err(deck_money(str_c(ROWS[i].s), ROWS[i].comma, &v), ROWS[i].e);
        assert_int_equal(v, ROWS[i].micro);
    }
}

static void columns(void **state)
{
    (void)state;
    struct deck_rows rows = {0};
    assert_ok(
        read_text("\xef\xbb\xbf"
                  "Description,PREFIX,price,setup,minimum,increment,from,until\r\n"
                  "\"Berlin, \"\"land line\"\"\",+4930,0.0123,0.01,30,6,2026-01-01,2026-06-30\r\n"
                  "\r\n"
                  ",49,0.02,,,,,\r\n",
                  &rows));
    assert_int_equal(rows.n, 2);
    assert_string_equal(rows.v[0].prefix, "4930");
    assert_int_equal(rows.v[0].rate.minute_micro, 12300);
    assert_int_equal(rows.v[0].rate.setup_micro, 10000);
    assert_int_equal(rows.v[0].rate.minimum_s, 30);
    assert_int_equal(rows.v[0].rate.increment_s, 6);
    assert_int_equal(rows.v[0].rate.line, 2);
    assert_int_equal(rows.v[0].from.us, INT64_C(1767225600000000));
    assert_int_equal(rows.v[0].until.us, INT64_C(1782864000000000)); /* through its day */
    assert_int_equal(rows.v[1].rate.minimum_s, 60);
    assert_int_equal(rows.v[1].rate.increment_s, 30);
    assert_int_equal(rows.v[1].until.us, 0);
    assert_int_equal(rows.v[1].rate.line, 4);
    deck_rows_free(&rows);
    assert_ok(read_text("prefix;price\n49;0,02", &rows)); /* no line end at the end */
    assert_int_equal(rows.v[0].rate.minute_micro, 20000);
    deck_rows_free(&rows);
}

static void each_wrong_line_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
        const char *says;
    } ROWS[] = {
        {"", 0, "it is empty"},
        {"prefix\n49\n", 1, "must name the columns prefix and price"},
        {"prefix,price,colour\n", 1, "\"colour\" is no column"},
        {"prefix,price,prefix\n", 1, "column \"prefix\" is there twice"},
        {"prefix,price\n4x,1\n", 2, "\"4x\" is not a prefix"},
        {"prefix,price\n,1\n", 2, "\"\" is not a prefix"},
        {"prefix,price\n1234567890123456,1\n", 2, "is not a prefix"},
        {"prefix,price\n4.93E+11,1\n", 2, "is not a prefix"},
        {"prefix,price\n49,\n", 2, "\"\" is not a price"},
        {"prefix,price\n49,1 EUR\n", 2, "is not a price"},
        {"prefix,price\n49,-1\n", 2, "is not a price"},
        {"prefix,price\n49\n", 2, "1 fields, but the first line names 2"},
        {"prefix,price\n49,1,2\n", 2, "3 fields, but the first line names 2"},
        {"prefix,price,minimum\n49,1,0\n", 2, "is not a minimum"},
        {"prefix,price,increment\n49,1,3601\n", 2, "is not a increment"},
        {"prefix,price,from\n49,1,2026-02-30\n", 2, "is not a from"},
        {"prefix,price,until\n49,1,tomorrow\n", 2, "is not a until"},
        {"prefix,price,from,until\n49,1,2026-02-03,2026-02-02\n", 2, "until lies before from"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct deck_rows rows = {0};
        if (read_text(ROWS[i].text, &rows) != ERR_SYNTAX || !strstr(rep.at[0].text, ROWS[i].says))
            print_error("row %zu: %s\n", i, rep.at[0].text);
        assert_err(read_text(ROWS[i].text, &rows), ERR_SYNTAX);
        assert_int_equal(rep.n, 1);
        assert_int_equal(rep.at[0].line, ROWS[i].line);
        assert_non_null(strstr(rep.at[0].text, ROWS[i].says));
        assert_int_equal(rows.n, 0);
        deck_rows_free(&rows);
    }
    struct deck_rows rows = {0};
    assert_err(read_text("prefix,price\n49,1\nx,1\n48,1\n47,y\n", &rows), ERR_SYNTAX);
    assert_int_equal(rep.n_all, 2);
    assert_int_equal(rep.at[0].line, 3);
    assert_int_equal(rep.at[1].line, 5);
    assert_int_equal(rep.rows, 2);
    deck_rows_free(&rows);
    assert_err(deck_read_text(str_of("prefix\0,price", 13), "x", 1, &DECK, &rows, &rep),
               ERR_SYNTAX);
}

static void one_blob(void **state)
{
    (void)state;
    struct deck_rows rows = {0};
    void *blob = NULL;
    size_t bytes = 0;
    struct rate r;
    assert_ok(read_text("prefix,price\n49,1\n4930,2\n", &rows));
    assert_ok(deck_blob(&rows, &DECK, &blob, &bytes, &rep));
    assert_ok(rates_valid(blob, bytes));
    assert_true(rates_find(blob, 1, STR("+4930123"), (struct wall){0}, &r));
    assert_int_equal(r.minute_micro, 2000000);
    assert_int_equal(r.line, 3);
    free(blob);
    assert_ok(read_text("prefix,price\n49,1\n", &rows)); /* a line is there already */
    assert_err(deck_blob(&rows, &DECK, &blob, &bytes, &rep), ERR_EXISTS);
    assert_non_null(strstr(rep.at[0].text, "prefix 49 is there twice"));
    assert_int_equal(rep.at[0].line, 2);
    deck_rows_free(&rows);
}

static void million(void **state)
{
    (void)state;
    enum { N = 1000000 };
    char *text = malloc((size_t)N * 32);
    struct out o = out_of(text, (size_t)N * 32);
    struct deck_rows rows = {0};
    void *blob = NULL;
    size_t bytes;
    assert_non_null(text);
    out_fmt(&o, "prefix,price,description\n");
    for (unsigned i = 0; i < N; i++)
        out_fmt(&o, "%u,0.%06u,x\n", 1000000 + i, i);
    clock_t t = clock();
    memset(&rep, 0, sizeof rep);
    assert_ok(deck_read_text(out_str(&o), "big", 1, &DECK, &rows, &rep));
    assert_ok(deck_blob(&rows, &DECK, &blob, &bytes, &rep));
    double s = (double)(clock() - t) / CLOCKS_PER_SEC;
    print_message("a million lines: %.2f s, %zu bytes\n", s, bytes);
    assert_true(s < 20);
    assert_int_equal(rates_count(blob), N);
    free(blob);
    deck_rows_free(&rows);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money),
        cmocka_unit_test(columns),
        cmocka_unit_test(each_wrong_line_is_told),
        cmocka_unit_test(one_blob),
        cmocka_unit_test(million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
