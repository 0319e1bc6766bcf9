/* The plain PBX: answers OPTIONS, takes one call, hangs up when told. */
#include "app/selftest/selftest.h"
#include "io/dgram.h"
#include "wire/sdp/sdp.h"
#include "wire/sip/build.h"
#include "wire/sip/hdr.h"
#include <stdlib.h>

enum err pbx_open(struct st *s, const struct addr *at)
{
    s->pbx_addr = *at;
    struct addr local = *at;
    local.port = 0;
    enum err r = sock_udp(at, false, &s->pbx_fd);
    return r != OK ? r : audio_open(&s->b, &local, ST_TONE_B, &s->rng);
}

static void answer(struct st *s, const struct sip_msg *m, unsigned code, const struct addr *to,
                   struct str sdp)
{
    char buf[ST_MSG];
    struct out o = out_of(buf, sizeof buf);
    sip_reply(&o, m, code, STR_NONE, STR("selftest-pbx"), to);
    sip_begin(&o, HDR_CONTACT);
    OUT_LIT(&o, "<sip:pbx@");
    addr_put(&o, &s->pbx_addr);
    out_ch(&o, '>');
    sip_eol(&o);
    sip_end(&o, sdp.n ? STR("application/sdp") : STR_NONE, sdp);
    if (out_err(&o) == OK && dgram_send_one(s->pbx_fd, to, out_str(&o)) != OK)
        s->failed++;
}

static void take_call(struct st *s, const struct sip_msg *m, const struct addr *from)
{
    char buf[512];
    struct out o = out_of(buf, sizeof buf);
    struct addr local;
    struct str body = sip_text(m, m->body);
    struct sdp *d = calloc(1, sizeof *d);
    if (d && sdp_parse(body, d) == OK && d->n_media && sock_local(s->b.fd, &local) == OK) {
        s->b.peer = sdp_media_conn(d, &d->media[0])->a;
        s->b.peer.port = d->media[0].port;
        struct addr ip = s->pbx_addr;
        OUT_LIT(&o, "v=0\r\no=- 1 1 IN IP4 ");
        addr_put_ip(&o, &ip);
        OUT_LIT(&o, "\r\ns=-\r\nc=IN IP4 ");
        addr_put_ip(&o, &ip);
        OUT_LIT(&o, "\r\nt=0 0\r\nm=audio ");
        out_u64(&o, local.port);
        OUT_LIT(&o, " RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n");
    }
    free(d);
    s->pbx_n = MIN(m->bytes.n, sizeof s->pbx_text);
    memcpy(s->pbx_text, m->bytes.p, s->pbx_n);
    answer(s, m, 180, from, STR_NONE);
    answer(s, m, o.n ? 200 : 488, from, out_str(&o));
}

void pbx_event(struct st *s)
{
    char buf[ST_MSG];
    struct addr from;
    bool cut;
    ptrdiff_t n = dgram_recv_one(s->pbx_fd, buf, sizeof buf, &from, &cut);
    struct sip_msg *m = n > 0 ? calloc(1, sizeof *m) : NULL;
    struct sip_error why;
    if (m && sip_parse(str_of(buf, (size_t)n), false, m, &why) == OK && m->is_request) {
        if (m->method == SIP_INVITE && !m->to_tag.len)
            take_call(s, m, &from);
        else if (m->method == SIP_ACK)
            s->pbx_acked = true;
        else if (m->method != SIP_ACK)
            answer(s, m, 200, &from, STR_NONE);
        s->pbx_byed |= m->method == SIP_BYE;
    }
    free(m);
}
