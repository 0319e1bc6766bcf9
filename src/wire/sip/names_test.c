#include "base/test.h"
#include "wire/sip/grammar.h"

static struct str upper(struct str s, char *buf)
{
    for (size_t i = 0; i < s.n; i++)
        buf[i] = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 32) : s.p[i];
    return str_of(buf, s.n);
}

static void every_name_in_any_case(void **state)
{
    (void)state;
    char buf[64];
    for (unsigned h = 1; h < HDR_COUNT; h++) {
        struct str name = sip_hdr_name((enum sip_hdr)h);
        assert_true(name.n > 1 && name.n <= 24);
        assert_int_equal(sip_hdr_id(name), h);
        assert_int_equal(sip_hdr_id(upper(name, buf)), h);
        for (size_t i = 0; i < name.n; i++)
            buf[i] = ascii_lower(name.p[i]);
        assert_int_equal(sip_hdr_id(str_of(buf, name.n)), h);
    }
}

static void compact_forms(void **state)
{
    (void)state;
    static const struct {
        char letter;
        enum sip_hdr id;
    } rows[] = {
#define H(id, name, compact, flags) {compact, HDR_##id},
#define M                           0
#define S                           0
#define L                           0
#include "wire/sip/headers.def"
#undef H
#undef M
#undef S
#undef L
    };
    unsigned letters = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].letter == 0)
            continue;
        char big = (char)(rows[i].letter - 32);
        assert_int_equal(sip_hdr_id(str_of(&rows[i].letter, 1)), rows[i].id);
        assert_int_equal(sip_hdr_id(str_of(&big, 1)), rows[i].id);
        letters++;
    }
    unsigned found = 0;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        found += sip_hdr_id(str_of(&byte, 1)) != HDR_OTHER;
    }
    assert_int_equal(found, 2 * letters);
}

/* A name that differs by one byte, one more or one less is another name. */
static void near_misses(void **state)
{
    (void)state;
    char buf[64];
    for (unsigned h = 1; h < HDR_COUNT; h++) {
        struct str name = sip_hdr_name((enum sip_hdr)h);
        for (size_t i = 0; i < name.n; i++) {
            memcpy(buf, name.p, name.n);
            buf[i] = buf[i] == 'q' ? 'z' : 'q';
            assert_int_not_equal(sip_hdr_id(str_of(buf, name.n)), h);
            buf[i] = name.p[i] == '-' ? '\r' : (char)(name.p[i] ^ 0x60);
            assert_int_equal(sip_hdr_id(str_of(buf, name.n)), HDR_OTHER);
        }
        memcpy(buf, name.p, name.n);
        buf[name.n] = '\0';
        assert_int_equal(sip_hdr_id(str_of(buf, name.n + 1)), HDR_OTHER);
        if (name.n > 2) /* "T" is To */
            assert_int_not_equal(sip_hdr_id(str_of(buf, name.n - 1)), h);
    }
    assert_int_equal(sip_hdr_id(STR_NONE), HDR_OTHER);
    assert_int_equal(sip_hdr_id(STR("axj")), HDR_OTHER);
    assert_int_equal(sip_hdr_id(STR("A-Name-Of-Twenty-Five-Byt")), HDR_OTHER);
    assert_int_equal(sip_hdr_name(HDR_OTHER).n, 0);
    assert_int_equal(sip_hdr_name(HDR_COUNT).n, 0);
}

static void methods(void **state)
{
    (void)state;
    for (unsigned m = 1; m < SIP_METHOD_COUNT; m++)
        assert_int_equal(sip_method_id(sip_method_name((enum sip_method)m)), m);
    static const char *const others[] = {"",   "invite",     "INVIT",  "INVITEE", "Ack",
                                         "AC", "SUBSCRIBEX", "INVITF", "KYE",     "FOO"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(sip_method_id(str_c(others[i])), SIP_OTHER);
    assert_int_equal(sip_method_name(SIP_OTHER).n, 0);
    assert_int_equal(sip_method_name(SIP_METHOD_COUNT).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_in_any_case),
        cmocka_unit_test(compact_forms),
        cmocka_unit_test(near_misses),
        cmocka_unit_test(methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
