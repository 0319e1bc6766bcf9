/* SDP: what parses is the same after it was put together anew from what was parsed. */
#include "base/out.h"
#include "wire/sdp/sdes.h"
#include "wire/sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void put_section(struct out *o, const struct sdp *s, struct str text,
                        const struct sdp_section *sec)
{
    if (sec->conn.text.len) {
        OUT_LIT(o, "c=");
        out_put(o, span_str(text, sec->conn.text));
        OUT_LIT(o, "\r\n");
    }
    for (unsigned i = 0; i < sec->n_attrs; i++) {
        const struct sdp_attr *a = &s->attrs[sec->attr0 + i];
        OUT_LIT(o, "a=");
        out_put(o, span_str(text, a->name));
        if (a->value.off) {
            out_ch(o, ':');
            out_put(o, span_str(text, a->value));
        }
        OUT_LIT(o, "\r\n");
    }
}

static void look_closer(const struct sdp *s, struct str text)
{
    struct addr a;
    struct sdes c;
    uint32_t rate;
    struct str name;
    for (unsigned i = 0; i < s->n_media; i++) {
        const struct sdp_media *m = &s->media[i];
        uint16_t it = 0;
        const struct sdp_attr *at;
        CHECK(sdp_direction(s, text, m) <= SDP_INACTIVE);
        (void)!sdp_rtcp(s, text, m, &a);
        while ((at = sdp_attr_next(s, text, &m->sec, STR("crypto"), &it)))
            (void)!sdes_parse(sdp_attr_value(text, at), &c);
        struct str rest = span_str(text, m->fmts), token;
        unsigned count = 0;
        while ((token = sdp_token_next(&rest)).n) {
            uint8_t pt;
            if (sdp_payload_type(token, &pt) == OK)
                (void)!sdp_rtpmap(s, text, m, pt, &rate, &name);
            count++;
        }
        CHECK(count == m->n_fmts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct sdp s, again;
    static char buf[4 * SDP_TEXT_MAX];
    struct str text = str_of((const char *)data, n);
    if (n == 0 || sdp_parse(text, &s) != OK)
        return 0;
    look_closer(&s, text);
    struct out o = out_of(buf, sizeof buf);
    OUT_LIT(&o, "v=0\r\no=");
    const struct span head[] = {s.user, s.session_id, s.session_version, s.origin};
    for (unsigned i = 0; i < 4; i++) {
        if (i)
            out_ch(&o, ' ');
        out_put(&o, span_str(text, head[i]));
    }
    OUT_LIT(&o, "\r\ns=");
    out_put(&o, span_str(text, s.name));
    OUT_LIT(&o, "\r\n");
    struct sdp_section session = s.sec;
    if (session.conn.text.len) {
        OUT_LIT(&o, "c=");
        out_put(&o, span_str(text, session.conn.text));
        OUT_LIT(&o, "\r\n");
        session.conn.text.len = 0;
    }
    OUT_LIT(&o, "t=");
    out_put(&o, span_str(text, s.timing));
    OUT_LIT(&o, "\r\n");
    put_section(&o, &s, text, &session);
    for (unsigned i = 0; i < s.n_media; i++) {
        const struct sdp_media *m = &s.media[i];
        OUT_LIT(&o, "m=");
        out_put(&o, span_str(text, m->kind));
        out_ch(&o, ' ');
        out_u64(&o, m->port);
        if (m->n_ports != 1) {
            out_ch(&o, '/');
            out_u64(&o, m->n_ports);
        }
        out_ch(&o, ' ');
        out_put(&o, span_str(text, m->proto));
        out_ch(&o, ' ');
        out_put(&o, span_str(text, m->fmts));
        OUT_LIT(&o, "\r\n");
        put_section(&o, &s, text, &m->sec);
    }
    if (o.full || o.n > SDP_TEXT_MAX)
        return 0; /* CRLF for LF may have made it too long */
    CHECK(sdp_parse(out_str(&o), &again) == OK);
    CHECK(again.n_media == s.n_media && again.n_attrs == s.n_attrs);
    for (unsigned i = 0; i < s.n_media; i++) {
        CHECK(again.media[i].port == s.media[i].port && again.media[i].n_fmts == s.media[i].n_fmts);
        CHECK(sdp_direction(&again, out_str(&o), &again.media[i]) ==
              sdp_direction(&s, text, &s.media[i]));
    }
    return 0;
}
