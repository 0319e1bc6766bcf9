/* Does one piece of parsing for each record of stdin, "OP BYTES\n" and then that many bytes, and
 * prints its result. test_linear.py runs this under callgrind, which counts what happens inside
 * measured() and writes a dump each time it returns. */
#include "wire/sdp/sdp.h"
#include "wire/sip/frame.h"
#include "wire/sip/hdr.h"
#include <stdio.h>
#include <stdlib.h>

static struct sip_msg m;
static struct sip_error why;
static struct sdp sdp;
static volatile size_t sink; /* so that no work is optimised away */

/* What a gateway asks of one element of a list, and of what it contains. */
static void element(enum sip_hdr id, struct str s)
{
    struct sip_via via;
    struct sip_nameaddr a;
    struct sip_uri uri;
    struct str value;
    if (id == HDR_VIA && sip_via_parse(s, &via) == OK)
        sink += sip_param(via.params, STR("absent"), &value);
    if (id != HDR_VIA && sip_nameaddr_parse(s, &a) == OK) {
        sink += sip_param(a.params, STR("absent"), &value);
        sink += sip_uri_parse(a.uri, &uri) == OK && sip_param(uri.params, STR("absent"), &value);
    }
}

/* Everything that is parsed only when asked for. */
static int parse_all(struct str s)
{
    if (sip_parse(s, false, &m, &why) != OK)
        return (int)why.reason;
    for (int id = 1; id < HDR_COUNT; id++) {
        struct sip_list it = {0};
        struct str one = STR_NONE;
        while (sip_list_next(&m, (enum sip_hdr)id, &it, &one))
            element((enum sip_hdr)id, one);
        struct sip_auth auth;
        struct sip_session_expires se;
        sink += sip_auth_parse(sip_get(&m, (enum sip_hdr)id), &auth) == OK;
        sink += sip_session_expires_parse(sip_get(&m, (enum sip_hdr)id), &se) == OK;
    }
    struct str part = STR_NONE;
    enum err e = sip_body_find(&m, STR("application/sdp"), &part);
    if (e == OK)
        e = sdp_parse(part, &sdp);
    return e == ERR_NOT_FOUND ? 0 : (int)e;
}

/* A stream whose bytes come step at a time. */
static int frames(struct str s, size_t step)
{
    struct sip_frame_scan scan = {0};
    size_t have = 0;
    while (s.n > 0) {
        have = MIN(have + step, s.n);
        struct sip_frame f = sip_frame_next(&scan, str_head(s, have), SIP_MSG_MAX);
        if (f.kind == FRAME_BAD)
            return (int)f.reason;
        if (f.kind == FRAME_MORE && have == s.n)
            return -1;
        if (f.kind != FRAME_MORE) {
            s = str_skip(s, f.bytes);
            have -= f.bytes;
            scan = (struct sip_frame_scan){0};
        }
    }
    return 0;
}

static int uri(struct str s)
{
    struct sip_uri u;
    return (int)sip_uri_parse(s, &u);
}

/* Shows that the test would see it: what it looks for is what a parser must not do. */
static int square(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        sink += str_find(str_skip(s, i), '\0');
    return 0;
}

__attribute__((noinline, noclone)) static int measured(char op, struct str s)
{
    switch (op) {
    case 'p':
        return sip_parse(s, false, &m, &why) == OK ? 0 : (int)why.reason;
    case 'a':
        return parse_all(s);
    case 'f':
        return frames(s, 1);
    case 'F':
        return frames(s, s.n);
    case 'd':
        return (int)sdp_parse(s, &sdp);
    case 'u':
        return uri(s);
    case 'q':
        return square(s);
    default:
        abort();
    }
}

int main(void)
{
    char op;
    size_t n;
    while (scanf("%c %zu", &op, &n) == 2 && getchar() == '\n') {
        char *p = malloc(n + 1); /* exactly: nothing may be read behind */
        if (!p || fread(p, 1, n, stdin) != n)
            return 1;
        (void)printf("%d\n", measured(op, str_of(p, n)));
        free(p);
    }
    return 0;
}
