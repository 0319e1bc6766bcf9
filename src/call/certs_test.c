/* The board of signers' certificates: who believes what stands there, and for how long. */
#include "base/seq.h"
#include "base/test.h"
#include "call/certs.h"

#define S INT64_C(1000000)
static const struct wall NOW = {1700000000 * S};
static struct cert_board *board;

static int setup(void **state)
{
    (void)state;
    board = calloc(1, sizeof *board);
    assert_ok(certs_attach(board, sizeof *board));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(board);
    return 0;
}

static struct certs_row row_of(const char *url, int64_t until_s)
{
    struct certs_row r = {.fetched = NOW, .until = {NOW.us + until_s * S}, .has_spc = true};
    (void)snprintf(r.url, sizeof r.url, "%s", url);
    (void)snprintf(r.spc, sizeof r.spc, "709J");
    r.key[0] = 4;
    return r;
}

static enum err get(const char *url, int64_t after_s, struct certs_row *ret)
{
    return certs_get(board, sizeof *board, str_c(url), (struct wall){NOW.us + after_s * S}, ret);
}

#define URL "https://certs.example.com/a.pem"
static void put_and_get(void **state)
{
    struct certs_row r = row_of(URL, 60), got;
    (void)state;
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
    certs_put(board, &r);
    assert_ok(get(URL, 0, &got));
    assert_memory_equal(&got, &r, sizeof r);
    assert_ok(get(URL, 59, &got));
    assert_err(get(URL, 60, &got), ERR_NOT_FOUND); /* to be fetched again */
    assert_err(get("https://certs.example.com/b.pem", 0, &got), ERR_NOT_FOUND);
    assert_err(get("", 0, &got), ERR_NOT_FOUND);
    assert_err(certs_get(board, sizeof *board - 1, STR(URL), NOW, &got), ERR_NOT_FOUND);
    assert_err(certs_get(NULL, sizeof *board, STR(URL), NOW, &got), ERR_NOT_FOUND);
    r.until.us += 100 * S; /* the same URL: the same slot */
    certs_put(board, &r);
    assert_ok(get(URL, 99, &got));
    unsigned used = 0;
    for (size_t i = 0; i < ARRAY_LEN(board->slot); i++)
        used += board->slot[i].row.url[0] != 0;
    assert_int_equal(used, 1);
    certs_forget(board);
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
}

/* A failure is told as what it was, so that nobody asks again for a while. */
static void failures(void **state)
{
    struct certs_row r = {.fetched = NOW, .until = {NOW.us + 30 * S}}, got;
    (void)state;
    (void)snprintf(r.url, sizeof r.url, URL);
    r.why = REASON_stir_bad_info;
    certs_put(board, &r);
    assert_ok(get(URL, 29, &got));
    assert_int_equal(got.why, REASON_stir_bad_info);
    assert_err(get(URL, 30, &got), ERR_NOT_FOUND);
    r.why = REASON_stir_credential;
    certs_put(board, &r);
    assert_ok(get(URL, 0, &got));
    assert_int_equal(got.why, REASON_stir_credential);
}

/* What a writer gone wild may have left: nothing of it is believed. */
static void contracts(void **state)
{
    const struct certs_row good = row_of(URL, 60);
    struct certs_row r = good, got;
    (void)state;
    r.n_ranges = CERTS_RANGES + 1;
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_SYNTAX);
    r = good;
    memset(r.spc, 'x', sizeof r.spc);
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_SYNTAX);
    r = good;
    r.key[0] = 2; /* no uncompressed point */
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_SYNTAX);
    r = good;
    r.has_spc = false; /* it may sign for nothing */
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_SYNTAX);
    r.n_ranges = 1;
    certs_put(board, &r);
    assert_ok(get(URL, 0, &got));
    r = good;
    r.why = REASON_auth_failed; /* not one that this board tells */
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_SYNTAX);
    r = good;
    r.fetched.us = NOW.us + 60 * S; /* clocks differ a little, not much */
    certs_put(board, &r);
    assert_ok(get(URL, 0, &got));
    r.fetched.us++;
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
    r = good;
    memset(r.url, 'a', sizeof r.url); /* without its end */
    certs_put(board, &r);
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
}

static void dead_writer(void **state)
{
    struct certs_row r = row_of(URL, 60), got;
    (void)state;
    certs_put(board, &r);
    struct certs_slot *s = NULL;
    for (size_t i = 0; i < ARRAY_LEN(board->slot); i++)
        if (board->slot[i].row.url[0])
            s = &board->slot[i];
    assert_non_null(s);
    seq_write_begin(&s->seq);
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND); /* and nobody waits */
    assert_ok(certs_attach(board, sizeof *board));
    assert_int_equal(s->seq & 1, 0);
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
    certs_put(board, &r);
    assert_ok(certs_attach(board, sizeof *board)); /* what is whole stays */
    assert_ok(get(URL, 0, &got));
    board->bytes--; /* another layout: all of it goes */
    assert_ok(certs_attach(board, sizeof *board));
    assert_err(get(URL, 0, &got), ERR_NOT_FOUND);
    assert_err(certs_attach(board, sizeof *board - 1), ERR_RANGE);
}

/* A bucket takes its ways; the next one pushes out that which ends first, and no other. */
static void full_bucket(void **state)
{
    char url[CERTS_BUCKETS * 8][32];
    struct certs_row r, got;
    unsigned n = 0;
    size_t home = ARRAY_LEN(board->slot);
    (void)state;
    for (unsigned i = 0; n < CERTS_WAYS + 1 && i < 100000; i++) {
        (void)snprintf(url[n], sizeof url[n], "https://c.example.com/%u", i);
        certs_forget(board);
        r = row_of(url[n], 60);
        certs_put(board, &r);
        for (size_t k = 0; k < ARRAY_LEN(board->slot); k++) {
            bool here = board->slot[k].row.url[0] != 0;
            home = here && home == ARRAY_LEN(board->slot) ? k / CERTS_WAYS : home;
            n += here && k / CERTS_WAYS == home;
        }
    }
    assert_int_equal(n, CERTS_WAYS + 1);
    certs_forget(board);
    for (unsigned i = 0; i < CERTS_WAYS; i++) {
        r = row_of(url[i], i == 2 ? 50 : 60);
        certs_put(board, &r);
    }
    r = row_of(url[CERTS_WAYS], 70);
    certs_put(board, &r);
    for (unsigned i = 0; i <= CERTS_WAYS; i++)
        assert_err(get(url[i], 0, &got), i == 2 ? ERR_NOT_FOUND : OK);
}

static void covers(void **state)
{
    struct certs_row r = {.n_ranges = 2,
                          .range = {{49300, 100, 5}, {491, 1, 3}, {7, 1, 1} /* not in use */}};
    (void)state;
    assert_true(certs_covers(&r, STR("49300")));
    assert_true(certs_covers(&r, STR("49399")));
    assert_false(certs_covers(&r, STR("49400")));
    assert_false(certs_covers(&r, STR("49299")));
    assert_true(certs_covers(&r, STR("491")));
    assert_false(certs_covers(&r, STR("0491"))); /* other digits */
    assert_false(certs_covers(&r, STR("492")));
    assert_false(certs_covers(&r, STR("7")));
    assert_false(certs_covers(&r, STR("4930a")));
    assert_false(certs_covers(&r, STR("+491")));
    assert_false(certs_covers(&r, STR_NONE));
    r.range[0] = (struct certs_range){0, UINT64_MAX, 18};
    assert_true(certs_covers(&r, STR("999999999999999999")));
    r.range[0].digits = 19;
    assert_false(certs_covers(&r, STR("9999999999999999999")));
    r.n_ranges = 0;
    assert_false(certs_covers(&r, STR("491")));
    r.has_spc = true; /* a provider's: any number of its own */
    assert_true(certs_covers(&r, STR("4930a")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(put_and_get), T(failures),    T(contracts),
                                       T(dead_writer), T(full_bucket), cmocka_unit_test(covers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
