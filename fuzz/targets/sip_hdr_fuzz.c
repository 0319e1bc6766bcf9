/* The fields that are parsed when asked for. What parses is written in one fixed form and parses to
 * the same again; views lie inside the text. */
#include "base/out.h"
#include "wire/sip/hdr.h"

static char text[4 * SIP_HEADER_LINE_MAX];

static void inside(struct str whole, struct str part)
{
    if (part.p && part.n > 0)
        CHECK(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void via(struct str s)
{
    struct sip_via v, w;
    if (sip_via_parse(s, &v) != OK)
        return;
    inside(s, v.params);
    inside(s, v.branch);
    struct out o = out_of(text, sizeof text);
    bool six = str_find(v.host, ':') < v.host.n;
    OUT_LIT(&o, "SIP/2.0/");
    out_put(&o, v.transport);
    out_put(&o, six ? STR(" [") : STR(" "));
    out_put(&o, v.host);
    out_put(&o, str_of("]", six));
    if (v.port)
        out_fmt(&o, ":%u", v.port);
    out_put(&o, str_of(";", v.params.n > 0));
    out_put(&o, v.params);
    if (o.n > SIP_HEADER_LINE_MAX)
        return;
    CHECK(!o.full && sip_via_parse(out_str(&o), &w) == OK && v.port == w.port);
    CHECK(str_eq(v.host, w.host) && str_eq(v.transport, w.transport));
    CHECK(str_eq(v.branch, w.branch) && str_eq(v.received, w.received));
    CHECK(v.rport == w.rport && v.rport_value == w.rport_value);
}

static void name_addr(struct str s)
{
    struct sip_nameaddr a, b;
    if (sip_nameaddr_parse(s, &a) != OK || a.star)
        return;
    CHECK(a.uri.n > 0);
    inside(s, a.display);
    inside(s, a.uri);
    inside(s, a.params);
    struct out o = out_of(text, sizeof text);
    out_ch(&o, '"');
    out_put(&o, a.display);
    OUT_LIT(&o, "\" <");
    out_put(&o, a.uri);
    out_ch(&o, '>');
    out_put(&o, str_of(";", a.params.n > 0));
    out_put(&o, a.params);
    if (o.n > SIP_HEADER_LINE_MAX)
        return;
    CHECK(!o.full && sip_nameaddr_parse(out_str(&o), &b) == OK);
    CHECK(str_eq(a.display, b.display) && str_eq(a.uri, b.uri) && str_eq(a.params, b.params));
}

static void numbers(struct str s)
{
    struct sip_rack r, r2;
    struct sip_session_expires x;
    uint32_t v = 0;
    if (sip_rack_parse(s, &r) == OK) {
        struct out o = out_of(text, sizeof text);
        out_fmt(&o, "%u %u ", r.rseq, r.cseq);
        out_put(&o, r.method);
        CHECK(r.rseq > 0 && r.cseq <= INT32_MAX && sip_rack_parse(out_str(&o), &r2) == OK);
        CHECK(r.rseq == r2.rseq && r.cseq == r2.cseq && str_eq(r.method, r2.method));
    }
    if (sip_session_expires_parse(s, &x) == OK) {
        CHECK(x.refresher == 0 || x.refresher == 'a' || x.refresher == 's');
        CHECK(sip_seconds_parse(s, UINT32_MAX, &v) == OK && v == x.seconds);
    }
    if (sip_seconds_parse(s, 1000, &v) == OK)
        CHECK(v <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct sip_auth a;
    struct sip_media_type t;
    if (size > SIP_HEADER_LINE_MAX)
        return 0;
    via(s);
    name_addr(s);
    numbers(s);
    if (sip_auth_parse(s, &a) == OK) {
        CHECK(a.scheme.n > 0 && a.rest.n > 0);
        inside(s, a.realm);
        inside(s, a.nonce);
        inside(s, a.response);
        inside(s, a.username);
    }
    if (sip_media_type_parse(s, &t) == OK) {
        CHECK(t.type.n > 0 && t.subtype.n > 0);
        inside(s, t.params);
    }
    return 0;
}
