/* What stands in messages, and what makes them: for agents that need not parse well. */
#include "identity/digest.h"
#include "tests/detect/detect.h"
#include <stdarg.h>

static char rooms[64][TEXT_MAX];
static unsigned room;

static const char *copy(const char *p, size_t n)
{
    char *r = rooms[room++ % ARRAY_LEN(rooms)];
    n = MIN(n, TEXT_MAX - 1u);
    memcpy(r, p, n);
    r[n] = 0;
    return r;
}

const char *part(const char *msg, const char *name)
{
    char key[64];
    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *p = strstr(msg, key);
    if (!p)
        return "";
    p += strlen(key);
    return copy(p, (size_t)(strstr(p, "\r\n") - p));
}

const char *within(const char *text, const char *before, const char *after)
{
    const char *p = strstr(text, before);
    if (!p)
        return "";
    p += strlen(before);
    const char *e = strstr(p, after);
    return copy(p, e ? (size_t)(e - p) : strlen(p));
}

unsigned code_of(const char *msg)
{
    return strncmp(msg, "SIP/2.0 ", 8) == 0 ? (unsigned)strtoul(msg + 8, NULL, 10) : 0;
}

const char *say(const char *f, ...)
{
    char *r = rooms[room++ % ARRAY_LEN(rooms)];
    va_list ap;
    va_start(ap, f);
    (void)vsnprintf(r, TEXT_MAX, f, ap);
    va_end(ap);
    return r;
}

void digest_for(const char *user, const char *password, const char *nonce, unsigned nc,
                const char *method, const char *uri, char *ret, size_t cap)
{
    char ha1[DIGEST_HEX_MAX], ha2[DIGEST_HEX_MAX], r[DIGEST_HEX_MAX], count[16];
    (void)snprintf(count, sizeof count, "%08x", nc);
    if (digest_ha1(DIGEST_SHA256, str_c(user), STR("example.com"), str_c(password), ha1) != OK ||
        digest_ha2(DIGEST_SHA256, str_c(method), str_c(uri), false, STR_NONE, ha2) != OK ||
        digest_response(DIGEST_SHA256, str_of(ha1, 64), str_c(nonce), str_c(count), STR("c0ffee"),
                        STR("auth"), str_of(ha2, 64), r) != OK)
        abort();
    (void)snprintf(ret, cap,
                   "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", "
                   "uri=\"%s\", algorithm=SHA-256, qop=auth, nc=%s, cnonce=\"c0ffee\", "
                   "response=\"%.64s\"\r\n",
                   user, nonce, uri, count, r);
}
