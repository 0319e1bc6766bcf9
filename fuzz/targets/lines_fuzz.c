/* Offers and answers put together from choices in the input (kinds, transports, formats, names,
 * directions, attributes), between legs whose zones have kinds and codec lists: as many lines as
 * were offered, in their order; only kinds, transports and codecs that both zones let pass; no word
 * of the other side's addresses, keys or sessions. */
#include "media/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct in {
    const uint8_t *p;
    size_t n;
};

static uint8_t take(struct in *f)
{
    if (f->n == 0)
        return 0;
    f->n--;
    return *f->p++;
}

static unsigned pick(struct in *f, size_t of)
{
    return take(f) % (unsigned)of;
}

#define PICK(f, list) (list)[pick(f, ARRAY_LEN(list))]

static const char *const codecs[] = {"PCMA/8000",
                                     "pcmu/8000",
                                     "opus/48000/2",
                                     "VP8/90000",
                                     "rtx/90000",
                                     "red/48000",
                                     "ulpfec/90000",
                                     "telephone-event/8000",
                                     "CN/8000",
                                     "evil/8000",
                                     "x",
                                     "H224/4800",
                                     "t140/1000",
                                     "OPUS /8000",
                                     "opus/0",
                                     ""};
static const char *const lists[] = {"pcma",
                                    "pcma opus",
                                    "opus vp8 rtx red ulpfec",
                                    "t140",
                                    "pcmu telephone-event cn",
                                    "vp8 rtx",
                                    "h224 pcma",
                                    "red opus"};

static void put_attr(struct in *f, unsigned pt, struct out *o)
{
    switch (pick(f, 14)) {
    case 0:
    case 1:
    case 2:
        OUT_LIT(o, "a=rtpmap:");
        out_u64(o, pt);
        out_ch(o, ' ');
        out_put(o, str_c(PICK(f, codecs)));
        break;
    case 3:
        OUT_LIT(o, "a=fmtp:");
        out_u64(o, pt);
        OUT_LIT(o, " apt=");
        out_u64(o, 96u + pick(f, 8));
        break;
    case 4:
        OUT_LIT(o, "a=fmtp:");
        out_u64(o, pt);
        OUT_LIT(o, " 96/97");
        break;
    case 5:
        OUT_LIT(o, "a=candidate:1 1 udp 1 192.0.2.99 4000 typ host");
        break;
    case 6:
        OUT_LIT(o, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                   "inline:U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVU|2^9");
        break;
    case 7:
        out_put(o, str_c(PICK(f, ((const char *const[]){"a=sendonly", "a=inactive", "a=recvonly",
                                                        "c=IN IP4 0.0.0.0", "c=IN IP6 ::"}))));
        break;
    case 8:
        OUT_LIT(o, "a=rtcp:4001 IN IP4 192.0.2.99");
        break;
    case 9:
        OUT_LIT(o, "a=ptime:");
        out_u64(o, take(f));
        break;
    case 10:
        OUT_LIT(o, "b=AS:");
        out_u64(o, (uint64_t)take(f) * 1000u);
        break;
    case 11:
        OUT_LIT(o, "a=T38VendorInfo:192.0.2.99");
        break;
    case 12:
        OUT_LIT(o, "a=ssrc:1 cname:secret-session");
        break;
    default:
        OUT_LIT(o, "a=mid:1\r\na=bundle-only\r\na=ice-ufrag:abcd");
        break;
    }
    OUT_LIT(o, "\r\n");
}

static void put_line(struct in *f, struct out *o)
{
    static const char *const kinds[] = {"audio", "video", "application", "image",
                                        "text",  "AUDIO", "message",     "192.0.2.99"};
    static const char *const protos[] = {"RTP/AVP",  "RTP/AVPF", "RTP/SAVP", "udptl",
                                         "TCP/MSRP", "UDP/BFCP", "RTP/AVP",  "UDP/TLS/RTP/SAVPF"};
    const char *proto;
    uint8_t pts[4] = {0};
    unsigned n = 1 + pick(f, 4);
    OUT_LIT(o, "m=");
    out_put(o, str_c(PICK(f, kinds)));
    out_put(o, pick(f, 4) == 0 ? STR(" 0 ") : STR(" 4000 "));
    out_put(o, str_c(proto = PICK(f, protos)));
    if (str_eq(str_c(proto), STR("udptl")))
        OUT_LIT(o, " t38");
    for (unsigned i = 0; i < n && !str_eq(str_c(proto), STR("udptl")); i++) {
        pts[i] = (uint8_t)(pick(f, 3) == 0 ? pick(f, 36) : 96u + pick(f, 8));
        out_ch(o, ' ');
        out_u64(o, pts[i]);
    }
    OUT_LIT(o, "\r\n");
    for (unsigned i = pick(f, 10); i > 0; i--)
        put_attr(f, pts[i % n], o);
}

static struct str put_body(struct in *f, unsigned lines, char *text, size_t cap)
{
    struct out o = out_of(text, cap);
    OUT_LIT(&o, "v=0\r\no=secret-user 1 1 IN IP4 192.0.2.99\r\ns=secret-session\r\n"
                "c=IN IP4 192.0.2.99\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n");
    if (pick(f, 5) == 0)
        OUT_LIT(&o, "a=sendonly\r\n");
    for (unsigned i = 0; i < lines; i++)
        put_line(f, &o);
    return out_str(&o);
}

/* What the input may say of a zone. */
struct zone {
    struct span spans[CODECS_NAMES_MAX];
    struct media_policy p;
};

static void zone_of(struct in *f, struct zone *z)
{
    uint8_t bits = take(f), kinds = take(f);
    z->p = rig_policy(bits & 1, bits & 2, bits & 1 && bits & 4, bits & 8);
    z->p.kinds = kinds & 31;
    z->p.t38_plain = kinds & 64;
    if (!(bits & 16))
        return;
    z->p.codecs = (struct codec_names){z->spans, str_c(PICK(f, lists)), 0};
    for (struct str rest = z->p.codecs.text; rest.n > 0;)
        z->spans[z->p.codecs.n++] = str_span(z->p.codecs.text, sdp_token_next(&rest));
}

static bool on_list(const struct media_policy *p, struct str encoding)
{
    for (unsigned i = 0; i < p->codecs.n; i++)
        if (str_ieq(span_str(p->codecs.text, p->codecs.names[i]), encoding))
            return true;
    return p->codecs.n == 0;
}

/* A line in use in what we say, by both zones. */
static void check_line(struct str body, const struct sdp *s, const struct sdp_media *ml,
                       const struct media_policy *a, const struct media_policy *b, bool offer)
{
    enum reason why;
    uint8_t kinds_a = a->kinds != 0 ? a->kinds : LINE_AUDIO | LINE_VIDEO,
            kinds_b = b->kinds != 0 ? b->kinds : LINE_AUDIO | LINE_VIDEO;
    enum line_kind kind = line_kind(body, ml, &why);
    CHECK(kind != LINE_NONE && (kinds_a & kinds_b & kind) != 0);
    if (kind == LINE_T38) {
        CHECK(a->t38_plain && b->t38_plain);
        return;
    }
    for (struct str rest = span_str(body, ml->fmts); rest.n > 0;) {
        uint8_t pt;
        uint32_t hz;
        struct str name = STR_NONE, encoding = STR_NONE;
        CHECK(sdp_payload_type(sdp_token_next(&rest), &pt) == OK);
        if (sdp_rtpmap(s, body, ml, pt, &hz, &name) == OK)
            str_cut(name, '/', &encoding);
        if (encoding.n == 0 && !offer)
            continue; /* an answer may leave out what the offer named */
        CHECK(on_list(a, encoding) && on_list(b, encoding));
    }
}

static void check(struct str said, struct str from, const struct zone *a, const struct zone *b,
                  bool offer)
{
    /* None can stand in the base64 of a key by chance. */
    static const char *const never[] = {"192.0.2.99", "secret-", "U0VDUkVUU0VDUkVU",
                                        "candidate:", "a=ice-",  "BUNDLE ",
                                        "a=mid",      "Vendor"};
    struct sdp s, o;
    CHECK(said.n <= MEDIA_SDP_MAX && sdp_parse(said, &s) == OK && sdp_parse(from, &o) == OK);
    CHECK(s.n_media == o.n_media);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        CHECK(str_search(said, str_c(never[i])) == said.n);
    for (unsigned i = 0; i < s.n_media; i++) {
        if (s.media[i].port == 0)
            continue;
        CHECK(o.media[i].port != 0 && s.media[i].port >= 20000 && i < MEDIA_STREAMS);
        CHECK(str_ieq(span_str(said, s.media[i].kind), span_str(from, o.media[i].kind)));
        check_line(said, &s, &s.media[i], &a->p, &b->p, offer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char text[SDP_TEXT_MAX];
    struct in f = {data, n};
    struct rig r;
    struct zone a = {0}, b = {0};
    zone_of(&f, &a);
    zone_of(&f, &b);
    rig_open(&r, 4, 16);
    r.a = media_leg_open(r.m, &a.p, 1);
    r.b = media_leg_open(r.m, &b.p, 1);
    unsigned lines = 1 + pick(&f, 5);
    for (unsigned turn = 0; turn < 6 && f.n > 0; turn++) {
        bool from_a = take(&f) & 1;
        lines = MIN(lines + pick(&f, 2), (unsigned)SDP_MEDIA_MAX);
        struct str offer = put_body(&f, lines, text, sizeof text);
        if (rig_offer(&r, from_a, offer) != REASON_NONE)
            continue;
        check(from_a ? r.said_b : r.said_a, offer, &a, &b, true);
        struct str answer = put_body(&f, lines, text, sizeof text);
        if (rig_answer(&r, from_a, answer) == REASON_NONE)
            check(from_a ? r.said_a : r.said_b, answer, &a, &b, false);
        r.now.us += 1000;
    }
    rig_close(&r);
    return 0;
}
