#include "base/out.h"
#include "base/test.h"
#include "wire/sip/hdr.h"

static struct sip_msg m;
static struct sip_error why;
static char text[16384];

static enum err find(const char *type, struct str body, const char *want, struct str *ret_part)
{
    struct out o = out_of(text, sizeof(text));
    OUT_LIT(&o, "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n"
                "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: a\r\n"
                "CSeq: 1 MESSAGE\r\n");
    if (type)
        out_fmt(&o, "Content-Type: %s\r\n", type);
    OUT_LIT(&o, "\r\n");
    out_put(&o, body);
    assert_false(o.full);
    assert_ok(sip_parse(out_str(&o), false, &m, &why));
    return sip_body_find(&m, str_c(want), ret_part);
}

#define MIXED "multipart/mixed;boundary=b"
#define SDP   "Content-Type: application/sdp\r\n\r\n"

static void found(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *want, *part;
    } rows[] = {
        {"application/sdp", "v=0", "application/sdp", "v=0"},
        {"Application/SDP;a=b", "v=0", "application/sdp", "v=0"},
        {MIXED, "--b\r\n" SDP "v=0\r\n--b--", "application/sdp", "v=0"},
        {MIXED, "pre\r\n--b \r\n\r\nplain\r\n--b\r\n" SDP "v=0\r\n--b--\r\npost", "application/sdp",
         "v=0"},
        {MIXED, "--b\r\n\r\nplain\r\n--b\r\n" SDP "v=0\r\n--b--", "text/plain", "plain"},
        {MIXED, "--b\r\n" SDP "1\r\n--b\r\n" SDP "2\r\n--b--", "application/sdp", "1"},
        {MIXED, "--b\r\n" SDP "\r\n--b--", "application/sdp", ""},
        {MIXED, "--b\r\n" SDP "--bb\r\n--b--", "application/sdp", "--bb"},
        {"multipart/mixed; boundary=\"b c\"", "--b c\r\n" SDP "v\r\n--b c--", "application/sdp",
         "v"},
        {MIXED,
         "--b\r\nContent-Type: multipart/alternative;boundary=i\r\n\r\n--i\r\n" SDP
         "v=0\r\n--i--\r\n--b--",
         "application/sdp", "v=0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str part = STR_NONE;
        if (find(rows[i].type, str_c(rows[i].body), rows[i].want, &part) != OK)
            fail_msg("row %zu", i);
        assert_str_eq(part, str_c(rows[i].part));
    }
}

static void not_found(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        enum err want;
    } rows[] = {
        {NULL, "v=0", ERR_NOT_FOUND},
        {"application/sdp", "", ERR_NOT_FOUND},
        {"text/plain", "v=0", ERR_NOT_FOUND},
        {"text", "v=0", ERR_SYNTAX},
        {MIXED, "--b\r\n\r\nplain\r\n--b--", ERR_NOT_FOUND},
        {MIXED, "--b--\r\n" SDP, ERR_NOT_FOUND},
        {MIXED, "v=0", ERR_SYNTAX},
        {MIXED, "--b\r\n" SDP "v=0", ERR_SYNTAX},
        {MIXED, "--b\r\n" SDP "v=0\r\n--bx", ERR_SYNTAX},
        {MIXED, "--b\r\n" SDP "v=0--b--", ERR_SYNTAX},
        {MIXED, "x--b\r\n" SDP "v=0\r\n--b--", ERR_NOT_FOUND},
        {MIXED, "--b\r\nContent-Type: application/sdp\r\n--b--", ERR_SYNTAX},
        {MIXED, "--b\r\nContent-Type: sdp\r\n\r\nv=0\r\n--b--", ERR_SYNTAX},
        {MIXED, "--b\r\nA b: c\r\n\r\nv=0\r\n--b--", ERR_SYNTAX},
        {MIXED, "--b\r\nContent-Transfer-Encoding: base64\r\n" SDP "dj0w\r\n--b--",
         ERR_UNSUPPORTED},
        {"multipart/mixed", "--b\r\n" SDP "v=0\r\n--b--", ERR_SYNTAX},
        {"multipart/mixed;boundary=\"\"", "--\r\n" SDP "v=0\r\n----", ERR_SYNTAX},
        {"multipart/mixed;boundary=\"a\\b\"", "--a\\b\r\n" SDP "v=0\r\n--a\\b--", ERR_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str part = STR_NONE;
        enum err e = find(rows[i].type, str_c(rows[i].body), "application/sdp", &part);
        if (e != rows[i].want)
            fail_msg("row %zu: %s", i, err_name(e));
    }
}

static void limits(void **state)
{
    (void)state;
    static char body[8192], type[200];
    struct str part;
    for (unsigned parts = 16; parts <= 17; parts++) {
        struct out o = out_of(body, sizeof(body));
        for (unsigned i = 1; i < parts; i++)
            OUT_LIT(&o, "--b\r\n\r\nx\r\n");
        OUT_LIT(&o, "--b\r\n" SDP "v=0\r\n--b--");
        assert_err(find(MIXED, out_str(&o), "application/sdp", &part),
                   parts <= 16 ? OK : ERR_LIMIT);
    }
    for (unsigned depth = 3; depth <= 4; depth++) {
        struct out o = out_of(body, sizeof(body));
        for (unsigned i = 1; i < depth; i++)
            out_fmt(&o, "--b%u\r\nContent-Type: multipart/mixed;boundary=b%u\r\n\r\n", i, i + 1);
        out_fmt(&o, "--b%u\r\n" SDP "v=0\r\n", depth);
        for (unsigned i = depth; i > 0; i--)
            out_fmt(&o, "--b%u--\r\n", i);
        assert_err(find("multipart/mixed;boundary=b1", out_str(&o), "application/sdp", &part),
                   depth <= 3 ? OK : ERR_LIMIT);
    }
    for (int n = 70; n <= 71; n++) {
        (void)snprintf(type, sizeof(type), "multipart/mixed;boundary=%0*d", n, 0);
        struct out o = out_of(body, sizeof(body));
        out_fmt(&o, "--%0*d\r\n" SDP "v=0\r\n--%0*d--", n, 0, n, 0);
        assert_err(find(type, out_str(&o), "application/sdp", &part), n <= 70 ? OK : ERR_SYNTAX);
    }
    for (unsigned fields = 16; fields <= 17; fields++) {
        struct out o = out_of(body, sizeof(body));
        OUT_LIT(&o, "--b\r\n");
        for (unsigned i = 1; i < fields; i++)
            OUT_LIT(&o, "Z: y\r\n");
        OUT_LIT(&o, SDP "v=0\r\n--b--");
        assert_err(find(MIXED, out_str(&o), "application/sdp", &part),
                   fields <= 16 ? OK : ERR_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found),
        cmocka_unit_test(not_found),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
