/* What the tests of m-lines share: two plain legs of one call with rules of their zones, and
 * packets by line: alice's m-line i is at 192.0.2.10:4000 + 10 i, bob's at 198.51.100.20:5000 + 10
 * i. */
#ifndef MEDIA_LINES_TEST_H
#define MEDIA_LINES_TEST_H
#include "base/test.h"
#include "media/rig.h"

#define V_A     "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
#define V_B     "v=0\r\no=bob 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n"
#define AUDIO_A V_A "m=audio 4000 RTP/AVP 8\r\n"
#define AUDIO_B V_B "m=audio 5000 RTP/AVP 8\r\n"
#define FAX     "udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
#define ALL     (LINE_AUDIO | LINE_VIDEO | LINE_APPLICATION | LINE_T38 | LINE_TEXT)

static struct rig r;
static uint8_t buf[PKT_MAX];

static inline uint64_t hits(enum reason why)
{
    return counters_get(&r.counters, why);
}

static inline void assert_why(enum reason got, enum reason want)
{
    if (got != want)
        fail_msg("%s, not %s", reason_info(got)->name.p, reason_info(want)->name.p);
}

static inline void assert_has(struct str body, const char *text)
{
    if (str_search(body, str_c(text)) == body.n)
        fail_msg("no \"%s\" in\n" STR_FMT, text, STR_ARG(body));
}

static inline void assert_lacks(struct str body, const char *text)
{
    if (str_search(body, str_c(text)) != body.n)
        fail_msg("\"%s\" in\n" STR_FMT, text, STR_ARG(body));
}

/* A list of names in one text: "pcma opus". */
static inline struct codec_names names(const char *text, struct span spans[CODECS_NAMES_MAX])
{
    struct codec_names n = {spans, str_c(text), 0};
    for (struct str rest = n.text; rest.n > 0;)
        spans[n.n++] = str_span(n.text, sdp_token_next(&rest));
    return n;
}

static inline struct media_policy zone(uint8_t kinds, const char *codecs,
                                       struct span spans[CODECS_NAMES_MAX])
{
    struct media_policy p = rig_policy(false, true, false, false);
    p.kinds = kinds;
    if (codecs != NULL)
        p.codecs = names(codecs, spans);
    return p;
}

static inline void legs(uint8_t kinds_a, const char *codecs_a, uint8_t kinds_b,
                        const char *codecs_b)
{
    struct span s[2][CODECS_NAMES_MAX];
    rig_open(&r, 8, 64);
    struct media_policy a = zone(kinds_a, codecs_a, s[0]), b = zone(kinds_b, codecs_b, s[1]);
    r.a = media_leg_open(r.m, &a, 1);
    r.b = media_leg_open(r.m, &b, 1);
    assert_non_null(r.a);
    assert_non_null(r.b);
}

static inline struct sdp_media line_of(struct str body, unsigned i)
{
    struct sdp s;
    assert_ok(sdp_parse(body, &s));
    assert_true(i < s.n_media);
    return s.media[i];
}

static inline uint16_t port_of(struct str body, unsigned i)
{
    return line_of(body, i).port;
}

static inline void call(const char *a, const char *b)
{
    assert_why(rig_offer(&r, true, str_c(a)), REASON_NONE);
    assert_why(rig_answer(&r, true, str_c(b)), REASON_NONE);
}

static inline uint16_t sent(const char *ip, uint16_t source, uint16_t to, size_t n)
{
    struct pkt pk = {.data = buf, .len = (uint16_t)n, .port = to, .peer = rig_addr(ip, source)};
    return rig_turn(&r, &pk);
}

static inline bool rtp_from_a(uint16_t line_port, uint16_t seq)
{
    return sent("192.0.2.10", line_port, port_of(r.said_a, (unsigned)(line_port - 4000) / 10),
                rig_rtp(buf, 7, seq, 160)) > 0;
}

#endif
