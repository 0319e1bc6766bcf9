/* What a leg's peer can do, in few words: what is taken of a description and what is not, when it
 * is kept, and what is offered in the peer's name. */
#include "call/trunks_test.h"

#define WORDS_MAX 1792u
#define HEAD      "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"

static struct leg *alice_leg, *pbx_leg; /* b and a of one call */
static char text[4096];

static int begin(void **state)
{
    static char a[4096], p[4096];
    (void)setup(state);
    struct fixture *x = *state;
    uint32_t it = 0;
    call_up(x, a, p, sizeof a);
    for (struct leg *l; (l = pool_next(&x->g.core[0]->legs, &it));)
        *(l->side == 'a' ? &pbx_leg : &alice_leg) = l;
    assert_null(alice_leg->words); /* no zone may transfer */
    assert_null(pbx_leg->words);
    x->g.policy.zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    return 0;
}

/* The offer; NULL: there is none. */
static const char *offered(const struct leg *l, const struct leg *to)
{
    struct out o = out_of(text, sizeof text - 1);
    if (!words_put(l, to, &o))
        return NULL;
    assert_false(o.full);
    text[o.n] = 0;
    assert_memory_equal(text, HEAD, sizeof HEAD - 1);
    return text + sizeof HEAD - 1;
}

static void keeps(struct leg *l, const char *sdp, const char *want)
{
    words_keep(l, str_c(sdp));
    const char *got = offered(l, NULL);
    assert_non_null(got);
    if (strcmp(got, want) != 0)
        fail_msg("of %s:\n%s", sdp, got);
}

#define SESSION                                                                                    \
    "v=0\r\no=alice 7 8 IN IP4 203.0.113.5\r\ns=talk\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n"
static void what_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *sdp, *want;
    } row[] = {
        {SESSION "m=audio 4000 RTP/AVP 8 0\r\n", "m=audio 9 RTP/AVP 8 0\r\n"},
        {SESSION "m=audio 0 RTP/AVP 8\r\n", "m=audio 0 RTP/AVP 8\r\n"},
        {SESSION "m=audio 00 RTP/AVP 8\r\n", "m=audio 9 RTP/AVP 8\r\n"},
        {SESSION "m=audio 4000/2 RTP/AVP 8\r\n", "m=audio 9 RTP/AVP 8\r\n"},
        {SESSION "m=audio 1 RTP/SAVP 8\r\n", "m=audio 9 RTP/AVP 8\r\n"},
        {SESSION "m=audio 1 RTP/SAVPF 8\r\n", "m=audio 9 RTP/AVPF 8\r\n"},
        {SESSION "m=audio 1 RTP/AVPF 8\r\n", "m=audio 9 RTP/AVPF 8\r\n"},
        {SESSION "m=audio 1 UDP/TLS/RTP/SAVP 8\r\n", "m=audio 9 RTP/AVP 8\r\n"},
        {SESSION "m=audio 1 UDP/TLS/RTP/SAVPF 8\r\n", "m=audio 9 RTP/AVPF 8\r\n"},
        {SESSION "m=image 1 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n",
         "m=image 9 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"},
        /* where it lives, its keys, which way it goes */
        {SESSION "a=ptime:10\r\na=fingerprint:sha-256 AA\r\nm=audio 1 RTP/SAVP 96\r\n"
                 "c=IN IP4 203.0.113.9\r\nb=AS:64\r\ni=x\r\nk=clear:secret\r\na=sendonly\r\n"
                 "a=rtpmap:96 opus/48000/2\r\na=rtcp:5001 IN IP4 203.0.113.9\r\n"
                 "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\na=ssrc:1 cname:a\r\n"
                 "a=candidate:1 1 UDP 1 203.0.113.5 1 typ host\r\na=ice-pwd:x\r\na=mid:0\r\n"
                 "a=fmtp:96 useinbandfec=1\r\na=rtcp-fb:96 nack\r\na=ptime:20\r\na=maxptime:60\r\n"
                 "a=rtpmapx:1 a\r\na=fmtpx:1 b\r\na=xfmtp:1\r\nx=a=ptime:1\r\n",
         "m=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
         "a=rtcp-fb:96 nack\r\na=ptime:20\r\na=maxptime:60\r\n"},
        /* RFC 3551 names them up to 34 */
        {"m=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:34 H263/90000\r\n"
         "a=rtpmap:35 x/8000\r\na=rtpmap:127 y/8000\r\na=rtpmap:128 z/8000\r\na=rtpmap:x w/1\r\n",
         "m=audio 9 RTP/AVP 0\r\na=rtpmap:35 x/8000\r\na=rtpmap:127 y/8000\r\n"
         "a=rtpmap:128 z/8000\r\na=rtpmap:x w/1\r\n"},
        {"m=audio 1 RTP/AVP 8\na=ptime:20\nm=video 2 RTP/AVP 99\r\na=rtpmap:99 H264/90000",
         "m=audio 9 RTP/AVP 8\r\na=ptime:20\r\nm=video 9 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"},
        {"\n\n\r\nm=\r\nm=a\r\n", "m= 9  \r\nm=a 9  \r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        keeps(alice_leg, row[i].sdp, row[i].want);
    words_keep(alice_leg, STR_NONE); /* said nothing: what it said before holds */
    assert_string_equal(offered(alice_leg, NULL), "m= 9  \r\nm=a 9  \r\n");
    words_keep(alice_leg, STR(SESSION)); /* it has no media at all */
    assert_null(offered(alice_leg, NULL));
}

static void when_it_is_kept(void **state)
{
    struct fixture *x = *state;
    struct policy *p = &x->g.policy;
    struct call *k = alice_leg->call;
    static const struct {
        uint8_t phones, pbx;
        bool origin, standin;
        bool a, b; /* of leg A, of leg B */
    } row[] = {
        {0, 0, false, false, false, false}, {1, 0, false, false, true, true},
        {0, 1, false, false, true, true},   {0, 0, true, false, true, true},
        {0, 0, false, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        p->zones[ZONE_PHONES].services = row[i].phones ? SERVICE_TRANSFER : SERVICE_MESSAGE;
        p->zones[ZONE_PBX].services = row[i].pbx ? SERVICE_TRANSFER | SERVICE_MESSAGE : 0;
        k->origin = row[i].origin ? (struct handle){1, 1} : HANDLE_NONE;
        pbx_leg->flags = (uint16_t)(row[i].standin ? LEG_STANDIN : 0);
        alice_leg->words = pbx_leg->words = NULL;
        words_keep(pbx_leg, STR(SDP_P));
        words_keep(alice_leg, STR(SDP_A));
        assert_int_equal(offered(pbx_leg, NULL) != NULL, row[i].a);
        assert_int_equal(offered(alice_leg, NULL) != NULL, row[i].b);
    }
    k->origin = HANDLE_NONE;
    pbx_leg->flags = 0;
    p->zones[ZONE_PBX].services = 0;
    p->zones[ZONE_PHONES].services = SERVICE_TRANSFER;
    pbx_leg->words = NULL;
    k->b = NULL; /* nobody there yet */
    words_keep(pbx_leg, STR(SDP_P));
    assert_null(pbx_leg->words);
    k->b = alice_leg;
    uint8_t zone = alice_leg->zone;
    alice_leg->zone = POLICY_NONE;
    alice_leg->words = NULL;
    words_keep(alice_leg, STR(SDP_A));
    words_keep(pbx_leg, STR(SDP_P));
    assert_true(!alice_leg->words && !pbx_leg->words);
    alice_leg->zone = zone;
    keeps(alice_leg, SDP_A, "m=audio 9 RTP/AVP 8 0\r\n");
    p->zones[ZONE_PHONES].services = 0; /* what is kept once is kept up to date */
    keeps(alice_leg, SDP_P, "m=audio 9 RTP/AVP 8\r\n");
}

/* An m-line and attributes that come to n bytes. */
static const char *long_sdp(size_t n)
{
    static char sdp[4096];
    size_t at = (size_t)snprintf(sdp, sizeof sdp, "m=audio 9 RTP/AVP 8\r\n");
    while (at < n) {
        size_t line = MIN(n - at, (size_t)200);
        if (n - at - line > 0 && n - at - line < 20)
            line -= 20;
        memcpy(sdp + at, "a=fmtp:", 7);
        memset(sdp + at + 7, 'x', line - 9);
        memcpy(sdp + at + line - 2, "\r\n", 2);
        at += line;
    }
    sdp[n] = 0;
    return sdp;
}

static void how_much(void **state)
{
    static const size_t row[] = {100, 447,  448,       449, 896,  897,       WORDS_MAX - 1,
                                 50,  1344, WORDS_MAX, 40,  1345, WORDS_MAX, 448};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        keeps(alice_leg, long_sdp(row[i]), long_sdp(row[i]));
        assert_int_equal(strlen(offered(alice_leg, NULL)), row[i]);
    }
    size_t taken = alice_leg->call->text.taken_bytes;
    for (unsigned i = 0; i < 100; i++)
        words_keep(alice_leg, str_c(long_sdp(i % 2 ? WORDS_MAX : 60)));
    assert_int_equal(alice_leg->call->text.taken_bytes, taken); /* in the same place */
    words_keep(alice_leg, str_c(long_sdp(WORDS_MAX + 1)));      /* none is better than half of it */
    assert_null(offered(alice_leg, NULL));
    keeps(alice_leg, SDP_P, "m=audio 9 RTP/AVP 8\r\n");
    void *m;
    keeps(pbx_leg, SDP_P, "m=audio 9 RTP/AVP 8\r\n");
    while ((m = arena_take(&pbx_leg->call->text, 16)))
        memset(m, 0, 16);
    words_keep(pbx_leg, str_c(long_sdp(600)));
    assert_null(offered(pbx_leg, NULL));
    keeps(pbx_leg, SDP_P, "m=audio 9 RTP/AVP 8\r\n");
}

static void into_another_call(void **state)
{
    struct fixture *x = *state;
    static struct call to;
    struct words *w = (struct words *)1;
    arena_init_blocks(&to.text, &x->g.core[0]->small, CALL_TEXT_MAX);
    assert_ok(words_copy(alice_leg, &to, &w)); /* there are none */
    assert_null(w);
    words_keep(alice_leg, str_c(long_sdp(1000)));
    assert_ok(words_copy(alice_leg, &to, &w));
    struct leg moved = {.call = &to, .words = w};
    words_keep(alice_leg, STR(SDP_P)); /* its own from now on */
    assert_string_equal(offered(&moved, NULL), long_sdp(1000));
    keeps(&moved, SDP_A, "m=audio 9 RTP/AVP 8 0\r\n");
    assert_string_equal(offered(alice_leg, NULL), "m=audio 9 RTP/AVP 8\r\n");
    words_keep(alice_leg, STR(SESSION));
    assert_ok(words_copy(alice_leg, &to, &w));
    assert_null(w);
    words_keep(alice_leg, str_c(long_sdp(1000)));
    while (arena_take(&to.text, 16))
        ;
    w = moved.words;
    assert_err(words_copy(alice_leg, &to, &w), ERR_FULL);
    assert_ptr_equal(w, moved.words);
    arena_reset(&to.text);
}

/* What is asked keeps its m-lines (RFC 3264 section 8). */
static void to_whom(void **state)
{
    (void)state;
    static const char audio[] = "m=audio 1 RTP/AVP 8\r\n",
                      three[] =
                          "m=audio 1 RTP/SAVP 0\r\na=fmtp:0 x\r\nm=video 2 RTP/SAVPF 99 98\r\n"
                          "a=rtpmap:99 H264/90000\r\nm=image 0 udptl t38\r\n";
    assert_null(offered(alice_leg, NULL));
    keeps(pbx_leg, three,
          "m=audio 9 RTP/AVP 0\r\na=fmtp:0 x\r\nm=video 9 RTP/AVPF 99 98\r\n"
          "a=rtpmap:99 H264/90000\r\nm=image 0 udptl t38\r\n");
    assert_null(offered(alice_leg, pbx_leg)); /* nothing to say in whose name */
    words_keep(alice_leg, STR(SDP_P));
    assert_string_equal(
        offered(alice_leg, pbx_leg),
        "m=audio 9 RTP/AVP 8\r\nm=video 0 RTP/AVPF 99 98\r\nm=image 0 udptl t38\r\n");
    words_keep(pbx_leg, str_c(audio));
    assert_string_equal(offered(alice_leg, pbx_leg), "m=audio 9 RTP/AVP 8\r\n");
    words_keep(pbx_leg, STR(SESSION)); /* forgot it: as to somebody new */
    assert_string_equal(offered(alice_leg, pbx_leg), "m=audio 9 RTP/AVP 8\r\n");
    words_keep(pbx_leg, str_c(audio));
    words_keep(alice_leg, STR("m=audio 1 RTP/AVP 8\r\na=fmtp:8 m=1\r\nm=video 1 RTP/AVP 9\r\n"));
    assert_string_equal(offered(alice_leg, pbx_leg),
                        "m=audio 9 RTP/AVP 8\r\na=fmtp:8 m=1\r\nm=video 9 RTP/AVP 9\r\n");
    words_keep(alice_leg, STR("m=audio 1 RTP/AVP 8\r\na=fmtp:8 m=1\r\n"));
    words_keep(pbx_leg, str_c(three));
    const char *all = offered(alice_leg, pbx_leg);
    assert_non_null(strstr(all, "m=video 0 RTP/AVPF 99 98\r\nm=image 0 udptl t38\r\n"));
    size_t n = strlen(all) + sizeof HEAD - 1;
    for (size_t cap = 0; cap <= n; cap++) { /* all of it, or it is said that it is not */
        char *little = malloc(cap + 1);
        struct out o = out_of(little, cap);
        assert_int_equal(words_put(alice_leg, pbx_leg, &o), cap == n);
        free(little);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, teardown)
    const struct CMUnitTest tests[] = {T(what_is_taken), T(when_it_is_kept), T(how_much),
                                       T(into_another_call), T(to_whom)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
