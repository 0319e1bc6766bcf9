#include "wire/sdp/build.h"

static void put_line(struct out *o, char type, struct str v)
{
    out_ch(o, type);
    out_ch(o, '=');
    out_put(o, v);
    OUT_LIT(o, "\r\n");
}

static void put_ip(struct out *o, const struct addr *ip)
{
    out_put(o, ip->family == ADDR_V6 ? STR("IN IP6 ") : STR("IN IP4 "));
    addr_put_ip(o, ip);
    OUT_LIT(o, "\r\n");
}

void sdp_put_session(struct out *o, uint64_t session_id, uint64_t version, const struct addr *ip)
{
    OUT_LIT(o, "v=0\r\no=- ");
    out_u64(o, session_id);
    out_ch(o, ' ');
    out_u64(o, version);
    out_ch(o, ' ');
    put_ip(o, ip);
    OUT_LIT(o, "s=-\r\nc=");
    put_ip(o, ip);
}

void sdp_put_media(struct out *o, struct str kind, uint16_t port, struct str proto, struct str fmts)
{
    OUT_LIT(o, "m=");
    out_put(o, kind);
    out_ch(o, ' ');
    out_u64(o, port);
    out_ch(o, ' ');
    out_put(o, proto);
    out_ch(o, ' ');
    out_put(o, fmts);
    OUT_LIT(o, "\r\n");
}

void sdp_put_attr(struct out *o, struct str name, struct str value)
{
    OUT_LIT(o, "a=");
    out_put(o, name);
    if (value.p != NULL) {
        out_ch(o, ':');
        out_put(o, value);
    }
    OUT_LIT(o, "\r\n");
}

static void put_section(struct out *o, const struct sdp *s, struct str text,
                        const struct sdp_section *sec)
{
    for (unsigned i = 0; i < sec->n_attrs; i++) {
        const struct sdp_attr *a = &s->attrs[sec->attr0 + i];
        sdp_put_attr(o, span_str(text, a->name), sdp_attr_value(text, a));
    }
}

static void put_conn_bw(struct out *o, struct str text, const struct sdp_section *sec)
{
    if (sec->conn.text.len > 0)
        put_line(o, 'c', span_str(text, sec->conn.text));
    for (unsigned i = 0; i < sec->n_bw; i++)
        put_line(o, 'b', span_str(text, sec->bw[i]));
}

void sdp_put(struct out *o, const struct sdp *s, struct str text)
{
    OUT_LIT(o, "v=0\r\no=");
    out_put(o, span_str(text, s->user));
    out_ch(o, ' ');
    out_put(o, span_str(text, s->session_id));
    out_ch(o, ' ');
    out_put(o, span_str(text, s->session_version));
    out_ch(o, ' ');
    out_put(o, span_str(text, s->origin));
    OUT_LIT(o, "\r\n");
    put_line(o, 's', span_str(text, s->name));
    put_conn_bw(o, text, &s->sec);
    put_line(o, 't', span_str(text, s->timing));
    put_section(o, s, text, &s->sec);
    for (unsigned i = 0; i < s->n_media; i++) {
        const struct sdp_media *m = &s->media[i];
        OUT_LIT(o, "m=");
        out_put(o, span_str(text, m->kind));
        out_ch(o, ' ');
        out_u64(o, m->port);
        if (m->n_ports > 1) {
            out_ch(o, '/');
            out_u64(o, m->n_ports);
        }
        out_ch(o, ' ');
        out_put(o, span_str(text, m->proto));
        out_ch(o, ' ');
        out_put(o, span_str(text, m->fmts));
        OUT_LIT(o, "\r\n");
        put_conn_bw(o, text, &m->sec);
        put_section(o, s, text, &m->sec);
    }
}
