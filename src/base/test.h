/* For x_test.c only: cmocka with the headers it wants, and the third-party corpus, which is not
 * part of this repository: a test that needs it skips by name where it is absent. */
#ifndef BASE_TEST_H
#define BASE_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include <stdio.h>
#include <stdlib.h>

/* s holds exactly the bytes of the literal; on failure both are shown. */
#define assert_str(s, literal) test_assert_str((s), STR(literal), __FILE__, __LINE__)
#define assert_str_eq(s, t)    test_assert_str((s), (t), __FILE__, __LINE__)
#define assert_ok(e)           test_assert_err((e), OK, __FILE__, __LINE__)
#define assert_err(e, want)    test_assert_err((e), (want), __FILE__, __LINE__)

static inline void test_assert_str(struct str s, struct str want, const char *file, int line)
{
    if (str_eq(s, want))
        return;
    print_error("got  \"" STR_FMT "\" (%zu)\n", STR_ARG(s), s.n);
    print_error("want \"" STR_FMT "\" (%zu)\n", STR_ARG(want), want.n);
    _fail(file, line);
}

static inline void test_assert_err(enum err e, enum err want, const char *file, int line)
{
    if (e == want)
        return;
    print_error("got %s, want %s\n", err_name(e), err_name(want));
    _fail(file, line);
}

/* Reads a whole file; false if absent or longer than cap. */
static inline bool test_read(const char *path, void *ret_buf, size_t cap, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t n = fread(ret_buf, 1, cap, f);
    bool whole = n < cap || fgetc(f) == EOF;
    (void)fclose(f);
    if (whole)
        *ret_n = n;
    return whole;
}

/* The path of a corpus file or folder ("rfc4475/wsinv.dat"): under $RINGWALL_CORPUS, else beside
 * the source tree. false if it is not there: skip(). */
static inline bool test_corpus(char *ret_path, size_t cap, const char *name)
{
    const char *root = getenv("RINGWALL_CORPUS");
    int n = root ? snprintf(ret_path, cap, "%s/%s", root, name)
                 : snprintf(ret_path, cap, "%s/../shared/corpus/%s", SOURCE_ROOT, name);
    FILE *f = n > 0 && (size_t)n < cap ? fopen(ret_path, "rb") : NULL;
    if (f)
        (void)fclose(f);
    return f != NULL;
}
#endif
