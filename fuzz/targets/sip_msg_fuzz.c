/* A message that parses is built again from its fields and parses to the same; what is refused but
 * answerable can be answered, and the answer parses. */
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"

static struct sip_msg m, again;
static struct sip_error why, why2;
static char built[2 * SIP_MSG_MAX], unfolded[SIP_MSG_MAX];

static void same(struct span a, struct span b)
{
    CHECK(str_eq(sip_text(&m, a), sip_text(&again, b)));
}

/* Folds become a space: what the field means is the same. */
static struct str flat(struct str s)
{
    struct out o = out_of(unfolded, sizeof unfolded);
    for (size_t i = 0; i < s.n; i++) {
        bool fold = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n';
        out_ch(&o, fold ? ' ' : s.p[i]);
        i += fold;
    }
    return out_str(&o);
}

static void walk(void)
{
    for (unsigned h = 0; h < HDR_COUNT; h++) {
        struct sip_list it = {0};
        struct str e;
        size_t n = 0;
        while (sip_list_next(&m, (enum sip_hdr)h, &it, &e)) {
            CHECK(e.n > 0 && e.p >= m.bytes.p && e.p + e.n <= m.bytes.p + m.bytes.n);
            CHECK(++n <= m.bytes.n);
        }
    }
}

static void rebuild(void)
{
    struct out o = out_of(built, sizeof built);
    if (m.is_request)
        sip_request_line(&o, sip_text(&m, m.method_text), sip_text(&m, m.uri));
    else
        sip_status_line(&o, m.code, STR("Reason"));
    for (unsigned i = 0; i < m.n_fields; i++)
        if (m.fields[i].id != HDR_CONTENT_LENGTH)
            sip_put_named(&o, sip_text(&m, m.fields[i].name),
                          flat(sip_text(&m, m.fields[i].value)));
    sip_end(&o, STR_NONE, sip_text(&m, m.body));
    if (o.full || o.n > SIP_MSG_MAX) /* a quoted NUL is let in, but never let out */
        return;
    enum err e = sip_parse(out_str(&o), true, &again, &why2);
    if (e == ERR_LIMIT) /* "Content-Length: " may be one field or some bytes more */
        return;
    CHECK(e == OK && again.is_request == m.is_request && again.method == m.method);
    CHECK(again.code == m.code && again.cseq == m.cseq && again.max_forwards == m.max_forwards);
    CHECK(again.via_port == m.via_port && again.via_rport == m.via_rport);
    same(m.uri, again.uri);
    same(m.method_text, again.method_text);
    same(m.via_branch, again.via_branch);
    same(m.via_host, again.via_host);
    same(m.via_transport, again.via_transport);
    same(m.from_uri, again.from_uri);
    same(m.from_tag, again.from_tag);
    same(m.to_uri, again.to_uri);
    same(m.to_tag, again.to_tag);
    same(m.call_id, again.call_id);
    same(m.body, again.body);
}

static void answer(bool understood)
{
    static const struct addr source = {.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 9}};
    struct out o = out_of(built, sizeof built);
    sip_reply(&o, &m, 400, STR_NONE, STR("t"), &source);
    sip_end(&o, STR_NONE, STR_NONE);
    CHECK(!o.full);
    if (!understood || o.n > SIP_MSG_MAX)
        return;
    enum err e = sip_parse(out_str(&o), true, &again, &why2);
    if (e == ERR_LIMIT)
        return;
    CHECK(e == OK && again.code == 400 && again.cseq == m.cseq);
    same(m.call_id, again.call_id);
    same(m.via_branch, again.via_branch);
    same(m.from_tag, again.from_tag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    if (size > 2 * SIP_MSG_MAX)
        return 0;
    bool on_stream = sip_parse(s, true, &m, &why) == OK;
    enum err e = sip_parse(s, false, &m, &why);
    CHECK((e == OK) == (why.reason == REASON_NONE));
    CHECK(!on_stream || e == OK); /* a stream is stricter */
    CHECK(why.at <= size && m.n_fields <= SIP_HEADERS_MAX);
    CHECK(e == OK || !why.answerable || m.is_request);
    walk();
    if (e == OK)
        rebuild();
    if (e == OK ? m.is_request && m.method != SIP_ACK : why.answerable)
        answer(e == OK);
    return 0;
}
