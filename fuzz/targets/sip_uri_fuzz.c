/* A URI: its parts lie inside it and in order, it equals itself and itself in other escapes, and
 * an escaped user comes back. */
#include "wire/sip/uri.h"

static void inside(struct str whole, struct str part)
{
    if (part.p)
        CHECK(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[8 * URI_MAX], user[2 * URI_MAX];
    struct str s = str_of((const char *)data, size), it, name, value;
    struct sip_uri u, v;
    it = s;
    for (size_t n = 0; sip_param_next(&it, &name, &value); n++)
        CHECK(n <= size);
    if (size <= URI_MAX) {
        struct out o = out_of(text, sizeof text), back = out_of(user, sizeof user);
        sip_escape_user(&o, s);
        sip_unescape(&back, out_str(&o));
        CHECK(!o.full && str_eq(out_str(&back), s));
    }
    if (sip_uri_parse(s, &u) != OK)
        return 0;
    CHECK(size <= URI_MAX && str_eq(u.text, s) && sip_uri_equal(&u, &u));
    inside(s, u.user);
    inside(s, u.password);
    inside(s, u.host);
    inside(s, u.params);
    inside(s, u.headers);
    if (u.scheme != URI_SIP && u.scheme != URI_SIPS)
        return 0;
    CHECK(u.host.n > 0);
    bool bracket = u.ip.family != ADDR_NONE && str_find(u.host, ':') < u.host.n;
    struct out o = out_of(text, sizeof text);
    out_put(&o, u.scheme == URI_SIP ? STR("sip:") : STR("SIPS:"));
    for (size_t i = 0; i < u.user.n; i++) { /* letters as escapes mean the same */
        char c = u.user.p[i];
        bool escaped = (i >= 1 && u.user.p[i - 1] == '%') || (i >= 2 && u.user.p[i - 2] == '%');
        if (!escaped && ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z')
            out_fmt(&o, "%%%02x", (unsigned)c);
        else
            out_ch(&o, c);
    }
    if (u.password.p) {
        out_ch(&o, ':');
        out_put(&o, u.password);
    }
    if (u.user.n > 0)
        out_ch(&o, '@');
    if (bracket)
        out_ch(&o, '[');
    out_put(&o, u.host);
    if (bracket)
        out_ch(&o, ']');
    if (u.port)
        out_fmt(&o, ":%u", u.port);
    out_put(&o, str_of(";", u.params.n > 0));
    out_put(&o, u.params);
    out_put(&o, str_of("?", u.headers.n > 0));
    out_put(&o, u.headers);
    CHECK(!o.full);
    if (o.n <= URI_MAX)
        CHECK(sip_uri_parse(out_str(&o), &v) == OK && sip_uri_equal(&u, &v) &&
              sip_uri_equal(&v, &u));
    return 0;
}
